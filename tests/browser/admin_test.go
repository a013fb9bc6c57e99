package browser

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
)

// startAdmin serves the admin page of a few sessions, in this process.
func startAdmin(t *testing.T) *shop {
	t.Helper()
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, meter := admin.Measure(inner)
	m, err := session.New(session.Config{Store: store, Cookie: cookie.Options{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	page, err := admin.New(m, admin.Options{Meter: meter, Authorize: func(*http.Request) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/admin", page)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(m.Middleware(mux))
	t.Cleanup(func() {
		server.CloseClientConnections() // the browser keeps its own
		server.Close()
		m.Close()
		inner.Close()
	})
	for _, label := range []string{"Firefox on Linux", "Safari on iPhone"} {
		one, err := m.Start(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		one.SetUser("ada")
		one.SetLabel(label)
		if err := one.Release(); err != nil {
			t.Fatal(err)
		}
	}
	return &shop{url: server.URL}
}

// TestAdmin looks at the admin page, and ends a session on it: the first click
// asks.
func TestAdmin(t *testing.T) {
	inBothSchemes(t, func(t *testing.T, scheme string) {
		p := startAdmin(t).visit(t)
		p.prefer(scheme)
		p.open("/admin")
		p.look("admin", scheme)
		p.typeIn("#user", "ad")
		p.click("button[name=by]")
		p.shows("#newest", "The newest sessions of users whose names begin with ad")
		p.shows(".list td:first-child", "ada", "ada")
		p.look("admin-prefix", scheme)
		p.click(".list a")
		p.shows("caption", "2 of ada, the latest login first")
		p.open("/admin")
		p.typeIn("#user", "ada\r")
		p.wait("the list", "!!document.querySelector('.list') && document.readyState === 'complete'")
		if got := p.eval("[...document.querySelectorAll('time, th')].some(e => e.innerText.includes('UTC'))"); got != "false" {
			t.Error("times are not local, with a script")
		}
		p.shows(".end button")
		p.press(".end summary")
		p.shows(".end button", "Yes, end it\n: session "+p.ended())
		p.look("admin-user", scheme)
		p.click(".end button")
		p.shows("[role=status]", "1 ended.")
		p.shows("caption", "1 of ada, the latest login first")
	})
}

// ended returns the ID of the session that the first form would end.
func (p *tab) ended() string {
	p.t.Helper()
	id := p.eval("document.querySelector('.end [name=id]').value")
	return id[1 : len(id)-1]
}

// TestAdminWithoutScripts: times are UTC and say so, and a session is ended.
func TestAdminWithoutScripts(t *testing.T) {
	t.Parallel()
	p := startAdmin(t).visit(t)
	p.withoutScripts()
	p.open("/admin?user=ada")
	if got := p.eval("[...document.querySelectorAll('.list time')].every(e => e.innerText.endsWith(' UTC'))"); got != "true" {
		t.Error("without a script the times do not say that they are UTC")
	}
	p.press(".end summary")
	p.click(".end button")
	p.shows("[role=status]", "1 ended.")
}

// TestAdminChart: on a phone the chart has letters that can be read, and is not
// wider than the window.
func TestAdminChart(t *testing.T) {
	t.Parallel()
	p := startAdmin(t).visit(t)
	p.open("/admin")
	const letters = `[...document.querySelectorAll('svg')].filter(e => e.checkVisibility()).map(e =>
		Math.min(...[...e.querySelectorAll('text')].map(t => parseFloat(getComputedStyle(t).fontSize) * e.getBoundingClientRect().width / e.viewBox.baseVal.width)) >= 11)`
	if got := p.eval(letters); got != "[true]" {
		t.Errorf("on a desk, charts with letters of 11 pixels: %s, want one", got)
	}
	p.onPhone(func() {
		if got := p.eval(letters); got != "[true]" {
			t.Errorf("on a phone, charts with letters of 11 pixels: %s, want one", got)
		}
		if got := p.eval("[...document.querySelectorAll('svg circle')].filter(e => e.checkVisibility()).length >= 2"); got != "true" {
			t.Error("on a phone, the chart has no dots")
		}
	})
}
