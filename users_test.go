package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/adoption"
)

// serveOne has handler serve a request with token, if it is not empty, and
// returns the response and the token that the browser has afterwards.
func serveOne(m *session.Manager, token string, handler func(http.ResponseWriter, *session.Session)) (*httptest.ResponseRecorder, string) {
	r := httptest.NewRequest("POST", "https://example.com/", nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	}
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(w, session.FromContext(r))
	})).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if token = c.Value; c.MaxAge < 0 {
			token = ""
		}
	}
	return w, token
}

// userOf returns the user of the session of token.
func userOf(m *session.Manager, token string) (user string) {
	serveOne(m, token, func(_ http.ResponseWriter, s *session.Session) { user = s.User() })
	return user
}

// wantSessions fails the test unless ada has n sessions.
func wantSessions(t *testing.T, m *session.Manager, n int) {
	t.Helper()
	infos, err := m.Sessions(t.Context(), "ada")
	if err != nil || len(infos) != n {
		t.Errorf("ada has %d sessions, %v; want %d", len(infos), err, n)
	}
}

func asAda(_ http.ResponseWriter, s *session.Session) { s.SetUser("ada") }

// TestMaxPerUserRefuses: the third login of two is refused with 403, ends nobody's
// session, and leaves the visitor's as it was.
func TestMaxPerUserRefuses(t *testing.T) {
	var j journal
	m := open(t, session.Config{MaxPerUser: 2, OnMaxPerUser: session.MaxPerUserRefuse, On: j.on})
	_, first := serveOne(m, "", asAda)
	_, second := serveOne(m, "", asAda)
	_, guest := serveOne(m, "", func(_ http.ResponseWriter, s *session.Session) { s.Set("cart", "tea") })
	j.lines = nil
	w, same := serveOne(m, guest, asAda)
	if w.Code != http.StatusForbidden || same != guest {
		t.Errorf("status %d, the token has changed: %v; want 403 and false", w.Code, same != guest)
	}
	if w, token := serveOne(m, "", asAda); w.Code != http.StatusForbidden || token != "" {
		t.Errorf("a new visitor: status %d, a token: %v; want 403 and none", w.Code, token != "")
	}
	refused := `/ refused "ada" max-per-user`
	j.want(t, refused, refused)
	wantSessions(t, m, 2)
	for _, token := range []string{first, second} {
		if user := userOf(m, token); user != "ada" {
			t.Errorf("one of the first sessions is of %q now", user)
		}
	}
	serveOne(m, guest, func(_ http.ResponseWriter, s *session.Session) {
		if s.User() != "" || s.Get("cart") != "tea" {
			t.Errorf("the visitor's session is of %q, with the cart %v", s.User(), s.Get("cart"))
		}
	})
	if w, _ := serveOne(m, first, asAda); w.Code != http.StatusOK {
		t.Errorf("ada again, in a session of her own: status %d", w.Code)
	}
	if n := m.Stats(); n.Logins != 3 || n.Errors != 0 {
		t.Errorf("%d logins and %d errors are counted, want 3 and none: an alert on errors is for stores that fail", n.Logins, n.Errors)
	}
}

// TestMaxPerUserRefusalIsAnError: a handler that saves has the error, and can go on.
func TestMaxPerUserRefusalIsAnError(t *testing.T) {
	m := open(t, session.Config{MaxPerUser: 1, OnMaxPerUser: session.MaxPerUserRefuse})
	serveOne(m, "", asAda)
	_, bob := serveOne(m, "", func(_ http.ResponseWriter, s *session.Session) {
		s.SetUser("bob")
		s.Set("cart", "tea")
	})
	w, token := serveOne(m, bob, func(w http.ResponseWriter, s *session.Session) {
		s.SetUser("ada")
		s.Set("cart", "ada's")
		if err := s.Save(); !errors.Is(err, session.ErrTooManySessions) {
			t.Errorf("Save() = %v, want ErrTooManySessions", err)
		}
		if s.User() != "bob" || s.Get("cart") != "tea" || s.Err() != nil {
			t.Errorf("afterwards it is of %q, with the cart %v, Err() = %v", s.User(), s.Get("cart"), s.Err())
		}
		s.Set("told", true)
		if err := s.Save(); err != nil {
			t.Errorf("the next Save() = %v", err)
		}
		w.WriteHeader(http.StatusConflict)
	})
	if w.Code != http.StatusConflict || token != bob {
		t.Errorf("status %d, the token has changed: %v; want 409 and false", w.Code, token != bob)
	}
	serveOne(m, bob, func(_ http.ResponseWriter, s *session.Session) {
		err := s.Update(func(*session.Values) error { return nil })
		if err != nil || s.Get("told") != true || s.User() != "bob" {
			t.Errorf("what was stored: %v, %v, %q", err, s.Get("told"), s.User())
		}
		s.SetUser("ada")
		if err := s.Update(func(*session.Values) error { return nil }); !errors.Is(err, session.ErrTooManySessions) {
			t.Errorf("Update() after SetUser = %v, want ErrTooManySessions", err)
		}
	})
}

// TestMaxPerUserRefusesAtOnce: of logins at once that all see the last free place,
// none is left above the limit, whatever their order.
func TestMaxPerUserRefusesAtOnce(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fault := backendtest.NewFault(store)
	m := open(t, session.Config{Store: fault.Store(), MaxPerUser: 2, OnMaxPerUser: session.MaxPerUserRefuse})
	serveOne(m, "", asAda)
	var looked sync.WaitGroup // whether there is a place: both have
	looked.Add(2)
	fault.Before = func(_ context.Context, call backendtest.Call) error {
		if call.Op == backendtest.OpCreate {
			looked.Done()
			looked.Wait()
		}
		return nil
	}
	var wg sync.WaitGroup
	codes := make([]int, 2)
	tokens := make([]string, 2)
	for i := range codes {
		wg.Go(func() {
			w, token := serveOne(m, "", asAda)
			codes[i], tokens[i] = w.Code, token
		})
	}
	wg.Wait()
	for i, code := range codes {
		if (code == http.StatusOK) != (tokens[i] != "") {
			t.Errorf("status %d, a token: %v", code, tokens[i] != "")
		}
		if tokens[i] != "" && userOf(m, tokens[i]) != "ada" {
			t.Error("a login that was not refused is not there")
		}
	}
	infos, err := m.Sessions(t.Context(), "ada")
	if err != nil || len(infos) > 2 {
		t.Errorf("ada has %d sessions, %v; want 2 at the most", len(infos), err)
	}
}

// TestMaxPerUserRefusalOfADoubleClick: the second click has lost its session to the
// first, whose cookie must stay in the browser.
func TestMaxPerUserRefusalOfADoubleClick(t *testing.T) {
	m := open(t, session.Config{MaxPerUser: 1, OnMaxPerUser: session.MaxPerUserRefuse})
	_, guest := serveOne(m, "", func(_ http.ResponseWriter, s *session.Session) { s.Set("cart", "tea") })
	var first string
	w, _ := serveOne(m, guest, func(_ http.ResponseWriter, s *session.Session) {
		_, first = serveOne(m, guest, asAda)
		s.SetUser("ada")
	})
	if w.Code != http.StatusForbidden || len(w.Result().Cookies()) != 0 {
		t.Errorf("the second click: status %d, cookies %v; want 403 and none", w.Code, w.Result().Cookies())
	}
	if user := userOf(m, first); user != "ada" {
		t.Errorf("the first click's session is of %q", user)
	}
	wantSessions(t, m, 1)
}

// TestAuthenticatedAt: SetUser moves it, and nothing else does.
func TestAuthenticatedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := session.New(session.Config{AbsoluteTimeout: 24 * time.Hour, IdleTimeout: 12 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		at := func(token string) (at time.Time) {
			serveOne(m, token, func(_ http.ResponseWriter, s *session.Session) { at = s.AuthenticatedAt() })
			return at
		}
		_, token := serveOne(m, "", func(_ http.ResponseWriter, s *session.Session) {
			s.Set("cart", "tea")
			if got := s.AuthenticatedAt(); !got.IsZero() {
				t.Errorf("of an anonymous session: %v", got)
			}
		})
		time.Sleep(time.Hour)
		in := time.Now()
		_, token = serveOne(m, token, func(_ http.ResponseWriter, s *session.Session) {
			s.SetUser("ada")
			if got := s.AuthenticatedAt(); !got.Equal(in) {
				t.Errorf("before it is stored: %v, want %v", got, in)
			}
		})
		time.Sleep(time.Hour)
		for name, change := range map[string]func(*session.Session){
			"Renew":    (*session.Session).Renew,
			"Set":      func(s *session.Session) { s.Set("a", 1) },
			"SetLabel": func(s *session.Session) { s.SetLabel("Firefox") },
			"timeout":  func(s *session.Session) { s.SetIdleTimeout(6 * time.Hour) },
			"Update": func(s *session.Session) {
				if _, err := session.Update(s, "n", func(n int) int { return n + 1 }); err != nil {
					t.Error(err)
				}
			},
			"merge": func(s *session.Session) {
				serveOne(m, s.Token(), func(_ http.ResponseWriter, other *session.Session) { other.Set("b", 1) })
				s.Set("c", 1)
			},
		} {
			_, token = serveOne(m, token, func(_ http.ResponseWriter, s *session.Session) { change(s) })
			if got := at(token); !got.Equal(in) {
				t.Errorf("after %s: %v, want %v", name, got, in)
			}
		}
		time.Sleep(time.Hour)
		in = time.Now()
		_, token = serveOne(m, token, asAda) // the password again
		if got := at(token); !got.Equal(in) {
			t.Errorf("the same user again: %v, want %v", got, in)
		}
		_, token = serveOne(m, token, func(_ http.ResponseWriter, s *session.Session) { s.SetUser("") })
		if got := at(token); !got.IsZero() {
			t.Errorf("after the logout: %v", got)
		}
	})
}

// TestAuthenticatedAtOfAnAdoption: nobody has proven anything to this program.
func TestAuthenticatedAtOfAnAdoption(t *testing.T) {
	m := open(t, session.Config{})
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	s, err := m.Start(w, r.WithContext(adoption.With(t.Context(), &adoption.Adoption{})))
	if err != nil {
		t.Fatal(err)
	}
	s.SetUser("ada")
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	serveOne(m, w.Result().Cookies()[0].Value, func(_ http.ResponseWriter, s *session.Session) {
		if got := s.AuthenticatedAt(); s.User() != "ada" || !got.IsZero() {
			t.Errorf("the session of %q says %v, want the zero time", s.User(), got)
		}
	})
}
