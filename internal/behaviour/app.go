package behaviour

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
)

// patience is how long to wait for what must come: its end says that it never will.
const patience = time.Minute

// eventually polls until ok, for as long as its patience lasts.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// age makes the last activity of a token's session seem to be by ago.
func (a *app) age(t testing.TB, token string, by time.Duration) {
	t.Helper()
	rec := a.record(t, token)
	rec.Expires = rec.Expires.Add(-by)
	a.plant(t, rec)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// wantLeft fails the test unless the record of token expires in d, give or
// take the time that a test may take.
func (a *app) wantLeft(t testing.TB, what, token string, d time.Duration) {
	t.Helper()
	if left := time.Until(a.record(t, token).Expires); left > d || left < d-30*time.Second {
		t.Errorf("%s: the session has %v left, want %v", what, left, d)
	}
}

// created returns the time in a UUIDv7.
func created(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
}

// elapse waits until the clock has moved on by d.
func elapse(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// wantSessions fails the test unless the user has exactly these sessions.
func (a *app) wantSessions(t *testing.T, user string, want ...string) {
	t.Helper()
	list, err := a.Sessions(t.Context(), user)
	if err != nil {
		t.Errorf("Sessions(%q): %v", user, err)
	}
	got := []string{}
	for _, info := range list {
		got = append(got, info.ID)
		if info.User != user {
			t.Errorf("Sessions(%q) lists a session of %q", user, info.User)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Sessions(%q) are %q, want %q", user, got, want)
	}
}

// inTime calls try with a limit, and if the machine was too busy to keep within it,
// with one that is four times as long. try returns whether it was kept; only then may
// it have failed the test.
func inTime(t *testing.T, limit time.Duration, try func(limit time.Duration) bool) {
	t.Helper()
	for ; !try(limit); limit *= 4 {
		if limit > patience {
			t.Fatalf("not even %v are enough", limit)
		}
	}
}

// least returns how long what takes at the least: it is done again while that is more
// than limit, up to 20 times, as the machine may be busy.
func least(limit time.Duration, what func()) time.Duration {
	least := time.Duration(math.MaxInt64)
	for try := 0; try < 20 && least > limit; try++ {
		start := time.Now()
		what()
		least = min(least, time.Since(start))
	}
	return least
}

// until waits for an instant.
func until(at time.Time) { elapse(time.Until(at)) }

// gone waits until the store has no live record of id.
func (a *app) gone(t testing.TB, id string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		_, err := a.store.Load(t.Context(), mustID(id))
		if errors.Is(err, backend.ErrNotFound) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("record %s is still there (error %v)", id, err)
		}
		time.Sleep(time.Millisecond)
	}
}

func mustID(id string) uuid.UUID { return uuid.MustParse(id) }

// reach waits for a gate in the store.
func reach(t testing.TB, g *backendtest.Gate) {
	t.Helper()
	select {
	case <-g.Reached():
	case <-time.After(patience):
		t.Fatal("nobody came to the gate")
	}
}

// An app is a server with sessions. The store's calls pass a Fault, which
// counts them and makes them fail or wait on request.
type app struct {
	*session.Manager
	router  *chi.Mux
	server  *httptest.Server // nil until somebody asks for it by url
	network *http.Transport  // to it
	store   backend.Store    // as it was handed in; nil if there was none
	calls   *backendtest.Fault
	log     *logBook
	name    string // of the cookie

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
	a := &app{router: chi.NewRouter(), network: &http.Transport{MaxIdleConnsPerHost: 16}, log: &logBook{}, tokens: map[string]bool{}, store: cfg.Store}
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
	a.network.CloseIdleConnections()
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

// UnknownToken returns a token as a manager makes it, that none has made.
func UnknownToken() string {
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
