package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

// logIn returns the response to a login of user, from another browser each time.
func logIn(c *sessiontest.Client, h http.Handler, user string) *sessiontest.Response {
	return c.Serve(h, c.Form("/login", url.Values{"name": {user}}))
}

// wantUser fails the test unless what that browser sends next is of user.
func wantUser(t *testing.T, c *sessiontest.Client, h http.Handler, browser *sessiontest.Response, user string) {
	t.Helper()
	if got := c.Serve(h, browser.Next("GET", "/devices")).Session().User(); got != user {
		t.Errorf("the browser is logged in as %q, want %q", got, user)
	}
}

func TestEndOne(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	h := routes(c.Manager())
	phone, laptop, bob := logIn(c, h, "ada"), logIn(c, h, "ada"), logIn(c, h, "bob")
	body := c.Serve(h, laptop.Next("GET", "/devices")).Body.String()
	if n := strings.Count(body, `name="id"`); n != 1 || !strings.Contains(body, phone.Session().ID()) {
		t.Errorf("%d devices can be logged out, want the phone alone:\n%s", n, body)
	}
	for _, browser := range []*sessiontest.Response{phone, bob} {
		c.Serve(h, laptop.NextForm("/devices", url.Values{"id": {browser.Session().ID()}}))
	}
	wantUser(t, c, h, phone, "")
	wantUser(t, c, h, laptop, "ada")
	wantUser(t, c, h, bob, "bob")
}

func TestEndOthers(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	h := routes(c.Manager())
	phone, laptop, bob := logIn(c, h, "ada"), logIn(c, h, "ada"), logIn(c, h, "bob")
	c.Serve(h, laptop.NextForm("/devices", url.Values{"others": {"1"}}))
	wantUser(t, c, h, phone, "")
	wantUser(t, c, h, laptop, "ada")
	wantUser(t, c, h, bob, "bob")
}

// TestNobody: who is not logged in sees no device and ends none.
func TestNobody(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	h := routes(c.Manager())
	phone := logIn(c, h, "ada")
	guest := c.Serve(h, c.Request("GET", "/devices", sessiontest.Values{"cart": "tea"}))
	if guest.Code != http.StatusUnauthorized {
		t.Errorf("a guest gets status %d, want 401", guest.Code)
	}
	for _, form := range []url.Values{{"others": {"1"}}, {"id": {phone.Session().ID()}}} {
		c.Serve(h, guest.NextForm("/devices", form))
	}
	wantUser(t, c, h, phone, "ada")
}
