package shop

import (
	"net/http"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

// TestEnded tells a visitor whose session is no more so, once, on whatever page
// comes first, and has the browser forget the cookie.
func TestEnded(t *testing.T) {
	const told = "warning: " + endedText
	s := newSite(t, session.Config{})
	end := func(t *testing.T) {
		t.Helper()
		if _, err := s.sessions.RevokeUser(t.Context(), demoUser); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		visit func(v *visitor) page
		want  []string
		path  string
	}{
		"page":         {func(v *visitor) page { return v.get("/") }, []string{told}, "/"},
		"private page": {func(v *visitor) page { return v.get("/devices") }, []string{told}, "/login?next=%2Fdevices"},
		"form":         {func(v *visitor) page { return v.post("/cart/add", "item", "mug") }, []string{told, "success: Mug is in your cart."}, "/"},
		"private form": {func(v *visitor) page { return v.post("/devices/end-others") }, []string{told}, "/login?next=%2F"},
		"stay":         {func(v *visitor) page { return v.post("/stay", "next", "/live") }, []string{told}, "/live"},
		"login":        {func(v *visitor) page { return v.login() }, []string{"success: Welcome, ada."}, "/"},
		"logout":       {func(v *visitor) page { return v.post("/logout") }, []string{"success: You are signed out."}, "/"},
	} {
		t.Run(name, func(t *testing.T) {
			v := s.visitor(t)
			v.login()
			end(t)
			v.get("/status").wantText(t, `"user":""`) // a poll takes no message
			v.get("/cart/badge").wantMessages(t)
			v.get("/nowhere").wantMessages(t)
			p := c.visit(v)
			p.wantMessages(t, c.want...)
			if p.path != c.path {
				t.Errorf("it leads to %s, want %s", p.path, c.path)
			}
			v.get("/").wantMessages(t) // once
		})
	}
}

// TestEndedForgetsCookie: a page that tells of the end leaves no cookie and
// makes no session.
func TestEndedForgetsCookie(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.login()
	if _, err := s.sessions.RevokeUser(t.Context(), demoUser); err != nil {
		t.Fatal(err)
	}
	v.get("/").wantText(t, "You have no session")
	if token := v.token(); token != "" {
		t.Error("the browser still has the cookie")
	}
	if n, err := s.sessions.Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d sessions (%v), want 0", n, err)
	}
}

// TestEndedPartial: a part of a page has no room for the message, and asks for
// the whole page.
func TestEndedPartial(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.login()
	if _, err := s.sessions.RevokeUser(t.Context(), demoUser); err != nil {
		t.Fatal(err)
	}
	p := v.do("POST", "/cart/add", "item=mug", "HX-Request", "true")
	if p.status != http.StatusOK || p.header.Get("HX-Refresh") != "true" {
		t.Errorf("status %d, HX-Refresh %q; want 200 and true", p.status, p.header.Get("HX-Refresh"))
	}
	v.get("/").wantMessages(t, "warning: "+endedText)
	v.get("/status").wantText(t, `"cart":1`)
}

// A token that was replaced a moment ago is not the end: the browser has the
// new one already, or will.
func TestNotEndedByLogin(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.post("/cart/add", "item", "mug")
	old := v.with(v.token())
	v.login()
	p := old.get("/")
	p.wantMessages(t)
	if line := p.header.Get("Set-Cookie"); line != "" {
		t.Errorf("the late request sets the cookie: %q", line)
	}
}

// TestEndedDuringPartial: a session that ends while a script adds to its cart
// is told of on the page that the script loads then.
func TestEndedDuringPartial(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fault := backendtest.NewFault(store)
	s := newSite(t, session.Config{Store: fault.StoreWith(backendtest.Capabilities(store))})
	v := s.visitor(t)
	v.login()
	v.get("/")
	gate := fault.Gate(backendtest.OpUpdate, backendtest.AtCall)
	added := make(chan page)
	go func() { added <- v.do("POST", "/cart/add", "item=mug", "HX-Request", "true") }()
	<-gate.Reached()
	if _, err := s.sessions.RevokeUser(t.Context(), demoUser); err != nil {
		t.Error(err)
	}
	gate.Release()
	if p := <-added; p.status != http.StatusOK || p.header.Get("HX-Refresh") != "true" {
		t.Errorf("status %d, HX-Refresh %q; want 200 and true", p.status, p.header.Get("HX-Refresh"))
	}
	p := v.get("/")
	p.wantMessages(t, "warning: "+endedText)
	if v.user() != "" {
		t.Error("the session is back")
	}
}
