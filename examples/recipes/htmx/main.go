// Htmx swaps part of a page: with a message, and for a login that may have ended.
package main

import (
	"html/template"
	"log"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

var page = template.Must(template.New("cart").Parse(`{{define "page"}}<!DOCTYPE html><script src="/htmx.min.js"></script>
<button hx-post="/cart" hx-target="#cart">Buy tea</button> <div id="cart">{{template "cart" .}}</div>{{end}}
{{.items}} in your cart {{range .messages}}<p role="status">{{.}}</p>{{end}}`))

func add(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	if s.User() == "" {
		w.Header().Set("HX-Redirect", "/login") // the whole page goes there; a 303 would put the login into #cart
		return
	}
	if n, err := session.Update(s, "items", func(n int) int { return n + 1 }); err != nil {
		http.Error(w, "please try again", http.StatusServiceUnavailable) // htmx leaves the page as it is
	} else {
		flash.Now(r, flash.LevelSuccess, "It is in your cart.") // for this response, where nothing is redirected
		page.Execute(w, map[string]any{"items": n, "messages": flash.Take(r)})
	}
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart", add)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		page.ExecuteTemplate(w, "page", map[string]any{"items": session.FromContext(r).Get("items"), "messages": flash.Take(r)})
	})
	return http.NewCrossOriginProtection().Handler(session.Middleware(session.Config{})(mux))
}

func main() { log.Fatal(http.ListenAndServe("127.0.0.1:8080", routes())) }
