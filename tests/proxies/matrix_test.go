package proxies

import (
	"strings"
	"testing"
)

// A place is a way to put a proxy in front of an application.
type place struct {
	name     string
	protocol string // that the application sees
	silent   bool   // the application is told nothing of HTTPS, but by a modern browser
	app      *app   //
	addr     string // of the proxy, set when it runs
	config   string // of nginx or haproxy
	listen   string // what follows the address there
}

// story lives through a session behind a proxy that takes TLS from the browser.
func story(t *testing.T, p *place) {
	b := newBrowser(t, "https", p.addr)
	b.modern = p.silent
	b.shows("/", "user= cart=<nil>")
	if len(b.set) > 0 {
		t.Error("a visit that changes nothing sets a cookie")
	}
	if _, protocol := p.app.requests(); protocol != p.protocol {
		t.Errorf("the application sees %s, want %s: this tests something else", protocol, p.protocol)
	}

	b.post("/cart")
	before := b.token()
	if before == "" {
		t.Fatal("the browser keeps no cookie")
	}
	b.shows("/", "user= cart=tea")
	b.post("/login")
	token := b.token()
	if token == "" || token == before {
		t.Fatalf("the login leaves the browser with the token that it had, or none (%d Set-Cookie lines)", len(b.set))
	}
	b.shows("/", "user=ada cart=tea")
	b.shows("/late", "user=ada cart=tea")
	if got := b.with(before, "/"); got != "user= cart=<nil>" {
		t.Errorf("the token from before the login opens %q", got)
	}

	b.shows("/messages", "Welcome, ada.")
	for range 3 {
		b.shows("/messages", "")
	}

	b.post("/logout")
	if len(b.set) != 1 || b.set[0].MaxAge >= 0 || b.token() != "" {
		t.Errorf("the logout leaves the cookie in the browser (%d Set-Cookie lines)", len(b.set))
	}
	b.shows("/", "user= cart=<nil>")
	for _, path := range []string{"/", "/late"} {
		if got := b.with(token, path); got != "user= cart=<nil>" {
			t.Errorf("after the logout, the old token opens %q at %s", got, path)
		}
	}

	if strings.Contains(p.app.log.String(), "looks like plain HTTP") {
		t.Errorf("the browser speaks HTTPS; the log says:\n%s", &p.app.log)
	}
}

// plainStory: the browser speaks plain HTTP to the proxy. It will drop the
// cookie, which is Secure all the same, and the log says why.
func plainStory(t *testing.T, p *place) {
	b := newBrowser(t, "http", p.addr)
	for range 2 {
		b.post("/cart")
		if len(b.set) != 1 || b.token() != "" {
			t.Errorf("%d Set-Cookie lines, want one that the browser does not keep", len(b.set))
		}
	}
	if warns := strings.Count(p.app.log.String(), "looks like plain HTTP"); warns != 1 {
		t.Errorf("%d warnings of plain HTTP, want one; the log says:\n%s", warns, &p.app.log)
	}
}
