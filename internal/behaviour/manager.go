package behaviour

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
)

func setOne(s *session.Session) { s.Set("a", 1) }

// rawToken returns the 16 bytes of the ID and the 32 of the secret.
func rawToken(t *testing.T, token string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 48 {
		t.Fatalf("the response's cookie is no token: %d bytes", len(raw))
	}
	return raw
}

// rejections are what Config.On was told of rejected tokens.
type rejections struct {
	mu   sync.Mutex
	what []string
}

func (r *rejections) on(_ context.Context, e session.Event) {
	if e.Kind != session.EventRejected {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.what = append(r.what, e.ID+" "+string(e.Reason))
}

// onFailed is a Config.On that hands f the errors of sessions that could not be
// stored.
func onFailed(f func(error)) func(context.Context, session.Event) {
	return func(_ context.Context, e session.Event) {
		if e.Kind == session.EventFailed {
			f(e.Err)
		}
	}
}

// want fails the test unless id was rejected n times for reason, and nothing
// else was; it forgets what there was.
func (r *rejections) want(t testing.TB, id string, reason session.Reason, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	want := slices.Repeat([]string{id + " " + string(reason)}, n)
	if !slices.Equal(r.what, want) {
		t.Errorf("rejected %q, want %q", r.what, want)
	}
	r.what = nil
}

// attributesOf returns a Set-Cookie line less its value.
func attributesOf(line string) string {
	name, rest, _ := strings.Cut(line, "=")
	_, rest, _ = strings.Cut(rest, ";")
	return name + ";" + withoutExpires(rest)
}

// withoutExpires takes the date out of a Set-Cookie line. It must be there where
// Max-Age is; what it says is tested in package cookie.
func withoutExpires(line string) string {
	before, after, ok := strings.Cut(line, "; Expires=")
	if !ok {
		return strings.ReplaceAll(line, "Max-Age=", "Max-Age (without Expires)=")
	}
	_, after, _ = strings.Cut(after, ";")
	return before + ";" + after
}

// panicOf returns the text of what f panics with.
func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

// newMemory returns a memory store; it is closed when the test ends. Its records
// are sealed if it is handed to a manager through a Fault, which makes no claim
// to live in this process.
func newMemory(t *testing.T) *memory.Store {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// newFault returns a memory store that fails on demand.
func newFault(t *testing.T) *backendtest.Fault {
	t.Helper()
	return backendtest.NewFault(newMemory(t))
}

// newManager returns a manager without an app, which logs nothing unless cfg
// says where to.
func newManager(t *testing.T, cfg session.Config) *session.Manager {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// serve runs one request with this header behind m's middleware.
func serve(m *session.Manager, header http.Header, handle func(*session.Session)) *http.Response {
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(session.FromContext(r)) })).ServeHTTP(w, r)
	return w.Result()
}

// visit runs one request with a token, "" for none, and returns the response and
// the token that the client has after it.
func visit(m *session.Manager, token string, handle func(*session.Session)) (*http.Response, string) {
	header := http.Header{}
	if token != "" {
		header.Set("Cookie", cookie.DefaultName+"="+token)
	}
	res := serve(m, header, handle)
	for _, c := range res.Cookies() {
		token = c.Value
	}
	return res, token
}
