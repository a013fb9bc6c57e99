// Testing is an order form for members, with its tests in main_test.go.
package main

import (
	"log"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
	"github.com/go-chi/chi/v5"
)

var items = session.NewKey[[]string]("items")

func order(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	if s.User() == "" {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	ordered, _ := items.Pop(s)
	flash.Success(r, "You ordered %d things.", len(ordered))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func routes(m func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(m)
	r.Post("/order", order)
	return r
}

func main() {
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(session.Middleware(session.Config{}))))
}
