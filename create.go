package session

import (
	"context"
	"errors"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// maxCollisions is how many taken IDs a new session puts up with: one is a
// miracle, more are a broken store.
const maxCollisions = 3

// create stores a new session with vals: its own, or a copy that Update's
// function has worked on.
func (s *Session) create(ctx context.Context, vals *record.Changes) error {
	if s.sent {
		s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
		s.changed = 0
		return ErrHeadersSent
	}
	if s.uninvited() {
		return s.turnAway()
	}
	tries := attempt{began: nowMillis(), patience: s.m.cfg.StoreTimeout}
	for collisions := 0; ; collisions++ {
		epoch := s.epoch
		if err := s.reachable(); err != nil || s.epoch != epoch { // destroyed before it was there
			return err
		}
		s.ensureID()
		t := s.try()
		now := s.settings()
		h := s.newHead(now, &t)
		key, err := s.keyFor(&t.next)
		if err != nil {
			return err
		}
		data, plain, err := record.Encode(s.cred.ID(), now.user, &h, vals, s.m.protect, key)
		if err != nil {
			return err
		}
		rec := backend.Record{ID: s.cred.ID(), User: now.user, Data: data}
		expires := s.m.expiry(&s.cred, now.idle, now.absolute, tries.began)
		rec.Expires = time.UnixMilli(expires)
		rec.Version = 1
		rec.Confirm = rec.User != ""
		tries.commit, tries.confirm = h.Commit, rec.Confirm
		s.outside(func() { rec, err = s.m.create(ctx, rec, &h, &tries) })
		switch {
		case err == nil:
			s.m.stats.add(statCreates, &t.next)
			s.hook(s.m.cfg.Hooks.Created, &t.next, now.user)
		case s.epoch != t.epoch:
			return nil // destroyed before it was there
		case errors.Is(err, backend.ErrExists) && collisions < maxCollisions:
			s.known, s.seal = false, nil // another ID; whoever has this one keeps it
			continue
		default:
			return s.m.failed("create", err)
		}
		if s.epoch != t.epoch { // destroyed meanwhile: what was stored is to go
			s.doomed = &doomed{cred: t.next, version: rec.Version}
			return nil
		}
		s.exists = true
		s.stored(&t, rec, h, plain, vals)
		s.altered = true
		s.cookie = cookieSet
		return s.trim(ctx, now.user)
	}
}

// create stores a new record, and finds out what became of a call that failed.
func (m *Manager) create(ctx context.Context, rec backend.Record, h *record.Head, tries *attempt) (backend.Record, error) {
	err := m.store.Create(ctx, rec)
	if err == nil || errors.Is(err, backend.ErrExists) || definite(err) || tries.hung(ctx) {
		return rec, err
	}
	tries.doubted(err)
	return m.createdAfterAll(ctx, err, rec, h, tries)
}

// createdAfterAll finds out whether a Create that failed was done all the
// same, its reply lost; if it was not, it is tried once more.
func (m *Manager) createdAfterAll(ctx context.Context, failure error, rec backend.Record, h *record.Head, tries *attempt) (backend.Record, error) {
	there, err := m.store.Load(ctx, rec.ID)
	if errors.Is(err, backend.ErrNotFound) {
		err = m.store.Create(ctx, rec)
		if !errors.Is(err, backend.ErrExists) {
			return rec, err
		}
		there, err = m.store.Load(ctx, rec.ID) // the first one was on its way
	}
	if err != nil {
		return rec, failure
	}
	if got, err := record.ParseHead(there.Data); err == nil && got.Commit == h.Commit && got.Hash == h.Hash {
		return m.complete(ctx, there, tries)
	}
	return rec, backend.ErrExists
}

// definite reports whether a store's error says for sure that nothing was
// written.
func definite(err error) bool {
	return errors.Is(err, backend.ErrTooLarge) || errors.Is(err, backend.ErrUser) || errors.Is(err, backend.ErrClosed)
}

// stored makes s what it is after a successful write of vals. What was changed
// since t is left for the next one.
func (s *Session) stored(t *try, rec backend.Record, h record.Head, plain record.Body, vals *record.Changes) {
	s.version, s.user, s.loaded = rec.Version, rec.User, h
	s.expires = rec.Expires.UnixMilli()
	if s.changed = s.left(t); s.changed == 0 {
		s.want = settings{}
	}
	if s.changed&changedOwner == 0 { // else another user's since t: all that was stored is to go
		s.vals.Settle(vals, plain)
	}
}
