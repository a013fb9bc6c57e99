package main

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/chisession/session/examples/recipes/internal/browser"
)

func TestPage(t *testing.T) {
	b := browser.Open(t, routes())
	b.Want("the login leads to a page that", http.StatusOK, `<p class="success">Welcome back.</p><p>Hello, ada &amp; eve</p>`)(
		b.Post("/login", url.Values{"name": {"ada & eve"}}))
	if _, body := b.Get("/"); body != "<p>Hello, ada &amp; eve</p>" {
		t.Errorf("the page after that: %q, want no message", body)
	}
}
