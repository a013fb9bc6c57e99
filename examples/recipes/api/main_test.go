package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/examples/recipes/internal/browser"
)

func TestTokens(t *testing.T) {
	b := browser.Open(t, routes())
	b.Want("without a token", http.StatusUnauthorized, "log in first")(b.Get("/me"))
	b.Want("a wrong password", http.StatusUnauthorized, "wrong")(b.PostJSON("/login", `{"name": "ada", "password": "guess"}`))

	res, err := b.Client.Post(b.URL+"/login", "application/json", strings.NewReader(`{"name": "ada", "password": "lovelace"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	token := res.Header.Get(session.TokenHeader)
	if token == "" || len(res.Cookies()) != 0 {
		t.Fatalf("token %q and %d cookies, want a token and none", token, len(res.Cookies()))
	}
	b.Header.Set("Authorization", "Bearer "+token)
	b.Want("with it", http.StatusOK, `{"user":"ada"}`)(b.Get("/me"))
	b.Want("logout", http.StatusOK, "")(b.PostJSON("/logout", ""))
	b.Want("after the logout", http.StatusUnauthorized, "log in first")(b.Get("/me"))
}
