package session

import (
	"context"
	"errors"
	"time"

	"github.com/chisession/session/backend"
)

// maxCollisions is how many taken IDs a new session puts up with: one is a
// miracle, more are a broken store.
const maxCollisions = 3

// create stores a new session.
func (s *Session) create(ctx context.Context) error {
	if s.sent {
		s.vals.reset(body{}, s.m.cfg.MaxBytes)
		s.changed = 0
		return ErrHeadersSent
	}
	tries := attempt{began: nowMillis(), patience: s.m.cfg.StoreTimeout}
	for collisions := 0; ; collisions++ {
		if err := s.reachable(); err != nil {
			return err
		}
		s.ensureID()
		now := s.settings()
		h := s.newHead(now, &s.cred)
		key, err := s.keyFor(&s.cred)
		if err != nil {
			return err
		}
		data, plain, err := encodeRecord(s.cred.id(), now.user, &h, &s.vals.base, s.vals.changes, s.m.protect, key)
		if err != nil {
			return err
		}
		rec := backend.Record{ID: s.cred.id(), User: now.user, Data: data}
		expires := s.m.expiry(&s.cred, now.idle, now.absolute, tries.began)
		rec.Expires = time.UnixMilli(expires)
		rec.Version = 1
		err = s.m.store.Create(ctx, rec)
		if err != nil && !errors.Is(err, backend.ErrExists) {
			if definite(err) || tries.hung(ctx) {
				return s.m.failed("create", err)
			}
			tries.commit = h.commit
			rec, err = s.createdAfterAll(ctx, err, rec, &h, &tries)
		}
		if errors.Is(err, backend.ErrExists) && collisions < maxCollisions {
			s.known, s.seal = false, nil // another ID; whoever has this one keeps it
			continue
		}
		if err != nil {
			return s.m.failed("create", err)
		}
		s.m.stats.add(statCreates, &s.cred)
		s.exists = true
		s.stored(rec, h, plain)
		s.cookie = cookieSet
		s.hook(s.m.cfg.Hooks.Created, now.user)
		return s.trim(ctx, now.user)
	}
}

// createdAfterAll finds out whether a Create that failed was done all the
// same, its reply lost; if it was not, it is tried once more.
func (s *Session) createdAfterAll(ctx context.Context, failure error, rec backend.Record, h *head, tries *attempt) (backend.Record, error) {
	there, err := s.m.store.Load(ctx, rec.ID)
	if errors.Is(err, backend.ErrNotFound) {
		err = s.m.store.Create(ctx, rec)
		if !errors.Is(err, backend.ErrExists) {
			return rec, err
		}
		there, err = s.m.store.Load(ctx, rec.ID) // the first one was on its way
	}
	if err != nil {
		return rec, failure
	}
	if got, err := parseHead(there.Data); err == nil && got.commit == h.commit && got.hash == h.hash {
		return s.complete(ctx, there, tries)
	}
	return rec, backend.ErrExists
}

// definite reports whether a store's error says for sure that nothing was
// written.
func definite(err error) bool {
	return errors.Is(err, backend.ErrTooLarge) || errors.Is(err, backend.ErrUser) || errors.Is(err, backend.ErrClosed)
}

// stored makes s what it is after a successful write.
func (s *Session) stored(rec backend.Record, h head, plain body) {
	s.version, s.user, s.loaded = rec.Version, rec.User, h
	s.expires = rec.Expires.UnixMilli()
	s.vals.reset(plain, s.m.cfg.MaxBytes)
	s.changed, s.want = 0, settings{}
}
