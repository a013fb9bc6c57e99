package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/stored"
)

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
	s.work.busy, s.phase = true, phaseLoading
	s.mu.Unlock()
	m.tokens(s.x.transport, h, func(value string) bool {
		cred, ok := record.ParseToken(value)
		if !ok || slices.Contains(seen[:n], cred) {
			return true
		}
		if n == 1 {
			m.stats.add(statTossed, &cred)
			m.tellRejected(s, &cred, ReasonTossed)
		}
		if s.rec.Exists {
			return false
		}
		seen[n] = cred
		s.want.next = cred // only load itself looks at it here
		n++
		err = m.loadOne(s, &seen[n-1])
		return err == nil && n < most
	})
	s.mu.Lock()
	s.phase = phaseOpen
	s.free()
	return err
}

// loadOne makes s the session of cred if there is one.
func (m *Manager) loadOne(s *Session, cred *record.Credentials) error {
	ctx, cancel := m.loadContext(s.x)
	got, values, err := m.store.Load(ctx, cred)
	cancel()
	m.stats.add(statLoads, cred)
	if err != nil {
		return m.notLoaded(s, cred, got.Version, got.User, err)
	}
	m.stats.add(statHits, cred)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rec, s.reply.live = got, true
	s.trouble.lost, s.trouble.late = nil, false
	s.vals.Reset(values, m.cfg.MaxBytes)
	return nil
}

// notLoaded tells why cred is no session's, or returns the store's error.
func (m *Manager) notLoaded(s *Session, cred *record.Credentials, version uint64, user string, err error) error {
	switch {
	case errors.Is(err, backend.ErrCorrupt), errors.Is(err, stored.ErrDamaged):
		m.unreadable(s, cred, err)
	case errors.Is(err, stored.ErrSuperseded):
		s.cameLate()
		m.reject(s, cred, ReasonSuperseded)
	case errors.Is(err, stored.ErrSecret):
		m.reject(s, cred, ReasonSecret)
	case errors.Is(err, stored.ErrAbsolute):
		m.expire(s, cred, version, user)
		m.reject(s, cred, ReasonAbsolute)
	case errors.Is(err, backend.ErrNotFound):
		if m.store.Can.Confirms {
			gone := *cred
			s.want.absent = &gone
		}
		m.reject(s, cred, ReasonUnknown)
	case s.x.Err() != nil && errors.Is(err, s.x.Err()):
		return &StoreError{Op: "load", Err: err} // the client has gone: no fault of the store's
	default:
		err = m.failed("load", err)
		m.tellOf(cred, s.x, Event{Kind: EventUnavailable, Err: err})
		return err
	}
	return nil
}

// cameLate notes that a token was replaced moments ago.
func (s *Session) cameLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble.lost, s.trouble.late = ErrSuperseded, true
}

// triedID returns the public ID that could not be loaded.
func (s *Session) triedID() string { return s.want.next.ID().String() }

// loadContext is a storeContext that also ends with the client, where the
// store wants a deadline at all.
func (m *Manager) loadContext(x *exchange) (context.Context, context.CancelFunc) {
	if m.bounded {
		return (*callContext)(x), func() {}
	}
	return context.WithTimeout(x.Context, m.cfg.StoreTimeout)
}

func (m *Manager) reject(s *Session, cred *record.Credentials, reason Reason) {
	m.stats.add(statRejected, cred)
	m.tellRejected(s, cred, reason)
}

// unreadable tells of a damaged record. The request gets a new session.
func (m *Manager) unreadable(s *Session, cred *record.Credentials, err error) {
	m.stats.add(statUnreadable, cred)
	s.x.log(slog.LevelWarn, "session: unreadable record, the request gets a new session",
		slog.String("id", cred.ID().String()), slog.Any("error", err))
	m.reject(s, cred, ReasonUnreadable)
}

func (m *Manager) tellRejected(s *Session, cred *record.Credentials, reason Reason) {
	m.tellOf(cred, s.x, Event{Kind: EventRejected, Reason: reason})
}

// expire removes a session whose absolute timeout has passed. If that fails
// the session is over all the same; the sweep will find the record. If another
// request has renewed or prolonged it at this very moment, this one came late.
func (m *Manager) expire(s *Session, cred *record.Credentials, version uint64, user string) {
	ctx, cancel := m.storeContext(s.x)
	defer cancel()
	err := m.store.DeleteVersion(ctx, cred.ID(), version)
	switch {
	case err == nil:
		m.stats.add(statDeletes, cred)
		m.tellOf(cred, s.x, Event{Kind: EventEnded, User: user, Reason: ReasonAbsolute})
	case errors.Is(err, backend.ErrNotFound):
	case errors.Is(err, backend.ErrConflict):
		s.cameLate()
	default:
		s.x.log(slog.LevelWarn, "session: expired, but not removed",
			slog.String("id", cred.ID().String()), slog.Any("error", m.failed("delete", err)))
	}
}

// Reload drops what this request changed since it was last stored, and reads
// the session anew, with what other requests have stored. If the session has
// ended it is ErrDestroyed, or ErrSuperseded, and the session is empty.
func (s *Session) Reload() error {
	if err := s.claim(nestedAfter); err != nil {
		return err
	}
	defer s.free()
	s.reply.used = true
	if err := s.gone(); err != nil {
		return err
	}
	if s.trouble.outage {
		return ErrUnavailable
	}
	if err := firstError(s.trouble.over, s.trouble.lost); err != nil {
		return err
	}
	s.trouble.err, s.trouble.refused = nil, nil
	s.want.settings, s.want.changed = settings{}, 0
	if !s.rec.Exists {
		s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
		return nil
	}
	return s.reload()
}

// reload is Reload for a session that was stored. If Destroy is called meanwhile,
// what the store returns means nothing.
func (s *Session) reload() error {
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	var (
		epoch, cred = s.work.epoch, s.rec.Cred
		newest      stored.Copy
		values      record.Body
		err         error
	)
	s.outside(func() { newest, values, err = s.m.store.Load(ctx, &cred) })
	s.m.stats.add(statLoads, &cred)
	if s.work.epoch != epoch {
		return nil
	}
	if err == nil {
		s.rec = newest
		s.vals.Reset(values, s.m.cfg.MaxBytes)
		return nil
	}
	lost := stored.LostBy(err)
	if lost == nil {
		return s.m.failed("load", err)
	}
	out := stored.Outcome{Lost: lost}
	if errors.Is(err, stored.ErrDamaged) {
		out.Damage = err
	}
	s.reportLoss(&out)
	return s.trouble.lost
}
