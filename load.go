package session

import (
	"context"
	"crypto/cipher"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// supersededFor is how long after a renewal a request that comes with the old
// token may not start a session of its own: its cookie would replace the one
// that the renewal just sent.
const supersededFor = 10 * time.Second

// load finds the session that the request's tokens name. Of several cookies
// of the name the first that is a live session counts: a stale one that some
// other path or sub-domain set must not hide it.
//
// While it runs, s is handed out in the context of the store calls: it is
// empty, can be read, and refuses to be changed.
func (m *Manager) load(s *Session, h http.Header) error {
	const most = 4
	var seen [most]record.Credentials
	n := 0
	var err error
	s.mu.Lock()
	s.busy, s.loading = true, true
	s.mu.Unlock()
	m.tokens(s.x.transport, h, func(value string) bool {
		cred, ok := record.ParseToken(value)
		if !ok || slices.Contains(seen[:n], cred) {
			return true
		}
		if n == 1 {
			m.stats.add(statTossed, &cred)
			m.hookRejected(&cred, ReasonTossed)
		}
		if s.exists {
			return false
		}
		seen[n] = cred
		s.next = cred // only load itself looks at it here
		n++
		err = m.loadOne(s, &seen[n-1])
		return err == nil && n < most
	})
	s.mu.Lock()
	s.loading = false
	s.free()
	return err
}

// loadOne makes s the session of cred if there is one.
func (m *Manager) loadOne(s *Session, cred *record.Credentials) error {
	var got loaded
	var err error
	ctx, cancel := m.loadContext(s.x)
	got.rec, err = m.store.Load(ctx, cred.ID())
	cancel()
	m.stats.add(statLoads, cred)
	switch {
	case errors.Is(err, backend.ErrCorrupt):
		m.unreadable(s, cred, err)
		return nil
	case errors.Is(err, backend.ErrNotFound):
		if m.can.Confirms {
			gone := *cred
			s.absent = &gone
		}
		m.reject(cred, ReasonUnknown)
		return nil
	case err != nil && s.x.Err() != nil && errors.Is(err, s.x.Err()):
		return &StoreError{Op: "load", Err: err} // the client has gone: no fault of the store's
	case err != nil:
		return m.failed("load", err)
	}
	reason, err := m.verify(&got, cred)
	switch {
	case reason == ReasonAbsolute:
		m.expire(s, cred, got.rec.Version)
	case reason == ReasonSuperseded:
		s.cameLate()
	case reason == ReasonUnreadable:
		m.unreadable(s, cred, err)
		return nil
	}
	if reason != "" {
		m.reject(cred, reason)
		return nil
	}
	m.stats.add(statHits, cred)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = true
	s.cred, s.known, s.exists = *cred, true, true
	s.lost, s.late = nil, false
	s.adopt(&got)
	s.vals.Reset(got.values, m.cfg.MaxBytes)
	return nil
}

// cameLate notes that a token was replaced moments ago.
func (s *Session) cameLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost, s.late = ErrSuperseded, true
}

// triedID returns the public ID that could not be loaded.
func (s *Session) triedID() string { return s.next.ID().String() }

// loadContext is a storeContext that also ends with the client, where the
// store wants a deadline at all.
func (m *Manager) loadContext(x *exchange) (context.Context, context.CancelFunc) {
	if m.bounded {
		return (*lasting)(x), func() {}
	}
	return context.WithTimeout(x.Context, m.cfg.StoreTimeout)
}

func (m *Manager) reject(cred *record.Credentials, reason Reason) {
	m.stats.add(statRejected, cred)
	m.hookRejected(cred, reason)
}

// unreadable tells of a damaged record. The request gets a new session.
func (m *Manager) unreadable(s *Session, cred *record.Credentials, err error) {
	m.stats.add(statUnreadable, cred)
	m.cfg.Logger.LogAttrs(s.x, slog.LevelWarn, "session: unreadable record, the request gets a new session",
		slog.String("id", cred.ID().String()), slog.Any("error", err))
	m.reject(cred, ReasonUnreadable)
}

func (m *Manager) hookRejected(cred *record.Credentials, reason Reason) {
	if f := m.cfg.Hooks.Rejected; f != nil {
		f(cred.ID().String(), reason)
	}
}

// expire removes a session whose absolute timeout has passed. If that fails
// the session is over all the same; the sweep will find the record. If another
// request has renewed or prolonged it at this very moment, this one came late.
func (m *Manager) expire(s *Session, cred *record.Credentials, version uint64) {
	ctx, cancel := m.storeContext(s.x)
	defer cancel()
	err := m.deleteVersion(ctx, cred.ID(), version)
	switch {
	case err == nil:
		m.stats.add(statDeletes, cred)
		if f := m.cfg.Hooks.Destroyed; f != nil {
			f(cred.ID().String(), ReasonAbsolute)
		}
	case errors.Is(err, backend.ErrNotFound):
	case errors.Is(err, backend.ErrConflict):
		s.cameLate()
	default:
		m.cfg.Logger.LogAttrs(s.x, slog.LevelWarn, "session: expired, but not removed",
			slog.String("id", cred.ID().String()), slog.Any("error", m.failed("delete", err)))
	}
}

// A loaded is a record that has been verified and opened.
type loaded struct {
	rec    backend.Record
	head   record.Head
	values record.Body
	seal   cipher.AEAD // nil if it is not sealed
	at     int64       // Unix ms
}

// verify decides whether l.rec is the session of cred, and completes l if it
// is: the pure part of loading.
func (m *Manager) verify(l *loaded, cred *record.Credentials) (Reason, error) {
	if err := l.head.Parse(l.rec.Data); err != nil {
		return ReasonUnreadable, err
	}
	h := &l.head
	l.at = nowMillis()
	if !cred.Matches(&h.Hash) {
		if h.Renewed != 0 && l.at*1000-h.Renewed < supersededFor.Microseconds() {
			return ReasonSuperseded, nil
		}
		return ReasonSecret, nil
	}
	var err error
	l.values, l.seal, err = record.Open(cred, l.rec.User, l.rec.Data, h, m.protect)
	if err != nil {
		return ReasonUnreadable, err
	}
	if _, absolute := m.timeouts(h.Idle, h.Absolute); record.CreatedMillis(l.rec.ID)+absolute.Milliseconds() <= l.at {
		return ReasonAbsolute, nil
	}
	if h.Ended(l.at) {
		return ReasonUnknown, nil // as if the store had not found it
	}
	return "", nil
}

// adopt makes s know the record that it stands for.
func (s *Session) adopt(l *loaded) {
	s.version, s.expires, s.user, s.loaded = l.rec.Version, l.rec.Expires.UnixMilli(), l.rec.User, l.head
	s.at, s.seal = l.at, l.seal
	if l.head.Ends != 0 {
		s.expires = min(s.expires, l.head.Ends)
	}
}

// fetch loads the newest record of s, busy and mu held. If the session has
// ended, s is lost. A record with the commit ID is the caller's own write: it
// opens with the secret in next. If Destroy is called meanwhile, what it
// returns means nothing, and s is not lost by it.
func (s *Session) fetch(ctx context.Context, next record.Credentials, commit uint64) (loaded, error) {
	got := loaded{}
	var err error
	epoch, id := s.epoch, s.cred.ID()
	s.outside(func() { got.rec, err = s.m.store.Load(ctx, id) })
	s.m.stats.add(statLoads, &next)
	if s.epoch != epoch {
		return loaded{}, nil
	}
	if errors.Is(err, backend.ErrNotFound) {
		s.lose(ErrDestroyed)
		return loaded{}, ErrDestroyed
	}
	if err != nil {
		return loaded{}, s.m.failed("load", err)
	}
	cred := &s.cred
	if h, err := record.ParseHead(got.rec.Data); err == nil && commit != 0 && h.Commit == commit {
		cred = &next
	}
	reason, err := s.m.verify(&got, cred)
	switch reason {
	case "":
		return got, nil
	case ReasonSecret, ReasonSuperseded:
		s.lose(ErrSuperseded)
		return loaded{}, ErrSuperseded
	case ReasonUnreadable:
		s.m.stats.add(statUnreadable, cred)
		s.log(slog.LevelWarn, "session: the record became unreadable", err)
	}
	s.lose(ErrDestroyed)
	return loaded{}, ErrDestroyed
}
