package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

// newFault returns a memory store that fails on demand.
func newFault(t *testing.T) *backendtest.Fault {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return backendtest.NewFault(store)
}

// A store that panics while the answer is stored: the panic comes through, and
// the session is released.
func TestStorePanics(t *testing.T) {
	for _, op := range []backendtest.Op{backendtest.OpLoad, backendtest.OpCreate, backendtest.OpUpdate} {
		fault := newFault(t)
		m := newManager(t, session.Config{Store: fault.Store()})
		res := through(m, nil, func(s *session.Session) { s.Set("n", 1) })
		cookie, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
		header := http.Header{"Cookie": {cookie}}
		if op == backendtest.OpCreate {
			header = nil
		}
		fault.Before = func(_ context.Context, call backendtest.Call) error {
			if call.Op == op {
				panic("the store panicked")
			}
			return nil
		}
		got := func() (got any) {
			defer func() { got = recover() }()
			through(m, header, func(s *session.Session) { s.Set("n", 2) })
			return nil
		}()
		if got != "the store panicked" {
			t.Errorf("%s: recovered %v, want the store's panic", op, got)
		}
	}
}

// When storing fails the client gets nothing of the handler's, its header
// included, but for other cookies; what was there before the handler stays.
func TestErrorAnswerHasNoHandlerHeaders(t *testing.T) {
	fault := newFault(t)
	m := newManager(t, session.Config{Store: fault.Store()})
	fault.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(fmt.Errorf("disk full")))
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "7")
	w.Header().Add("Set-Cookie", "outer=1")
	m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).SetUser("ada")
		http.SetCookie(w, &http.Cookie{Name: "remember", Value: "ada"})
		w.Header().Set("Refresh", "0;url=/welcome")
		w.Header().Set("X-User", "ada")
		fmt.Fprint(w, "welcome")
	})).ServeHTTP(w, httptest.NewRequest("GET", "https://example.com/", nil))
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "welcome") {
		t.Errorf("answer %d %q, want 503 without the handler's body", w.Code, w.Body)
	}
	if got := w.Header().Values("Set-Cookie"); len(got) != 2 || got[0] != "outer=1" || got[1] != "remember=ada" || w.Header().Get("X-Request-Id") != "7" {
		t.Errorf("header %v, want what was there before the handler", w.Header())
	}
	for _, name := range []string{"Refresh", "X-User"} {
		if w.Header().Get(name) != "" {
			t.Errorf("header %s of the handler is in the error answer", name)
		}
	}
}

// A session that was saved, revoked from elsewhere, destroyed and begun anew in
// one request, and then not stored, has no cookie in the error answer.
func TestErrorAnswerHasNoDeadCookie(t *testing.T) {
	fault := newFault(t)
	m := newManager(t, session.Config{Store: fault.Store()})
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.Set("n", 1)
		if err := s.Save(); err != nil {
			t.Errorf("Save: %v", err)
		}
		if err := m.Revoke(r.Context(), s.ID()); err != nil {
			t.Errorf("Revoke: %v", err)
		}
		s.Destroy()
		s.Set("n", 2)
		fault.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(fmt.Errorf("disk full")))
	})).ServeHTTP(w, httptest.NewRequest("GET", "https://example.com/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header()["Set-Cookie"] != nil {
		t.Errorf("answer %d, Set-Cookie %q; want 503 without a cookie", w.Code, w.Header()["Set-Cookie"])
	}
}

// TestConfigRefuses: OP-1 of SECURITY-BAR.
func TestConfigRefuses(t *testing.T) {
	var none *memory.Store
	for _, tc := range []struct {
		cfg  session.Config
		want string
	}{
		{session.Config{Store: backend.Store(none)}, "Config.Store is a nil *memory.Store"},
		{session.Config{SavePath: "./tmp"}, "Config.Provider"},
		{session.Config{IdleTimeout: -1}, "Config.IdleTimeout"},
		{session.Config{Transport: session.HeaderTransport("Content-Length")}, "X-Session-Token"},
	} {
		if _, err := session.New(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "TouchEvery") {
			t.Errorf("New(%v): %v, want an error with %q", tc.cfg, err, tc.want)
		}
	}
}
