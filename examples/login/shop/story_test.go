package shop

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

// TestStory is a visit from the first page to the logout.
func TestStory(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)

	// Looking around costs nothing.
	for _, path := range []string{"/", "/cart", "/login", "/live", "/nowhere", "/static/style.css", "/devices"} {
		if p := v.get(path); p.header.Get("Set-Cookie") != "" || v.token() != "" {
			t.Errorf("GET %s set a cookie", path)
		}
	}
	if n, err := s.sessions.Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d sessions (%v) after looking around, want 0", n, err)
	}

	// A message shows once.
	v.post("/cart/add", "item", "mug").wantMessages(t, "success: Mug is in your cart.")
	v.get("/").wantMessages(t)

	// A wrong password keeps the page, the session and the token.
	before := v.token()
	p := v.post("/login", "name", "ada", "password", "guess")
	p.wantFault(t, "password", "That name and password do not go together.")
	if p.status != http.StatusUnprocessableEntity || v.token() != before || v.user() != "" {
		t.Errorf("wrong password: status %d, user %q", p.status, v.user())
	}

	// The login replaces the token and keeps the cart.
	v.login().wantMessages(t, "success: Welcome, ada.")
	after := v.token()
	if after == before || after == "" || v.user() != "ada" {
		t.Errorf("token %q after login, was %q; user %q", after, before, v.user())
	}
	v.get("/cart").wantText(t, `<th scope="row">Mug</th>`)
	if user := v.with(before).user(); user != "" {
		t.Errorf("the token from before the login is %q's", user)
	}

	// Logout is final.
	v.post("/logout").wantMessages(t, "success: You are signed out.")
	v.get("/").wantMessages(t)
	if v.user() != "" || v.with(after).user() != "" {
		t.Error("signed in after the logout")
	}
	if strings.Contains(v.get("/cart").body, "Mug") {
		t.Error("the cart outlived the logout")
	}
}

// TestLogoutDuringSlowPage signs out while a slow page is at work.
func TestLogoutDuringSlowPage(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fault := backendtest.NewFault(store)
	s := newSite(t, session.Config{Store: fault.StoreWith(backendtest.Capabilities(store))})
	v := s.visitor(t)
	v.login()
	v.get("/")
	slow, out := v.with(v.token()), v.with(v.token())

	gate := fault.Gate(backendtest.OpUpdate, backendtest.AtCall) // where the slow page stores
	shown := make(chan page)
	go func() { shown <- slow.get("/slow?seconds=0") }()
	<-gate.Reached()
	out.post("/logout")
	gate.Release()
	p := <-shown
	p.wantMessages(t, "warning: You signed out while this page was at work, so what it did was dropped. You stay signed out.")
	p.wantText(t, "You are not signed in.")
	if slow.user() != "" || v.user() != "" {
		t.Error("the slow page brought the session back")
	}
}

// TestFlashAmongPolls leaves messages of all levels among polls and parts of
// pages, which take none.
func TestFlashAmongPolls(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.post("/cart/add", "item", "pen")
	follow := v.client.CheckRedirect
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	v.post("/say")
	v.client.CheckRedirect = follow

	v.get("/status").wantText(t, `"cart":1`)
	v.get("/cart/badge").wantMessages(t)
	v.get("/favicon.ico").wantMessages(t) // 404, asked for by the browser itself
	v.do("POST", "/cart/add", "item=lamp", "HX-Request", "true").wantText(t, `<span aria-hidden="true">2</span>`)
	v.get("/live").wantMessages(t, "success: This went well.", "notice: This is good to know.", "warning: This needs care.", "error: This did not work.")
	v.get("/live").wantMessages(t)
}

// TestTwoTabs adds from many tabs at once.
func TestTwoTabs(t *testing.T) {
	s := newSite(t, session.Config{Provider: "file", SavePath: t.TempDir()})
	v := s.visitor(t)
	v.post("/cart/add", "item", "mug")
	var tabs sync.WaitGroup
	for range 4 {
		tabs.Go(func() {
			for range 5 {
				v.do("POST", "/cart/add", "item=mug", "HX-Request", "true")
			}
		})
	}
	tabs.Wait()
	v.get("/status").wantText(t, `"cart":21`)
}

// TestRestart keeps the login when the program starts again.
func TestRestart(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		restart(t, session.Config{Provider: "file", SavePath: t.TempDir()})
	})
}

func restart(t *testing.T, cfg session.Config) {
	t.Helper()
	first := newSite(t, cfg)
	v := first.visitor(t)
	v.post("/cart/add", "item", "lamp")
	v.login()
	token := v.token()
	first.stop()

	again := newSite(t, cfg).visitor(t).with(token)
	if user := again.user(); user != "ada" {
		t.Errorf("user is %q after the restart, want ada", user)
	}
	again.get("/cart").wantText(t, `<th scope="row">Desk lamp</th>`)
	again.get("/devices").wantText(t, "Firefox on Linux")
}

// TestRemember keeps the cookie for a month, and the session as long.
func TestRemember(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	line := v.post("/login", "name", demoUser, "password", demoPassword, "remember", "1").header.Get("Set-Cookie")
	cookie, err := http.ParseSetCookie(line)
	if err != nil {
		t.Fatalf("cookie is %q: %v", line, err)
	}
	if lasts := time.Duration(cookie.MaxAge) * time.Second; lasts > rememberFor || lasts < rememberFor-time.Minute {
		t.Errorf("cookie is %q, want a Max-Age of 30 days, but for the time that the login took", line)
	}
	infos, err := s.sessions.Sessions(t.Context(), demoUser)
	if err != nil || len(infos) != 1 || time.Until(infos[0].ExpiresAt) < rememberFor-time.Minute {
		t.Errorf("sessions are %v (%v), want one of 30 days", infos, err)
	}
	line = v.login().header.Get("Set-Cookie")
	if strings.Contains(line, "Max-Age") {
		t.Errorf("cookie is %q after a login without remember, want none of Max-Age", line)
	}
}

// TestOutage shows the page of an outage, and loses nothing.
func TestOutage(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fault := backendtest.NewFault(store)
	s := newSite(t, session.Config{Store: fault.StoreWith(backendtest.Capabilities(store))})
	v := s.visitor(t)
	v.post("/cart/add", "item", "mug")
	fault.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(backend.ErrClosed))
	if p := v.post("/cart/add", "item", "mug"); p.status != http.StatusServiceUnavailable {
		t.Errorf("adding during an outage: status %d, want 503", p.status)
	}
	fault.Reset()
	v.get("/status").wantText(t, `"cart":1`)
}
