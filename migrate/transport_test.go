package migrate_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/migrate"
)

// in is a process whose tokens travel in t, in a store of its own.
func in(t *testing.T, transport session.Transport, cookieName string, source migrate.Source) *app {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := session.Config{Store: &newStore{Store: store}, Transport: transport, Cookie: cookie.Options{Name: cookieName}}
	return newProcessWith(t, cfg, source, migrate.Options{Adopted: login}, show)
}

var (
	inHeader = session.HeaderTransport(session.TokenHeader)
	inCookie = session.Transport{}
)

// A manager that could not give the browser its session is refused at start:
// found out later, it would have cost the old record.
func TestTransportRefused(t *testing.T) {
	for name, transport := range map[string]session.Transport{
		"header": inHeader, "bearer": session.BearerTransport(), "cookie not last": session.FirstOf(inCookie, inHeader),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "cookie") {
					t.Errorf("Adopt panicked with %q, want a text about cookies", text)
				}
			}()
			in(t, transport, "new", holding(ann))
		})
	}
}

func TestTransportTaken(t *testing.T) {
	for name, a := range map[string]struct {
		transport session.Transport
		cookie    string
	}{
		"cookie": {inCookie, "new"}, "cookie of that name": {inCookie, oldName}, "cookie last": {session.FirstOf(inHeader, inCookie), "new"},
		"cookie of that name first": {session.FirstOf(inCookie, inHeader), oldName},
	} {
		t.Run(name, func(t *testing.T) {
			old := holding(ann)
			a := in(t, a.transport, a.cookie, old)
			token := expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
			expect(t, a.get("/", token), 200, "ann Ann", 0)
			if old.has(oldID) {
				t.Error("the old record is still there")
			}
		})
	}
}

// A client that chose a header passes untouched: the old session waits.
func TestHeaderClientPasses(t *testing.T) {
	old := holding(ann)
	a := in(t, session.FirstOf(inHeader, inCookie), "new", old)
	r := httptest.NewRequest("GET", "https://shop.example/set", nil)
	r.Header.Set("Cookie", oldCookie)
	r.Header[session.TokenHeader] = []string{""}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	if token := w.Header().Get(session.TokenHeader); w.Code != 200 || token == "" || len(old.asked) > 0 {
		t.Errorf("answer %d %v, the old store was asked %d times; want 200, a token, and 0", w.Code, w.Header(), len(old.asked))
	}
	a.expectSessions(1) // its own
	expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
}

// A disabled manager is no fault of the transport.
func TestDisabled(t *testing.T) {
	a := newProcessWith(t, session.Config{Disabled: true}, holding(ann), migrate.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	expect(t, a.get("/", oldCookie), 204, "", 0)
}

// The new cookie is as Secure as any other.
func TestBehindProxy(t *testing.T) {
	a := in(t, inCookie, "new", holding(ann))
	r := httptest.NewRequest("GET", "http://127.0.0.1:8080/", nil)
	r.Header.Set("Cookie", oldCookie)
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	r.Header.Set("X-Forwarded-Proto", "https")
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	if cookies := newCookies(w.Result()); len(cookies) != 1 || !cookies[0].Secure {
		t.Errorf("the response sets %v, want one Secure cookie", cookies)
	}
}
