package session_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
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

func openClosing(t *testing.T, name string) *atomic.Bool {
	closed := new(atomic.Bool)
	backend.Register(name, func(string) (backend.Store, error) {
		store, err := memory.New(memory.Options{})
		return closing{store, closed}, err
	})
	return closed
}

// TestWrapStore: every call of a store that is opened by name goes through the
// wrapper, which may be admin's, and Close closes what is inside.
func TestWrapStore(t *testing.T) {
	closed := openClosing(t, "wrapped by a test")
	var meter *admin.Meter
	m, err := session.New(session.Config{
		Provider: "wrapped by a test", SweepEvery: -1, MaxPerUser: 2,
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
	closed := openClosing(t, "wrapped by nothing")
	for name, wrap := range map[string]func(backend.Store) backend.Store{
		"nil":           func(backend.Store) backend.Store { return nil },
		"a nil pointer": func(backend.Store) backend.Store { return (*memory.Store)(nil) },
	} {
		closed.Store(false)
		_, err := session.New(session.Config{Provider: "wrapped by nothing", WrapStore: wrap})
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
