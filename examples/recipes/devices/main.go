// Devices shows users where they are logged in, and logs out one device, or all others.
package main

import (
	"html/template"
	"log"
	"net/http"

	"github.com/chisession/session"
	"github.com/go-chi/chi/v5"
)

var page = template.Must(template.New("").Parse(`<!DOCTYPE html><form method="post">{{range .list}}
<p>{{.Label}}, {{.LastSeen.UTC.Format "2 Jan 15:04"}} {{if ne .ID $.here}}<button name="id" value="{{.ID}}">Log out</button>{{end}}</p>{{end}}
<button name="others" value="1">Log out everywhere else</button></form>`))

func login(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	s.SetUser(r.PostFormValue("name")) // once the password is right
	s.SetLabel(r.UserAgent())          // package devicename makes "Firefox on Windows" of it
	http.Redirect(w, r, "/devices", http.StatusSeeOther)
}

func routes(m *session.Manager) http.Handler {
	d := devices{m}
	r := chi.NewRouter()
	r.Use(http.NewCrossOriginProtection().Handler, m.Middleware)
	r.Post("/login", login)
	r.Get("/devices", d.list)
	r.Post("/devices", d.end)
	return r
}

func main() {
	m, err := session.New(session.Config{Provider: "file"})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(m)))
}
