// A login in pages of html/template, for which the linker keeps every method that a
// template could call.
package main

import (
	"html/template"
	"log"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

var page = template.Must(template.New("").Parse(`<p>{{.Session.User}} {{range .Flash}}{{.Text}}{{end}}`))

func main() {
	sessions, err := session.New(session.Config{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		data := map[string]any{"Session": session.FromContext(r), "Flash": flash.Take(r)}
		if err := page.Execute(w, data); err != nil {
			log.Print(err)
		}
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).SetUser(r.FormValue("user"))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", sessions.Middleware(mux)))
}
