// Subdomains shares one login between www.shop.example and account.shop.example.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/chisession/session"
	_ "github.com/chisession/session/backend/redis"
	"github.com/chisession/session/cookie"
	"github.com/go-chi/chi/v5"
)

// config is the same in every program of the site, and so is the store. Every host below the domain gets the cookie, so
// don't give one away. With __Secure- in its name, the browser refuses a cookie that was planted over plain HTTP.
func config(domain string) session.Config {
	return session.Config{Cookie: cookie.Options{Name: "__Secure-shop", Domain: domain}}
}

func routes(m *session.Manager) http.Handler {
	r := chi.NewRouter()
	r.Use(http.NewCrossOriginProtection().Handler, m.Middleware)
	r.Post("/login", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).SetUser("ada") })
	r.Get("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%q", session.FromContext(r).User()) })
	return r
}

func main() {
	cfg := config(os.Getenv("DOMAIN"))                                // shop.example
	cfg.Provider, cfg.SavePath = "redis", os.Getenv("REDIS_SAVEPATH") // 127.0.0.1:6379
	m, err := session.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes(m)))
}
