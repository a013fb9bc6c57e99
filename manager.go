package session

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	_ "github.com/chisession/session/backend/file" // always known by name
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/gc"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/stored"
	"github.com/chisession/session/internal/watch"
)

// A Manager owns a store's sessions: it loads, stores and ends them. It is
// safe for concurrent use. Several managers, in one process or many, may share
// a store.
type Manager struct {
	cfg    Config
	store  stored.Store
	owned  io.Closer // the store, if the manager opened it
	cookie *cookie.Cookie
	key    cookieKey

	bounded    bool // the store keeps time itself, and well enough
	persistent bool // cookies outlive the browser

	collector *gc.Collector
	poller    watch.Poller
	stats     counters
	warned    atomic.Bool // of a Secure cookie over plain HTTP
	generic   seen        // keys that Get returned the generic form of
	closed    atomic.Bool
	off       *Session // what handlers get when sessions are disabled
	skipped   *Session // ...or skipped
	released  *Session // ...or over

	// What a manager with a guard does besides: see guarded. All are nil in a
	// program without one, which therefore has none of the code behind them.
	guard           http.Handler
	admit, complete hook
}

// New makes a manager from cfg: it opens the store, unless cfg has one, and
// starts the collector of expired sessions. Close it when the server has shut
// down.
func New(cfg Config) (*Manager, error) {
	hurried := cfg.StoreTimeout > 0 && cfg.StoreTimeout < boundedWithin
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, off: detached(ErrDisabled), skipped: detached(ErrSkipped), released: detached(ErrReleased)}
	for _, s := range []*Session{m.off, m.skipped, m.released} {
		s.m = m // for its log
	}
	m.cookie, err = cookie.New(cfg.Cookie)
	if err != nil {
		return nil, fmt.Errorf("session: Config.Cookie: %w", err)
	}
	m.key = cfg.Transport.key(m.cookie.Name())
	m.persistent = m.cookie.Options().Persistent
	if cfg.Disabled {
		return m, nil
	}
	if err := m.open(); err != nil {
		return nil, err
	}
	m.poller.Store, m.poller.Timeout, m.poller.Logger = &m.store, cfg.StoreTimeout, cfg.Logger
	m.poller.Failed = func(err error) { m.failed("watch", err) }
	m.bounded = m.store.Can.Bounded && (!hurried || m.store.Can.InProcess)
	m.collect()
	return m, nil
}

// boundedWithin is how long a call to a backend.Bounded store takes at the
// most.
const boundedWithin = 5 * time.Second

// open opens the store and finds out what it can.
func (m *Manager) open() error {
	store := m.cfg.Store
	if store == nil {
		var err error
		if store, err = backend.Open(m.cfg.Provider, m.cfg.SavePath); err != nil {
			return fmt.Errorf("session: Config.Provider: %w", err)
		}
	}
	if m.cfg.Store == nil {
		m.owned = backend.AbilitiesOf(store).Closer
	}
	if err := m.use(store); err != nil {
		if m.owned != nil {
			m.owned.Close()
		}
		return err
	}
	m.store.Protect = record.Sealed
	m.store.Patience, m.store.Idle, m.store.Absolute = m.cfg.StoreTimeout, m.cfg.IdleTimeout, m.cfg.AbsoluteTimeout
	switch {
	case m.store.Can.InProcess:
		m.store.Protect = record.Plain
	case m.cfg.NoSeal:
		m.store.Protect = record.Tagged
	}
	m.announce()
	return nil
}

// use makes store the manager's, wrapped by Config.WrapStore, and looks at what
// that can do.
func (m *Manager) use(store backend.Store) error {
	if m.cfg.WrapStore != nil {
		wrapped := m.cfg.WrapStore(store)
		if wrapped == nil || isNil(wrapped) {
			return fmt.Errorf("session: Config.WrapStore returned nil for a %T: return a store", store)
		}
		store = wrapped
	}
	m.store.Backend, m.store.Can = store, backend.AbilitiesOf(store)
	if own, ok := store.(*memory.Store); ok { // and nothing around it that its calls have to pass
		m.store.LoadAt = own.LoadAt
	}
	if m.store.Can.UserIndex == nil && m.cfg.MaxPerUser > 0 {
		return fmt.Errorf("session: Config.MaxPerUser needs a store with an index by user; %T is no backend.UserIndex", store)
	}
	return nil
}

// announce logs what a failure of a server would undo: whoever runs the program
// may know of no other place to look.
func (m *Manager) announce() {
	if text := m.store.Can.Durability; text != "" {
		m.cfg.Logger.LogAttrs(context.Background(), slog.LevelInfo, "session: the store is open", slog.String("durability", text))
	}
}

// collect starts the collector, if there is something to collect.
func (m *Manager) collect() {
	sweeper := m.store.Can.Sweeper
	if sweeper == nil || m.cfg.SweepEvery < 0 {
		return
	}
	m.collector = gc.Start(sweeper, gc.Options{
		Every:  m.cfg.SweepEvery,
		Logger: m.cfg.Logger,
		Swept:  func(n int) { m.stats.addN(statSwept, n) },
	})
}

// Close stops the collector, waits for the store calls under way and closes
// the store, if the manager opened it. Requests that come later, or want to
// store later, get an error response. The channels of [Session.Done] are closed.
// Closing twice is no error.
func (m *Manager) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
	m.poller.Close()
	if m.collector != nil {
		m.collector.Stop()
	}
	if m.owned == nil {
		return nil
	}
	if err := m.owned.Close(); err != nil {
		return fmt.Errorf("session: close the store: %w", err)
	}
	return nil
}

// Count returns the number of live sessions. The store must be a
// backend.Counter.
func (m *Manager) Count(ctx context.Context) (int, error) {
	if m.store.Can.Counter == nil {
		return 0, m.lacks("Count", "backend.Counter")
	}
	n, err := m.store.Can.Counter.Count(ctx)
	if err != nil {
		return 0, m.failed("count", err)
	}
	return n, nil
}

// Sweep removes the sessions that have expired and returns how many. The
// manager does so by itself; it is for those who turned that off. A store
// whose server removes them has nothing to sweep.
func (m *Manager) Sweep(ctx context.Context) (int, error) {
	if m.store.Can.Sweeper == nil {
		return 0, nil
	}
	n, err := gc.Sweep(ctx, m.store.Can.Sweeper)
	m.stats.addN(statSwept, n)
	if err != nil {
		return n, m.failed("sweep", err)
	}
	return n, nil
}

func (m *Manager) lacks(method, iface string) error {
	if m.cfg.Disabled {
		return ErrDisabled
	}
	return fmt.Errorf("session: %s: the store (%T) is no %s", method, m.store.Backend, iface)
}

func (m *Manager) failed(op string, err error) error {
	m.stats.add(statErrors, nil)
	return &StoreError{Op: op, Err: err}
}

// storeContext returns the context for a request's store calls: it goes on
// when the client has gone, and ends at the timeout, unless the store keeps
// time itself.
func (m *Manager) storeContext(x *exchange) (context.Context, context.CancelFunc) {
	if m.bounded {
		return (*callContext)(x), func() {}
	}
	return context.WithTimeout((*callContext)(x), m.cfg.StoreTimeout)
}

// Format prints the manager's configuration, without what may be secret.
func (m *Manager) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session.Manager{%v}", m.cfg) }

// parseID reads a public ID as Session.ID gives it.
func parseID(id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id {
		// It may be a token by mistake: it is not repeated.
		return uuid.UUID{}, fmt.Errorf("session: a text of %d bytes is no session ID: give one from Session.ID or Manager.Sessions", len(id))
	}
	return parsed, nil
}
