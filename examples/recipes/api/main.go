// Api is JSON with bearer tokens.
package main

import (
	"encoding/json"
	"log"
	"net/http"

	"github.com/chisession/session"
	"github.com/go-chi/chi/v5"
)

func login(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name, Password string }
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Password != "lovelace" { // see password
		http.Error(w, `{"error": "name or password is wrong"}`, http.StatusUnauthorized)
		return
	}
	session.FromContext(r).SetUser(in.Name) // the response has the token in the header X-Session-Token
}

func me(w http.ResponseWriter, r *http.Request) { // the client sends Authorization: Bearer TOKEN
	if session.FromContext(r).User() == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, `{"error": "log in first"}`, http.StatusUnauthorized)
		return
	}
	json.NewEncoder(w).Encode(map[string]string{"user": session.FromContext(r).User()})
}

func routes() http.Handler {
	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{Transport: session.BearerTransport()})) // no cookie, so no CSRF
	r.Post("/login", login)
	r.Get("/me", me)
	r.Post("/logout", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).Destroy() })
	return r
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes())) }
