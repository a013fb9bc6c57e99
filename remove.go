package session

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// remove deletes what Destroy was called on. A request that holds an old
// token cannot: the record goes only if its secret is still the one that this
// request came with, in one atomic step.
func (s *Session) remove(ctx context.Context) error {
	if s.doomed == nil {
		return nil
	}
	var err error
	s.outside(func() { err = s.m.removeVersion(ctx, s.doomed) }) // which nobody else changes
	switch {
	case err == nil && s.doomed.version == 0: // it was gone, and now for good
		s.cookie = s.removal()
	case err == nil:
		s.m.stats.add(statDeletes, &s.doomed.cred)
		if f := s.m.cfg.Hooks.Destroyed; f != nil {
			id := s.doomed.cred.ID().String()
			s.later(func() { f(id, ReasonDestroyed) })
		}
		s.cookie = s.removal()
	case errors.Is(err, backend.ErrNotFound):
		// Somebody else ended it: the cookie is theirs to change.
	case errors.Is(err, ErrSuperseded):
		// Somebody else renewed it. What was Set after Destroy would need a
		// cookie that replaces theirs.
		if s.cookie == cookieRemove { // an earlier try failed
			s.cookie = cookieAlone
		}
		if s.changed&changedSecret == 0 {
			s.cred, s.known, s.lost = s.doomed.cred, true, ErrSuperseded
			s.doomed = nil
			s.m.stats.add(statSuperseded, &s.cred)
			s.log(slog.LevelInfo, "session: not destroyed", ErrSuperseded)
			s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
			s.changed = 0
			return &logoutError{ErrSuperseded}
		}
	default:
		if !errors.Is(err, backend.ErrNotReplicated) { // which is most often gone at the next try
			s.cookie = s.removal() // the browser shall forget it all the same
		}
		return s.m.failed("destroy", err)
	}
	s.doomed = nil
	return nil
}

// A logoutError says that Destroy came too late to end anything: another
// request has renewed the session. A response of 200 would say "logged out" of
// a session that lives on; the browser has the new token, and can try again.
type logoutError struct{ why error }

func (e *logoutError) Error() string { return "session: not destroyed: " + e.why.Error() }

func (e *logoutError) Unwrap() error { return e.why }

// removal returns what Destroy does to the cookie: nothing if this request
// brought none, so that the browser has none to forget.
func (s *Session) removal() cookieState {
	if s.m.used(s.x.transport, s.x.request.Header) {
		return cookieRemove
	}
	return cookieAlone
}

// removeVersion deletes the record of d if its secret is still that of d.
func (m *Manager) removeVersion(ctx context.Context, d *doomed) error {
	if d.version == 0 {
		return m.confirmGone(ctx, d.cred.ID())
	}
	tries := attempt{began: nowMillis(), patience: m.cfg.StoreTimeout}
	for uncertain := 0; ; {
		err := m.deleteVersion(ctx, d.cred.ID(), d.version)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, backend.ErrNotFound):
			if gone := m.confirmGone(ctx, d.cred.ID()); gone != nil || uncertain > 0 {
				return gone // nil: our own delete, its reply lost
			}
			return err
		case errors.Is(err, backend.ErrConflict) && !tries.late(ctx):
		case uncertain == 0 && !tries.hung(ctx):
			uncertain++
		default:
			return err
		}
		rec, loadErr := m.store.Load(ctx, d.cred.ID())
		if errors.Is(loadErr, backend.ErrNotFound) && uncertain > 0 {
			return m.confirmGone(ctx, d.cred.ID())
		}
		if loadErr != nil {
			return loadErr
		}
		if h, headErr := record.ParseHead(rec.Data); headErr == nil && !d.cred.Matches(&h.Hash) {
			return ErrSuperseded
		}
		d.version = rec.Version
	}
}

// confirmGone makes sure that the record of id, which the store does not find,
// is not found after a failover either. That needs a call only with a store that
// is a backend.Confirmer: whoever ended the session may not have been told nil.
func (m *Manager) confirmGone(ctx context.Context, id uuid.UUID) error {
	if !m.can.Confirms {
		return nil
	}
	return m.store.Delete(ctx, id)
}

// deleteVersion deletes a record at its version: by the store's own means, or
// by an Update that empties the record, at its version, and a Delete of what
// is left.
func (m *Manager) deleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	if m.can.VersionedDeleter != nil {
		return m.can.VersionedDeleter.DeleteVersion(ctx, id, version)
	}
	rec := backend.Record{ID: id, Version: version, Expires: time.UnixMilli(0), Shorten: true}
	if err := m.store.Update(ctx, rec); err != nil {
		return err
	}
	return m.store.Delete(ctx, id)
}
