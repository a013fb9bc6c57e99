// Managers is a shop with a back office: two independent sessions in one browser.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/go-chi/chi/v5"
)

func routes(shop, office *session.Manager) http.Handler {
	r := chi.NewRouter()
	r.Use(shop.Middleware)
	r.Post("/cart", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).Set("cart", "tea") })
	r.Route("/office", func(r chi.Router) {
		r.Use(office.Middleware)
		r.Post("/login", func(_ http.ResponseWriter, r *http.Request) { office.FromContext(r).SetUser("ada") })
		r.Get("/", func(w http.ResponseWriter, r *http.Request) { // FromContext the function is the inner one, the office's
			fmt.Fprintf(w, "%s, your cart has %v", session.FromContext(r).User(), shop.FromContext(r).Get("cart"))
		})
	})
	return r
}

func main() {
	shop, err := session.New(session.Config{})
	if err != nil {
		log.Fatal(err)
	}
	office, err := session.New(session.Config{ // a name of its own, sent to /office alone, and ended sooner
		Cookie: cookie.Options{Name: "office", Path: "/office", SameSite: http.SameSiteStrictMode}, IdleTimeout: 15 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(shop, office)))
}
