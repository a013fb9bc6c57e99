// Remember keeps users who ask for it logged in, for a month after each visit.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/chisession/session"
	"github.com/go-chi/chi/v5"
)

const day = 24 * time.Hour

func login(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	s.SetUser(r.PostFormValue("name")) // once the password is right
	if r.PostFormValue("remember") != "" {
		s.SetPersistent(true)           // the cookie outlives the browser,
		s.SetIdleTimeout(30 * day)      // the session a month without a visit,
		s.SetAbsoluteTimeout(180 * day) // and nobody half a year without the password
	}
	fmt.Fprintf(w, "hello, %s", s.User())
}

func routes(m *session.Manager) http.Handler {
	r := chi.NewRouter()
	r.Use(m.Middleware)
	r.Post("/login", login)
	return r
}

func main() {
	m, err := session.New(session.Config{Provider: "file"}) // outlives the process, too
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(m)))
}
