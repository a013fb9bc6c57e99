package session_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/flash"
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
	visit(m, "/destroy", token)
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

// A logged is what one request of a new visitor had logged.
type logged []map[string]any

// logOf has handler serve POST /cart?secret=1.
func logOf(t *testing.T, handler func(http.ResponseWriter, *http.Request, *session.Session)) logged {
	t.Helper()
	var text bytes.Buffer
	m := open(t, session.Config{Logger: slog.New(slog.NewJSONHandler(&text, nil))})
	r := httptest.NewRequest("POST", "https://example.com/cart?secret=1", nil)
	m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(w, r, session.FromContext(r))
	})).ServeHTTP(httptest.NewRecorder(), r)
	var lines logged
	for line := range strings.Lines(text.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry["level"] != "INFO" {
			lines = append(lines, entry)
		}
	}
	return lines
}

var thisFile = regexp.MustCompile(`^[^/]+/events_test\.go:\d+$`)

// want fails the test unless there is one line, with that message and call, that
// names this file and the request.
func (l logged) want(t *testing.T, message, call string) {
	t.Helper()
	if len(l) != 1 {
		t.Fatalf("logged %v, want one line", l)
	}
	caller, _ := l[0]["caller"].(string)
	if l[0]["msg"] != message || l[0]["path"] != "/cart" || l[0]["method"] != "POST" || !thisFile.MatchString(caller) {
		t.Errorf("logged %v, want %q, path /cart, method POST, caller …/events_test.go:…", l[0], message)
	}
	if got, _ := l[0]["call"].(string); got != call {
		t.Errorf("call=%s, want %s", got, call)
	}
}

// TestLogNamesTheCaller: whatever a handler does wrong is logged with its line.
func TestLogNamesTheCaller(t *testing.T) {
	write := func(w http.ResponseWriter) { w.Write([]byte("first byte")) }
	for name, tt := range map[string]struct {
		message, call string
		handler       func(http.ResponseWriter, *http.Request, *session.Session)
	}{
		"a change too late": {"session: change ignored", "Set", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			write(w)
			s.Set("a", 1)
		}},
		"a key with a type": {"session: change ignored", "Set", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			write(w)
			session.NewKey[int]("a").Set(s, 1)
		}},
		"a flash message": {"session: change ignored", "Set", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
			write(w)
			flash.Success(r, "stored")
		}},
		"a login": {"session: change ignored", "SetUser", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			write(w)
			s.SetUser("ada")
		}},
		"a value that cannot be stored": {"session: request failed", "Set", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("a", func() {})
		}},
		"a name too long": {"session: request failed", "SetUser", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.SetUser(strings.Repeat("a", 300))
		}},
		"a timeout of nothing": {"session: request failed", "SetIdleTimeout", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.SetIdleTimeout(3600)
		}},
		"a generic form": {"session: Get returned the generic form of JSON, as the type that was Set is not known to it: " +
			"use a session.Key or session.Get with the type, or session.Register it at start", "", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("a", struct{ N int }{1})
			s.Get("a")
		}},
		"a value of another type": {"session: a value cannot be decoded, it reads as absent", "", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("a", []string{"b"})
			session.Get[map[string]int](s, "a")
		}},
	} {
		t.Run(name, func(t *testing.T) { logOf(t, tt.handler).want(t, tt.message, tt.call) })
	}
}

// TestLogOfAReleasedSession has the request that it was of.
func TestLogOfAReleasedSession(t *testing.T) {
	var text bytes.Buffer
	m := open(t, session.Config{Logger: slog.New(slog.NewTextHandler(&text, nil))})
	var kept *session.Session
	r := httptest.NewRequest("POST", "https://example.com/cart", nil)
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		kept = session.FromContext(r)
		kept.Set("a", 1)
	})).ServeHTTP(httptest.NewRecorder(), r)
	kept.Set("a", 2)
	kept.User()
	for _, want := range []string{
		`level=ERROR msg="session: change ignored" call=Set caller=\S+/events_test.go:\d+ path=/cart method=POST error="session: used after`,
		`level=ERROR msg="session: read without a session" call=User caller=\S+/events_test.go:\d+ path=/cart method=POST error="session: used after`,
	} {
		if !regexp.MustCompile(want).MatchString(text.String()) {
			t.Errorf("logged\n%s\nwant %s", text.String(), want)
		}
	}
}

// TestLogWithoutMiddleware: the caller alone says where it is missing.
func TestLogWithoutMiddleware(t *testing.T) {
	var text bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	session.FromContext(httptest.NewRequest("GET", "/", nil)).Set("a", 1)
	if want := `session: change ignored" call=Set caller=\S+/events_test.go:\d+ error="session: no session in this context`; !regexp.MustCompile(want).MatchString(text.String()) {
		t.Errorf("logged %s, want %s", text.String(), want)
	}
}

// TestErrIsThePlainError: that the log has the caller changes no error's text.
func TestErrIsThePlainError(t *testing.T) {
	logOf(t, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", func() {})
		if got, want := s.Err().Error(), `session: cannot store "a" (type func()): `; !strings.HasPrefix(got, want) || strings.Contains(got, "events_test.go") {
			t.Errorf("Err() = %s, want %s…", got, want)
		}
	})
}
