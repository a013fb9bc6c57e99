package main

import (
	"net/http"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/examples/recipes/internal/browser"
)

func TestTwoManagers(t *testing.T) {
	shop := browser.Manager(t, session.Config{})
	office := browser.Manager(t, session.Config{Cookie: cookie.Options{Name: "office", Path: "/office"}})
	b := browser.Open(t, routes(shop, office))
	b.Want("the cart", http.StatusOK, "")(b.Post("/cart", nil))
	b.Want("the login", http.StatusOK, "")(b.Post("/office/login", nil))
	b.Want("the office", http.StatusOK, "ada, your cart has tea")(b.Get("/office/"))

	if n, err := shop.Sessions(t.Context(), "ada"); err != nil || len(n) != 0 {
		t.Errorf("the shop's sessions of ada: %v, %v, want none", n, err)
	}
}
