// Beego is original.txt, ported: app.conf and the template stay, and users stay logged in.
package main

import (
	"encoding/gob"
	"log"
	"net/http"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/conf"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/beego"
	"github.com/go-chi/chi/v5"
)

func main() {
	cfg, err := conf.Load("app.conf")
	if err != nil {
		log.Fatal(err)
	}
	old, err := beego.Files(cfg.SavePath, cfg.IdleTimeout)
	if err != nil {
		log.Fatal(err)
	}
	cfg.SavePath = "./sessions"               // the old directory is refused
	cfg.AbsoluteTimeout = 30 * 24 * time.Hour // Beego has none, and the default is a day
	m, err := session.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(m, old)))
}

func routes(m *session.Manager, old migrate.Source) http.Handler {
	gob.Register([]Item{}) // Beego did it at SetSession
	r := chi.NewRouter()
	r.Use(m.Middleware, beego.Adopt(m, old, migrate.Options{Adopted: adopted}))
	r.Get("/", show)
	r.Post("/buy", buy)
	r.Post("/login", login)
	r.Post("/logout", logout)
	return r
}

// adopted says who it is: only the application knows where it kept that.
func adopted(_ *http.Request, s *session.Session, old map[string]any) error {
	if user, ok := old["user"].(string); ok {
		s.SetUser(user)
		s.Delete("user")
	}
	return nil
}
