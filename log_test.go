package session_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

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

var thisFile = regexp.MustCompile(`^[^/]+/log_test\.go:\d+$`)

// want fails the test unless there is one line, with that message and call, that
// names this file and the request.
func (l logged) want(t *testing.T, message, call string) {
	t.Helper()
	if len(l) != 1 {
		t.Fatalf("logged %v, want one line", l)
	}
	caller, _ := l[0]["caller"].(string)
	if l[0]["msg"] != message || l[0]["path"] != "/cart" || l[0]["method"] != "POST" || !thisFile.MatchString(caller) {
		t.Errorf("logged %v, want %q, path /cart, method POST, caller …/log_test.go:…", l[0], message)
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
		`level=ERROR msg="session: change ignored" call=Set caller=\S+/log_test.go:\d+ path=/cart method=POST error="session: used after`,
		`level=ERROR msg="session: read without a session" call=User caller=\S+/log_test.go:\d+ path=/cart method=POST error="session: used after`,
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
	if want := `session: change ignored" call=Set caller=\S+/log_test.go:\d+ error="session: no session in this context`; !regexp.MustCompile(want).MatchString(text.String()) {
		t.Errorf("logged %s, want %s", text.String(), want)
	}
}

// TestErrIsThePlainError: that the log has the caller changes no error's text.
func TestErrIsThePlainError(t *testing.T) {
	logOf(t, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", func() {})
		if got, want := s.Err().Error(), `session: cannot store "a" (type func()): `; !strings.HasPrefix(got, want) || strings.Contains(got, "log_test.go") {
			t.Errorf("Err() = %s, want %s…", got, want)
		}
	})
}
