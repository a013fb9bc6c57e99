// Templ renders pages by templ, whose ctx has the session in it.
package main

import (
	"log"
	"net/http"

	"github.com/a-h/templ"
	"github.com/chisession/session"
	"github.com/chisession/session/flash"
	"github.com/go-chi/chi/v5"
)

//go:generate go run github.com/a-h/templ/cmd/templ@v0.3.1118 generate

func home(w http.ResponseWriter, r *http.Request) {
	templ.Handler(page(flash.Take(r))).ServeHTTP(w, r)
}

func login(w http.ResponseWriter, r *http.Request) {
	session.FromContext(r).SetUser(r.PostFormValue("name")) // once the password is right
	flash.Success(r, "Welcome back.")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func routes() http.Handler {
	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{}))
	r.Get("/", home)
	r.Post("/login", login)
	return r
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes())) }
