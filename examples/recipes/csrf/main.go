// Csrf refuses requests that other sites make a browser send. It needs no tokens
// in forms, and nothing in scripts.
package main

import (
	"log"
	"net/http"

	"github.com/chisession/session"
	"github.com/go-chi/chi/v5"
)

func routes() (http.Handler, error) {
	csrf := http.NewCrossOriginProtection()
	if err := csrf.AddTrustedOrigin("https://admin.shop.example"); err != nil { // another origin of yours
		return nil, err
	}
	csrf.AddInsecureBypassPattern("POST /callback") // an identity provider's form_post: see formpost

	r := chi.NewRouter()
	r.Use(csrf.Handler, session.Middleware(session.Config{})) // what is refused does not load the session
	r.Post("/pay", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("paid", true)
	})
	r.Post("/callback", func(w http.ResponseWriter, r *http.Request) {})
	return r, nil
}

func main() {
	h, err := routes()
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", h))
}
