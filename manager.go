package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	_ "github.com/chisession/session/backend/file"   // always known by name
	_ "github.com/chisession/session/backend/memory" // always known by name
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/gc"
)

// A Manager owns a store's sessions: it loads, stores and ends them. It is
// safe for concurrent use. Several managers, in one process or many, may share
// a store.
type Manager struct {
	cfg    Config
	store  backend.Store
	owned  io.Closer // the store, if the manager opened it
	cookie *cookie.Cookie
	key    cookieKey

	seal       bool // values are encrypted
	trusted    bool // the store lives in this process
	bounded    bool // the store keeps time itself
	persistent bool // cookies outlive the browser

	collector *gc.Collector
	queues    [64]turn // commits of one session queue here, by ID
	stats     counters
	warned    atomic.Bool // of a Secure cookie over plain HTTP
	closed    atomic.Bool
	off       *Session // what handlers get when sessions are disabled
	skipped   *Session // ...or skipped
}

// New makes a manager from cfg: it opens the store, unless cfg has one, and
// starts the collector of expired sessions. Close it when the server has shut
// down.
func New(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{cfg: cfg, off: detached(ErrDisabled), skipped: detached(ErrSkipped)}
	m.cookie, err = cookie.New(cfg.Cookie)
	if err != nil {
		return nil, fmt.Errorf("session: Config.Cookie: %w", err)
	}
	m.key = cfg.Transport.key(m.cookie.Name())
	m.persistent = m.cookie.Options().Persistent
	for i := range m.queues {
		m.queues[i] = make(turn, 1)
	}
	if cfg.Disabled {
		return m, nil
	}
	if err := m.open(); err != nil {
		return nil, err
	}
	m.collect()
	return m, nil
}

func (m *Manager) open() error {
	m.store = m.cfg.Store
	if m.store == nil {
		store, err := backend.Open(m.cfg.Provider, m.cfg.SavePath)
		if err != nil {
			return fmt.Errorf("session: Config.Provider: %w", err)
		}
		m.store = store
		m.owned, _ = store.(io.Closer)
	}
	if _, ok := m.store.(backend.UserIndex); !ok && m.cfg.MaxPerUser > 0 {
		if m.owned != nil {
			m.owned.Close()
		}
		return fmt.Errorf("session: Config.MaxPerUser needs a store with an index by user; %T is no backend.UserIndex", m.store)
	}
	_, m.trusted = m.store.(backend.InProcess)
	m.seal = !m.cfg.NoSeal && !m.trusted
	if b, ok := m.store.(backend.Bounded); ok {
		m.bounded = b.Bounded()
	}
	return nil
}

// collect starts the collector, if there is something to collect.
func (m *Manager) collect() {
	sweeper, ok := m.store.(backend.Sweeper)
	if !ok || m.cfg.SweepEvery < 0 {
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
// store later, get an error answer. Closing twice is no error.
func (m *Manager) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
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
	counter, ok := m.store.(backend.Counter)
	if !ok {
		return 0, m.lacks("Count", "backend.Counter")
	}
	n, err := counter.Count(ctx)
	if err != nil {
		return 0, m.failed("count", err)
	}
	return n, nil
}

// Sweep removes the sessions that have expired and returns how many. The
// manager does so by itself; it is for those who turned that off. A store
// whose server removes them has nothing to sweep.
func (m *Manager) Sweep(ctx context.Context) (int, error) {
	sweeper, ok := m.store.(backend.Sweeper)
	if !ok {
		return 0, nil
	}
	n, err := gc.Sweep(ctx, sweeper)
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
	return fmt.Errorf("session: %s: the store (%T) is no %s", method, m.store, iface)
}

// A StoreError says that the store failed, and in what.
type StoreError struct {
	Op  string // load, create, update, destroy, ...
	Err error
}

func (e *StoreError) Error() string { return "session: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the store's own error.
func (e *StoreError) Unwrap() error { return e.Err }

func (m *Manager) failed(op string, err error) error {
	m.stats.add(statErrors, nil)
	return &StoreError{Op: op, Err: err}
}

// storeContext returns the context for a request's store calls: it goes on
// when the client has gone, and ends at the timeout, unless the store keeps
// time itself.
func (m *Manager) storeContext(x *exchange) (context.Context, context.CancelFunc) {
	if m.bounded {
		return (*lasting)(x), func() {}
	}
	return context.WithTimeout((*lasting)(x), m.cfg.StoreTimeout)
}

// A turn is a place at the head of a queue, until it is left.
type turn chan struct{}

func (t turn) leave() { <-t }

// queue waits for the turn of a commit to the session of cred, so that the
// commits of one process do not collide in the store for nothing.
func (m *Manager) queue(ctx context.Context, cred *credentials) (turn, error) {
	queue := m.queues[cred[14]&63]
	select {
	case queue <- struct{}{}:
		return queue, nil
	default:
	}
	timer := time.NewTimer(m.cfg.StoreTimeout)
	defer timer.Stop()
	select {
	case queue <- struct{}{}:
		return queue, nil
	case <-timer.C:
		return nil, context.DeadlineExceeded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// load finds the session that the request's tokens name. Of several cookies
// of the name the first that is a live session counts: a stale one that some
// other path or sub-domain set must not hide it.
func (m *Manager) load(s *Session, h http.Header) error {
	const most = 4
	var seen [most]credentials
	n := 0
	var err error
	s.x.transport = m.choose(h)
	m.tokens(s.x.transport, h, func(value string) bool {
		var ok bool
		if s.next, ok = parseToken(value); !ok || slices.Contains(seen[:n], s.next) {
			return true
		}
		if n == 1 {
			m.stats.add(statTossed, &s.next)
			m.hookRejected(&s.next, ReasonTossed)
		}
		if s.exists {
			return false
		}
		seen[n] = s.next
		n++
		err = m.loadOne(s, &s.next)
		return err == nil && n < most
	})
	return err
}

// loadOne makes s the session of cred if there is one.
func (m *Manager) loadOne(s *Session, cred *credentials) error {
	ctx, cancel := m.loadContext(s.x)
	rec, err := m.store.Load(ctx, cred.id())
	cancel()
	m.stats.add(statLoads, cred)
	if errors.Is(err, backend.ErrNotFound) {
		m.reject(cred, ReasonUnknown)
		return nil
	}
	if err != nil {
		return m.failed("load", err)
	}
	got, reason, err := m.verify(rec, cred)
	switch {
	case reason == ReasonAbsolute:
		m.expire(s, cred, rec.Version)
	case reason == ReasonSuperseded:
		s.lost, s.late = ErrSuperseded, true
	case reason == ReasonUnreadable:
		m.stats.add(statUnreadable, cred)
		m.cfg.Logger.LogAttrs(s.x, slog.LevelWarn, "session: unreadable record, the request gets a new session",
			slog.String("id", cred.id().String()), slog.Any("error", err))
	}
	if reason != "" {
		m.reject(cred, reason)
		return nil
	}
	m.stats.add(statHits, cred)
	s.cred, s.known, s.exists = *cred, true, true
	s.lost, s.late = nil, false
	s.adopt(got)
	s.vals.reset(got.values, m.cfg.MaxBytes)
	return nil
}

// loadContext is a storeContext that also ends with the client, where the
// store wants a deadline at all.
func (m *Manager) loadContext(x *exchange) (context.Context, context.CancelFunc) {
	if m.bounded {
		return (*lasting)(x), func() {}
	}
	return context.WithTimeout(x.Context, m.cfg.StoreTimeout)
}

func (m *Manager) reject(cred *credentials, reason Reason) {
	m.stats.add(statRejected, cred)
	m.hookRejected(cred, reason)
}

func (m *Manager) hookRejected(cred *credentials, reason Reason) {
	if f := m.cfg.Hooks.Rejected; f != nil {
		f(cred.id().String(), reason)
	}
}

// expire removes a session whose absolute timeout has passed. If that fails
// the session is over all the same; the sweep will find the record. If another
// request has renewed or prolonged it at this very moment, this one came late.
func (m *Manager) expire(s *Session, cred *credentials, version uint64) {
	ctx, cancel := m.storeContext(s.x)
	defer cancel()
	err := m.deleteVersion(ctx, &doomed{*cred, version})
	switch {
	case err == nil:
		m.stats.add(statDeletes, cred)
		if f := m.cfg.Hooks.Destroyed; f != nil {
			f(cred.id().String(), ReasonAbsolute)
		}
	case errors.Is(err, backend.ErrNotFound):
	case errors.Is(err, backend.ErrConflict):
		s.lost, s.late = ErrSuperseded, true
	default:
		m.cfg.Logger.LogAttrs(s.x, slog.LevelWarn, "session: expired, but not removed",
			slog.String("id", cred.id().String()), slog.Any("error", m.failed("delete", err)))
	}
}

// A loaded is a record that has been verified and opened.
type loaded struct {
	rec    backend.Record
	head   head
	values body
}

// verify decides whether rec is the session of cred: the pure part of loading.
func (m *Manager) verify(rec backend.Record, cred *credentials) (loaded, Reason, error) {
	h, err := parseHead(rec.Data)
	if err != nil {
		return loaded{}, ReasonUnreadable, err
	}
	now := time.Now()
	if !cred.matches(&h.hash) {
		if since := now.Sub(time.UnixMilli(h.renewed)); h.renewed != 0 && since < supersededFor {
			return loaded{}, ReasonSuperseded, nil
		}
		return loaded{}, ReasonSecret, nil
	}
	values, err := openRecord(cred, rec.User, rec.Data, &h, m.seal, m.trusted)
	if err != nil {
		return loaded{}, ReasonUnreadable, err
	}
	if _, absolute := m.timeouts(h.idle, h.absolute); !createdAt(rec.ID).Add(absolute).After(now) {
		return loaded{}, ReasonAbsolute, nil
	}
	return loaded{rec, h, values}, "", nil
}

// adopt makes s know the record that it stands for.
func (s *Session) adopt(l loaded) {
	s.version, s.expires, s.user, s.loaded = l.rec.Version, l.rec.Expires.UnixMilli(), l.rec.User, l.head
}

// fetch loads the newest record of s, mu held. If the session has ended, s is
// lost. A record with the commit ID is the caller's own write: it opens with
// the secret in next.
func (s *Session) fetch(ctx context.Context, next *credentials, commit uint64) (loaded, error) {
	rec, err := s.m.store.Load(ctx, s.cred.id())
	s.m.stats.add(statLoads, &s.cred)
	if errors.Is(err, backend.ErrNotFound) {
		s.lose(ErrDestroyed)
		return loaded{}, ErrDestroyed
	}
	if err != nil {
		return loaded{}, s.m.failed("load", err)
	}
	cred := &s.cred
	if h, err := parseHead(rec.Data); err == nil && commit != 0 && h.commit == commit {
		cred = next
	}
	got, reason, err := s.m.verify(rec, cred)
	switch reason {
	case "":
		return got, nil
	case ReasonSecret, ReasonSuperseded:
		if s.changed&changedUser != 0 && s.want.user == rec.User {
			s.changed &^= changedUser // both logged the same user in: nothing is lost
		}
		s.lose(ErrSuperseded)
		return loaded{}, ErrSuperseded
	case ReasonUnreadable:
		s.m.stats.add(statUnreadable, cred)
		s.log(slog.LevelWarn, "session: the record became unreadable", err)
	}
	s.lose(ErrDestroyed)
	return loaded{}, ErrDestroyed
}

// removeVersion deletes the record of d if its secret is still that of d.
func (m *Manager) removeVersion(ctx context.Context, d *doomed) error {
	deadline := time.Now().Add(m.cfg.StoreTimeout)
	for uncertain := 0; ; {
		err := m.deleteVersion(ctx, d)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, backend.ErrNotFound):
			if uncertain > 0 {
				return nil // our own delete, its reply lost
			}
			return err
		case errors.Is(err, backend.ErrConflict) && time.Now().Before(deadline):
		case uncertain == 0 && ctx.Err() == nil && time.Now().Before(deadline):
			uncertain++
		default:
			return err
		}
		rec, loadErr := m.store.Load(ctx, d.cred.id())
		if errors.Is(loadErr, backend.ErrNotFound) && uncertain > 0 {
			return nil
		}
		if loadErr != nil {
			return loadErr
		}
		if h, headErr := parseHead(rec.Data); headErr == nil && !d.cred.matches(&h.hash) {
			return ErrSuperseded
		}
		d.version = rec.Version
	}
}

// deleteVersion is the store's own, or made of an Update that empties the
// record, at its version, and a Delete of what is left.
func (m *Manager) deleteVersion(ctx context.Context, d *doomed) error {
	id := d.cred.id()
	if store, ok := m.store.(backend.VersionedDeleter); ok {
		return store.DeleteVersion(ctx, id, d.version)
	}
	rec := backend.Record{ID: id, Version: d.version, Expires: time.UnixMilli(0), Shorten: true}
	if err := m.store.Update(ctx, rec); err != nil {
		return err
	}
	return m.store.Delete(ctx, id)
}

// Format prints the manager's configuration, without what may be secret.
func (m *Manager) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session.Manager{%v}", m.cfg) }

// parseID reads a public ID as Session.ID gives it.
func parseID(id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id {
		return uuid.UUID{}, fmt.Errorf("session: %q is no session ID: give one from Session.ID or Manager.Sessions", cut(id, 64))
	}
	return parsed, nil
}
