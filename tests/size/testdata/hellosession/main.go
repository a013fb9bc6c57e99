// A server that says hello, and how often it did.
package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
)

func main() {
	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{}))
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		n, _ := session.Get[int](s, "n")
		s.Set("n", n+1)
		fmt.Fprintln(w, "hello", n)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", r))
}
