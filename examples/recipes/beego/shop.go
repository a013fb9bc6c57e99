package main

import (
	_ "embed"
	"html/template"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

type Item struct {
	Name  string
	Count int
}

var cart = session.NewKey[[]Item]("cart")

//go:embed shop.tpl
var text string // as it was
var page = template.Must(template.New("shop.tpl").Parse(text))

func show(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	page.Execute(w, map[string]any{"flash": flash.Take(r).Map(), "user": s.User(), "cart": cart.Or(s, nil)})
}

func buy(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	cart.Set(s, append(cart.Or(s, nil), Item{r.FormValue("item"), 1})) // cart.Update, if two clicks may overlap
	flash.Success(r, "%s is in your cart.", r.FormValue("item"))
	http.Redirect(w, r, "/", http.StatusFound)
}

func login(w http.ResponseWriter, r *http.Request) {
	if !known(r.FormValue("name"), r.FormValue("password")) {
		flash.Error(r, "Name or password is wrong.")
	} else {
		session.FromContext(r).SetUser(r.FormValue("name")) // a new token, and the session is listed as hers
	}
	http.Redirect(w, r, "/", http.StatusFound)
}

func logout(w http.ResponseWriter, r *http.Request) {
	session.FromContext(r).Destroy()
	http.Redirect(w, r, "/", http.StatusFound)
}

func known(name, password string) bool { return name == "ada" && password == "lovelace" }
