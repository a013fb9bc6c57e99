package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	visits "github.com/chisession/session/internal/visit"
	"github.com/chisession/session/sessiontest"
)

// closing is a store opened by name that knows whether it was closed.
type closing struct {
	*memory.Store
	closed *atomic.Bool
}

func (c closing) Close() error {
	c.closed.Store(true)
	return c.Store.Close()
}

// openings makes the names of openClosing differ: a test may run several times
// in one process, and a name is registered once.
var openings atomic.Int64

// openClosing registers a provider and returns its name, and whether its store
// was closed.
func openClosing() (name string, closed *atomic.Bool) {
	closed, name = new(atomic.Bool), fmt.Sprint("closing ", openings.Add(1))
	backend.Register(name, func(string) (backend.Store, error) {
		store, err := memory.New(memory.Options{})
		return closing{store, closed}, err
	})
	return name, closed
}

// TestWrapStore: every call of a store that is opened by name goes through the
// wrapper, which may be admin's, and Close closes what is inside.
func TestWrapStore(t *testing.T) {
	name, closed := openClosing()
	var meter *admin.Meter
	m, err := session.New(session.Config{
		Provider: name, SweepEvery: -1, MaxPerUser: 2,
		WrapStore: func(store backend.Store) backend.Store {
			store, meter = admin.Measure(store)
			return store
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("n", 1)
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	calls := 0
	for _, sample := range meter.Samples() {
		calls += sample.Calls
	}
	if calls != 1 {
		t.Errorf("the meter saw %d calls, want the create", calls)
	}
	if err := m.Close(); err != nil || !closed.Load() {
		t.Errorf("Close: %v, the store closed: %v; want it closed", err, closed.Load())
	}
}

// loading is a store in memory with a Load of its own.
type loading struct {
	*memory.Store
	loads *atomic.Int64
}

func (l loading) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	l.loads.Add(1)
	return l.Store.Load(ctx, id)
}

// TestLoadOfWrapper: a store that embeds the one in memory has its own Load called,
// though that one could do without.
func TestLoadOfWrapper(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var loads atomic.Int64
	m := open(t, session.Config{Store: loading{store, &loads}, SweepEvery: -1})
	made := visits.Session(m, func(s *session.Session) { s.Set("n", 1) })
	visits.Session(m, func(s *session.Session) {
		if n, _ := session.Get[int](s, "n"); n != 1 {
			t.Errorf("n is %d, want 1", n)
		}
	}, made.Cookies()...)
	if n := loads.Load(); n != 1 {
		t.Errorf("the wrapper's Load was called %d times, want once", n)
	}
}

// TestWrapStoreAroundStore: a store of the caller's is wrapped as well, and
// stays open.
func TestWrapStoreAroundStore(t *testing.T) {
	var fault *backendtest.Fault
	c := sessiontest.New(t, session.Config{WrapStore: func(store backend.Store) backend.Store {
		fault = backendtest.NewFault(store)
		return fault.Store()
	}})
	c.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).Set("n", 1) }), c.Request("GET", "/"))
	if n := fault.Calls(backendtest.OpCreate); n != 1 {
		t.Errorf("%d creates went through the wrapper, want 1", n)
	}
}

// TestWrapStoreReturnsNothing is an error that names the field, and leaves
// nothing open.
func TestWrapStoreReturnsNothing(t *testing.T) {
	provider, closed := openClosing()
	for name, wrap := range map[string]func(backend.Store) backend.Store{
		"nil":           func(backend.Store) backend.Store { return nil },
		"a nil pointer": func(backend.Store) backend.Store { return (*memory.Store)(nil) },
	} {
		closed.Store(false)
		_, err := session.New(session.Config{Provider: provider, WrapStore: wrap})
		if err == nil || !strings.Contains(err.Error(), "Config.WrapStore") || !closed.Load() {
			t.Errorf("%s: New returned %v, the store closed: %v; want an error that names the field, and it closed", name, err, closed.Load())
		}
	}
}

// promising is a store that says what a crash does to it.
type promising struct {
	backend.Store
	text string
}

func (p promising) Durability() string { return p.text }

func TestDurabilityIsLoggedAtStart(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, c := range []struct {
		store backend.Store
		want  string
	}{
		{store, ""},
		{promising{store, ""}, ""},
		{promising{store, "a failover undoes logouts"}, `durability="a failover undoes logouts"`},
	} {
		var log bytes.Buffer
		m, err := session.New(session.Config{Store: c.store, SweepEvery: -1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), c.want) || c.want == "" && log.Len() > 0 {
			t.Errorf("New logs %q, want %q", log.String(), c.want)
		}
	}
}

// TestStartLogoutUnconfirmed: a logout by Start that the replicas do not get is
// an error of Save, and the browser keeps its cookie, so that it can try again.
func TestStartLogoutUnconfirmed(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fault := backendtest.NewFault(store)
	m, err := session.New(session.Config{
		Store: fault.StoreWith(backendtest.Capabilities(store) | backendtest.Confirmer), SweepEvery: -1, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	act := func(cookies []*http.Cookie, do func(*session.Session)) ([]*http.Cookie, error) {
		t.Helper()
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "https://example.com/", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		s, err := m.Start(w, r)
		if err != nil {
			t.Fatal(err)
		}
		do(s)
		err = s.Save()
		_ = s.Release() // what it says, Save has said
		return w.Result().Cookies(), err
	}
	cookies, err := act(nil, func(s *session.Session) { s.SetUser("ada") })
	if err != nil || len(cookies) != 1 {
		t.Fatalf("the login: cookies %v, %v; want one", cookies, err)
	}
	fault.On(backendtest.OpDeleteVersion, backendtest.Always, backendtest.Fail(backend.ErrNotReplicated))
	if got, err := act(cookies, (*session.Session).Destroy); !errors.Is(err, backend.ErrNotReplicated) || len(got) != 0 {
		t.Errorf("a logout that no replica got: cookies %v, %v; want none and ErrNotReplicated", got, err)
	}
	fault.Reset()
	if got, err := act(cookies, (*session.Session).Destroy); err != nil || len(got) != 1 || got[0].MaxAge >= 0 {
		t.Errorf("the next logout: cookies %v, %v; want the removal", got, err)
	}
}

// TestPlainHTTPAdvice: the warning that logins will not stick over plain HTTP
// advises nothing that New refuses.
func TestPlainHTTPAdvice(t *testing.T) {
	for name, opts := range map[string]cookie.Options{
		"default":       {},
		"SameSite=None": {SameSite: http.SameSiteNoneMode},
		"Partitioned":   {Partitioned: true},
		"__Host-":       {Name: "__Host-session"},
	} {
		var log bytes.Buffer
		m, err := session.New(session.Config{Cookie: opts, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("seen", true)
		})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://shop.example/", nil))
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		opts.Insecure = true
		_, err = session.New(session.Config{Cookie: opts, Disabled: true})
		if advised := strings.Contains(log.String(), "or set Config.Cookie.Insecure"); advised != (err == nil) {
			t.Errorf("%s: Insecure is advised: %t, and New says of it: %v", name, advised, err)
		}
		if !strings.Contains(log.String(), "let the proxy send X-Forwarded-Proto: https") {
			t.Errorf("%s: the log says nothing of the proxy: %s", name, &log)
		}
	}
}
