package main

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/chisession/session/examples/recipes/internal/browser"
)

func TestPostFromAnotherSite(t *testing.T) {
	b := browser.Open(t, routes())
	state := startAt(t, b)
	form := url.Values{"state": {state}, "code": {`"><script>`}}

	other := b.Another() // the browser keeps the cookie back
	other.Header.Set("Sec-Fetch-Site", "cross-site")
	b.Want("the provider's POST", http.StatusOK, `name="state" value="`+state+`"`)(other.Post("/login", form))
	b.Want("its values are text", http.StatusOK, `value="&#34;&gt;&lt;script&gt;"`)(other.Post("/login", form))

	b.Header.Set("Sec-Fetch-Site", "same-origin")
	b.Want("another state", http.StatusForbidden, "")(b.Post("/login", url.Values{"state": {"made up"}}))
	form.Set("state", startAt(t, b))
	b.Want("our page's POST", http.StatusOK, "")(b.Post("/login", form))
	b.Want("the same once more", http.StatusForbidden, "")(b.Post("/login", form))
}

// startAt begins a login and returns its state.
func startAt(t *testing.T, b *browser.Browser) string {
	t.Helper()
	client := *b.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Get(b.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	location, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	return location.Query().Get("state")
}
