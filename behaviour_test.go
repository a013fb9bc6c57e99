package session_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/sessiontest"
)

// The behaviours of BEHAVIOURS.md are in behaviour_a_test.go and on, one file
// a section, each case a subtest that begins with its number. This file is
// what they stand on: an app (manager, chi router, server), a browser (client
// with a cookie jar), and a log book.

// An app is a server with sessions. The store's calls pass a Fault, which
// counts them and makes them fail or wait on request.
type app struct {
	*session.Manager
	router *chi.Mux
	server *httptest.Server // nil until somebody asks for it by url
	store  backend.Store    // as it was handed in; nil if there was none
	calls  *backendtest.Fault
	log    *logBook
	name   string // of the cookie

	// around, if set before the first request, is mounted outside of the
	// session's middleware.
	around func(http.Handler) http.Handler

	mu     sync.Mutex // guards what follows
	tokens map[string]bool
}

// newApp starts an app. Its store has exactly the optional interfaces of
// cfg.Store. Cleanup closes it all, and checks that no token is in the log.
func newApp(t *testing.T, cfg session.Config) *app {
	t.Helper()
	if cfg.Store == nil {
		return newAppWith(t, cfg, 0)
	}
	return newAppWith(t, cfg, backendtest.Capabilities(cfg.Store))
}

// newAppWith is newApp with a store that has the optional interfaces of have.
// Without Bounded, the manager keeps the time: so a store that hangs at a gate
// meets StoreTimeout.
func newAppWith(t *testing.T, cfg session.Config, have backendtest.Capability) *app {
	t.Helper()
	a := &app{router: chi.NewRouter(), log: &logBook{}, tokens: map[string]bool{}, store: cfg.Store}
	if cfg.Store != nil {
		a.calls = backendtest.NewFault(cfg.Store)
		cfg.Store = a.calls.StoreWith(have)
	}
	if cfg.Logger == nil {
		cfg.Logger = a.log.logger()
	}
	if a.name = cfg.Cookie.Name; a.name == "" {
		a.name = cookie.DefaultName
	}
	m, err := session.New(cfg)
	if err != nil {
		t.Fatalf("session.New: %v", err)
	}
	a.Manager = m
	a.router.Use(m.Middleware)
	t.Cleanup(func() { a.close(t) })
	return a
}

func (a *app) close(t *testing.T) {
	if a.server != nil {
		a.server.Close()
	}
	if err := a.Manager.Close(); err != nil {
		t.Errorf("Manager.Close: %v", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	text := a.log.String()
	for token := range a.tokens {
		if strings.Contains(text, token) || strings.Contains(text, token[len(token)-40:]) {
			t.Errorf("the log has a token:\n%s", text)
		}
	}
}

// without returns the optional interfaces of store less some.
func without(store backend.Store, less backendtest.Capability) backendtest.Capability {
	return backendtest.Capabilities(store) &^ less
}

// A sessionHandler is a handler with its session at hand.
type sessionHandler = func(w http.ResponseWriter, r *http.Request, s *session.Session)

// handle registers h for all methods of path, before or after the start.
func (a *app) handle(path string, h sessionHandler) {
	a.router.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { h(w, r, session.FromContext(r)) })
}

// basics registers what most cases need: /ignore does not use the session, /get
// answers with the value of the key ?k, /set sets ?k to the string ?v, /renew
// and /destroy do so, /id answers with the public ID.
func (a *app) basics() {
	a.router.HandleFunc("/ignore", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ignored") })
	a.handle("/get", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		fmt.Fprint(w, s.Get(r.FormValue("k")))
	})
	a.handle("/set", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set(r.FormValue("k"), r.FormValue("v"))
		io.WriteString(w, "set")
	})
	a.handle("/renew", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Renew()
		io.WriteString(w, "renewed")
	})
	a.handle("/destroy", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Destroy()
		io.WriteString(w, "destroyed")
	})
	a.handle("/id", func(w http.ResponseWriter, _ *http.Request, s *session.Session) { io.WriteString(w, s.ID()) })
}

// url starts the server, if that was not done yet, and returns its address.
func (a *app) url() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server == nil {
		a.server = httptest.NewUnstartedServer(a.handler())
		a.server.Config.ErrorLog = log.New(io.Discard, "", 0) // panics on purpose
		a.server.Start()
	}
	return a.server.URL
}

func (a *app) handler() http.Handler {
	if a.around != nil {
		return a.around(a.router)
	}
	return a.router
}

// idOf returns the public ID in a token.
func idOf(t testing.TB, token string) uuid.UUID {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 48 {
		t.Fatalf("%d characters that are no token", len(token))
	}
	return uuid.UUID(raw[:16])
}

// unknownToken returns a token as a manager makes it, that none has made.
func unknownToken() string {
	raw := make([]byte, 48)
	rand.Read(raw)
	id := uuid.Must(uuid.NewV7())
	copy(raw, id[:])
	return base64.RawURLEncoding.EncodeToString(raw)
}

// record returns the record of a token, as the store has it.
func (a *app) record(t testing.TB, token string) backend.Record {
	t.Helper()
	rec, err := a.store.Load(context.Background(), idOf(t, token))
	if err != nil {
		t.Fatalf("Load of the record: %v", err)
	}
	return rec
}

// plant puts a changed record in the place of the one that has its ID.
func (a *app) plant(t testing.TB, rec backend.Record) {
	t.Helper()
	now, err := a.store.Load(context.Background(), rec.ID)
	if err == nil {
		rec.Version, rec.Shorten = now.Version, true
		err = a.store.Update(context.Background(), rec)
	}
	if err != nil {
		t.Fatalf("plant a record: %v", err)
	}
}

// records returns how many records the app's store has.
func (a *app) records(t testing.TB) int { t.Helper(); return records(t, a.store) }

func records(t testing.TB, store backend.Store) int {
	t.Helper()
	if count, ok := opened.Load(store); ok {
		return count.(func(testing.TB) int)(t)
	}
	n, err := backend.AbilitiesOf(store).Counter.Count(context.Background())
	if err != nil {
		t.Fatalf("Count: %v", err)
	}
	return n
}

// saw keeps what looks like a token, for the check of the log.
func (a *app) saw(values ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, v := range values {
		if len(v) >= 64 {
			a.tokens[v] = true
		}
	}
}

// A browser is a client with a cookie jar of its own. It does not follow
// redirects.
type browser struct {
	t      testing.TB
	app    *app
	base   *url.URL
	client *http.Client
}

// browser returns a new browser, which talks to the app over the network.
func (a *app) browser(t testing.TB) *browser {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return a.newBrowser(t, a.url(), transport)
}

// direct returns a new browser that calls the handler in its own goroutine,
// without a network: for synctest bubbles. The site is https://app.test.
func (a *app) direct(t testing.TB) *browser {
	t.Helper()
	return a.newBrowser(t, "https://app.test", recorded{a.handler()})
}

func (a *app) newBrowser(t testing.TB, base string, transport http.RoundTripper) *browser {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, a, u, &http.Client{Jar: sessiontest.NewJar(), Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// recorded is a RoundTripper made of a handler.
type recorded struct{ http.Handler }

func (h recorded) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if r.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{}
	}
	in.Host, in.RequestURI, in.RemoteAddr = r.URL.Host, r.URL.RequestURI(), "192.0.2.1:1234"
	h.ServeHTTP(w, in)
	return w.Result(), nil
}

// An answer is what a browser got.
type answer struct {
	status    int
	body      string
	header    http.Header
	setCookie []string // all Set-Cookie lines
	session   string   // the one of them that is the session's; empty if there is none
}

// get asks for path.
func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(b.request("GET", path))
}

func (b *browser) request(method, path string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequest(method, b.base.String()+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// do sends r. A request that gets no answer is an error of the test, and
// status 0; try is for where that may happen.
func (b *browser) do(r *http.Request) answer {
	b.t.Helper()
	a, err := b.try(r)
	if err != nil {
		b.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	return a
}

func (b *browser) try(r *http.Request) (answer, error) {
	b.t.Helper()
	for _, c := range append(r.Cookies(), b.client.Jar.Cookies(r.URL)...) {
		b.app.saw(c.Value)
	}
	resp, err := b.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, body: string(body), header: resp.Header, setCookie: resp.Header["Set-Cookie"]}
	for _, line := range a.setCookie {
		value, ok := strings.CutPrefix(line, b.app.name+"=")
		if !ok {
			continue
		}
		if a.session != "" {
			b.t.Errorf("%s %s: two cookies of the session in one answer: %q", r.Method, r.URL, a.setCookie)
		}
		a.session = line
		value, _, _ = strings.Cut(value, ";")
		b.app.saw(value)
	}
	return a, err
}

// token returns the browser's token, "" if it has none.
func (b *browser) token() string {
	for _, c := range b.client.Jar.Cookies(b.base) {
		if c.Name == b.app.name {
			return c.Value
		}
	}
	return ""
}

// setToken puts a token into the browser's jar; "" takes it out.
func (b *browser) setToken(token string) {
	c := &http.Cookie{Name: b.app.name, Value: token, Path: "/"}
	if token == "" {
		c.MaxAge = -1
	}
	b.client.Jar.SetCookies(b.base, []*http.Cookie{c})
}

// want fails the test unless the answer has this status and body.
func (a answer) want(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("answer is %d %q, want %d %q", a.status, a.body, status, body)
	}
}

// wantRecords fails the test unless the store has n records.
func (a *app) wantRecords(t testing.TB, n int) {
	t.Helper()
	if got := a.records(t); got != n {
		t.Errorf("the store has %d records, want %d", got, n)
	}
}

// wantCalls fails the test unless the store was called just so since the last
// Reset of a.calls: "Load", "Load Update", "" and so on, in any order.
func (a *app) wantCalls(t testing.TB, want string) {
	t.Helper()
	var got []string
	for _, op := range []backendtest.Op{"Load", "Create", "Update", "Touch", "Delete", "DeleteVersion", "Sweep", "ByUser", "Count"} {
		for range a.calls.Calls(op) {
			got = append(got, string(op))
		}
	}
	wanted := strings.Fields(want)
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("the store's calls are %q, want %q", got, wanted)
	}
}

// A logBook keeps what is logged, as lines of JSON.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines returns the lines of a level ("WARN", "" for all) that contain part.
func (l *logBook) lines(level, part string) (found []map[string]any) {
	for line := range strings.Lines(l.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && strings.Contains(line, part) && (level == "" || entry["level"] == level) {
			found = append(found, entry)
		}
	}
	return found
}

// errTest is what a store says in tests that make it fail.
var errTest = errors.New("the store says no")
