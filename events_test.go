package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/adoption"
)

// A journal is a Config.On that writes down what it is told.
type journal struct{ lines []string }

func (j *journal) on(_ context.Context, e session.Event) {
	line := fmt.Sprintf("%s %s %q", e.Path, e.Kind, e.User)
	if e.Kind == session.EventLogin || e.Kind == session.EventLogout {
		line += fmt.Sprintf(" after %q", e.PreviousUser)
	}
	if e.Reason != "" {
		line += " " + string(e.Reason)
	}
	if e.Err != nil {
		line += ": " + e.Err.Error()
	}
	j.lines = append(j.lines, line)
}

// want fails the test unless exactly lines were written since the last want.
func (j *journal) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(j.lines, lines) {
		t.Errorf("told:\n%q\nwant:\n%q", j.lines, lines)
	}
	j.lines = nil
}

// deeds are the handlers of these tests.
var deeds = map[string]func(*session.Session){
	"/set":     func(s *session.Session) { s.Set("cart", "tea") },
	"/ada":     func(s *session.Session) { s.SetUser("ada") },
	"/bob":     func(s *session.Session) { s.SetUser("bob") },
	"/nobody":  func(s *session.Session) { s.SetUser("") },
	"/renew":   func(s *session.Session) { s.Renew() },
	"/destroy": func(s *session.Session) { s.Destroy() },
	"/show":    func(s *session.Session) { s.User() },
}

// open returns a manager of cfg that the test closes.
func open(t *testing.T, cfg session.Config) *session.Manager {
	t.Helper()
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// visit sends a request for path, with token if it is not empty, and returns the
// token that the browser has afterwards, and the status.
func visit(m *session.Manager, path, token string) (string, int) {
	r := httptest.NewRequest("GET", "https://example.com"+path, nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	}
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		deeds[r.URL.Path](session.FromContext(r))
	})).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		token = c.Value
	}
	return token, w.Code
}

func TestEventsOfALife(t *testing.T) {
	var j journal
	m := open(t, session.Config{On: j.on, MaxPerUser: 1})
	token, _ := visit(m, "/set", "")
	token, _ = visit(m, "/ada", token)
	token, _ = visit(m, "/show", token)
	token, _ = visit(m, "/ada", token)
	token, _ = visit(m, "/bob", token)
	old := token
	token, _ = visit(m, "/renew", token)
	visit(m, "/show", old)
	token, _ = visit(m, "/nobody", token)
	token, _ = visit(m, "/ada", token)
	token, _ = visit(m, "/destroy", token)
	j.want(t,
		`/set created ""`,
		`/ada renewed "ada"`, `/ada login "ada" after ""`,
		`/ada renewed "ada"`, `/ada login "ada" after "ada"`,
		`/bob renewed "bob"`, `/bob login "bob" after "ada"`,
		`/renew renewed "bob"`,
		`/show rejected "" superseded`,
		`/nobody renewed ""`, `/nobody logout "" after "bob"`,
		`/ada renewed "ada"`, `/ada login "ada" after ""`,
		`/destroy ended "ada" destroyed`)

	visit(m, "/ada", "")
	visit(m, "/ada", "")
	j.want(t,
		`/ada created "ada"`, `/ada login "ada" after ""`,
		`/ada created "ada"`, `/ada login "ada" after ""`, `/ada ended "ada" max-per-user`)
	if n, err := m.RevokeUser(t.Context(), "ada"); n != 1 || err != nil {
		t.Errorf("RevokeUser() = %d, %v", n, err)
	}
	j.want(t, ` ended "ada" revoked`)
}

// TestLoginsAreCounted: those of new visitors, too, whose token replaces none.
func TestLoginsAreCounted(t *testing.T) {
	m := open(t, session.Config{})
	for range 8 {
		visit(m, "/ada", "")
	}
	if s := m.Stats(); s.Logins != 8 || s.Renewals != 0 || s.Creates != 8 {
		t.Errorf("after 8 logins of new visitors: %d logins, %d renewals, %d creates", s.Logins, s.Renewals, s.Creates)
	}
	token, _ := visit(m, "/set", "")
	for _, path := range []string{"/ada", "/ada", "/bob", "/renew", "/nobody", "/set"} {
		token, _ = visit(m, path, token)
	}
	if s := m.Stats(); s.Logins != 11 || s.Renewals != 5 {
		t.Errorf("%d logins, want 11; %d renewals, want 5", s.Logins, s.Renewals)
	}
}

// TestEventHasTheRequest: its method, path and address, and in ctx the values of
// what runs outside of the middleware, chi's route, and the session.
func TestEventHasTheRequest(t *testing.T) {
	type requestID struct{}
	var told []string
	m := open(t, session.Config{On: func(ctx context.Context, e session.Event) {
		id, user := session.Identity(ctx)
		if id != e.ID || user != e.User || session.FromCtx(ctx).User() != "ada" {
			t.Errorf("ctx has the session %s of %q, the event %s of %q", id, user, e.ID, e.User)
		}
		told = append(told, fmt.Sprint(e.Kind, " ", e.Method, " ", e.Path, " ", e.RemoteAddr, " ",
			ctx.Value(requestID{}), " ", chi.RouteContext(ctx).RoutePattern()))
	}})
	router := chi.NewRouter()
	router.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestID{}, 17)))
		})
	}, m.Middleware)
	router.Post("/shops/{shop}/login", func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.Set("shop", chi.URLParam(r, "shop"))
		s.SetUser("ada")
	})
	router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/shops/7/login?secret=1", nil))
	if want := []string{
		"created POST /shops/7/login 192.0.2.1:1234 17 /shops/{shop}/login",
		"login POST /shops/7/login 192.0.2.1:1234 17 /shops/{shop}/login",
	}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// TestEventContextOutlivesTheClient: what an audit log stores is stored though the
// client has gone.
func TestEventContextOutlivesTheClient(t *testing.T) {
	told := 0
	m := open(t, session.Config{On: func(ctx context.Context, e session.Event) {
		if err := ctx.Err(); err != nil {
			t.Errorf("%s: the context is done with the request's: %v", e.Kind, err)
		}
		told++
	}})
	token, _ := visit(m, "/ada", "")
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "https://example.com/logout", nil)
	r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leave()
		session.FromContext(r).Destroy()
	})).ServeHTTP(httptest.NewRecorder(), r)
	if told != 3 { // created, login, ended
		t.Errorf("told of %d events, want 3", told)
	}
}

// TestRevokeInAHandlerHasTheRequest: whoever passes the request's context to
// Revoke finds in the event where it was.
func TestRevokeInAHandlerHasTheRequest(t *testing.T) {
	var j journal
	m := open(t, session.Config{On: j.on})
	visit(m, "/ada", "")
	j.lines = nil
	handler := m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if n, err := m.RevokeUser(r.Context(), "ada"); n != 1 || err != nil {
			t.Errorf("RevokeUser() = %d, %v", n, err)
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/logout-everywhere", nil))
	j.want(t, `/logout-everywhere ended "ada" revoked`)
}

// TestEventsOfTrouble: a session that cannot be loaded, one that cannot be
// stored, and one that ends while a request changes it.
func TestEventsOfTrouble(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fault := backendtest.NewFault(store)
	down := errors.New("down")
	var j journal
	m := open(t, session.Config{Store: fault.Store(), On: j.on})
	token, _ := visit(m, "/ada", "")
	j.lines = nil

	fault.On(backendtest.OpLoad, 1, backendtest.Fail(down))
	if _, code := visit(m, "/show", token); code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", code)
	}
	j.want(t, `/show unavailable "": session: load: down`)

	fault.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(down))
	visit(m, "/bob", token)
	fault.Reset()
	j.want(t, `/bob failed "bob": session: update: down`)

	r := httptest.NewRequest("GET", "https://example.com/late", nil)
	r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		if err := m.Revoke(context.Background(), s.ID()); err != nil {
			t.Error(err)
		}
		s.Set("cart", "tea")
	})).ServeHTTP(httptest.NewRecorder(), r)
	j.want(t, ` ended "" revoked`, `/late lost "": `+session.ErrDestroyed.Error())
}

// TestEventOfTheAbsoluteTimeout has the user whose session is over.
func TestEventOfTheAbsoluteTimeout(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	token, _ := visit(open(t, session.Config{Store: store}), "/ada", "")
	var j journal
	m := open(t, session.Config{Store: store, On: j.on, IdleTimeout: time.Millisecond, AbsoluteTimeout: time.Millisecond, TouchEvery: time.Microsecond})
	time.Sleep(2 * time.Millisecond) // that is what has to pass
	visit(m, "/show", token)
	j.want(t, `/show ended "ada" absolute`, `/show rejected "" absolute`)
}

// TestEventOfAnAdoption: it is neither a new session nor a login.
func TestEventOfAnAdoption(t *testing.T) {
	var j journal
	m := open(t, session.Config{On: j.on})
	r := httptest.NewRequest("GET", "https://example.com/old", nil)
	s, err := m.Start(httptest.NewRecorder(), r.WithContext(adoption.With(t.Context(), &adoption.Adoption{})))
	if err != nil {
		t.Fatal(err)
	}
	s.SetUser("ada")
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	j.want(t, `/old adopted "ada"`)
	if n := m.Stats().Logins; n != 0 {
		t.Errorf("an adoption counts as %d logins", n)
	}
}
