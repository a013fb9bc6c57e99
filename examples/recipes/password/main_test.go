package main

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/chisession/session/examples/recipes/internal/browser"
)

func init() { kib = 8 } // as little as argon2 takes, for the race detector

func TestLogin(t *testing.T) {
	salt := []byte("sixteen bytes of")
	b := browser.Open(t, routes(map[string]account{"ada": {salt, hash("lovelace", salt)}}))
	login := func(name, password string) (int, string) {
		return b.Post("/login", url.Values{"name": {name}, "password": {password}})
	}

	b.Want("a name that is not known", http.StatusUnauthorized, "wrong")(login("eve", ""))
	b.Want("a wrong password", http.StatusUnauthorized, "wrong")(login("ada", "lovelacf"))
	b.Want("the right one", http.StatusOK, "")(login("ada", "lovelace"))
	for range 8 {
		login("ada", "guess")
	}
	b.Want("the eleventh", http.StatusTooManyRequests, "")(login("ada", "lovelace"))
	b.Want("another account", http.StatusUnauthorized, "wrong")(login("bob", "guess"))
}

func TestManyNamesFromOneAddress(t *testing.T) {
	b := browser.Open(t, routes(nil))
	for n := range 30 {
		b.Want("a guess", http.StatusUnauthorized, "wrong")(b.Post("/login", url.Values{"name": {fmt.Sprint("user", n)}}))
	}
	b.Want("the thirty-first", http.StatusTooManyRequests, "")(b.Post("/login", url.Values{"name": {"ada"}}))
}

func TestLoginFromAnotherSiteIsRefused(t *testing.T) {
	b := browser.Open(t, routes(nil))
	b.Header.Set("Sec-Fetch-Site", "cross-site")
	b.Want("a form of another site", http.StatusForbidden, "")(b.Post("/login", url.Values{"name": {"ada"}}))
}
