package main

import (
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

func TestCart(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	res := c.Serve(routes(), c.Form("/cart", nil, sessiontest.Values{"items": 1}, sessiontest.User("ada")))
	if got := strings.TrimSpace(res.Body.String()); got != `2 in your cart <p role="status">It is in your cart.</p>` {
		t.Errorf("the part of the page: %q", got)
	}
	res = c.Serve(routes(), res.Next("GET", "/"))
	if got := res.Body.String(); !strings.Contains(got, "2 in your cart") || strings.Contains(got, "status") {
		t.Errorf("the page after it: %q, want 2 in the cart and no message", got)
	}
}

func TestLoginHasEnded(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	res := c.Serve(routes(), c.Form("/cart", nil))
	if got := res.Header().Get("HX-Redirect"); got != "/login" || res.Body.Len() > 0 || res.Stored() {
		t.Errorf("HX-Redirect %q, body %q, stored %v; want /login and nothing", got, res.Body, res.Stored())
	}
}
