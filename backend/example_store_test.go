package backend_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// A mapStore is the smallest store: the five methods, on a map. It is where to
// begin one of your own. What it lacks, a list of a user's sessions and the removal
// of those that have expired, is for the optional interfaces.
type mapStore struct {
	mu      sync.Mutex // guards records
	records map[uuid.UUID]backend.Record
}

var (
	_ backend.Store   = (*mapStore)(nil)
	_ backend.Bounded = (*mapStore)(nil)
)

func newMapStore() *mapStore { return &mapStore{records: make(map[uuid.UUID]backend.Record)} }

// Bounded says that every call ends by itself, so that none has to look at its
// context. A store on a server that can be slow passes the context on instead.
func (s *mapStore) Bounded() bool { return true }

// live returns the record of id, if it has not expired. mu is held.
func (s *mapStore) live(id uuid.UUID) (backend.Record, error) {
	rec, ok := s.records[id]
	if !ok || !time.Now().Before(rec.Expires) {
		return backend.Record{}, backend.ErrNotFound
	}
	return rec, nil
}

func (s *mapStore) Load(_ context.Context, id uuid.UUID) (backend.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live(id)
}

func (s *mapStore) Create(_ context.Context, rec backend.Record) error {
	if len(rec.User) > backend.MaxUser {
		return backend.ErrUser
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.live(rec.ID); err == nil {
		return backend.ErrExists
	}
	rec.Version, rec.Shorten, rec.Confirm = 1, false, false
	s.records[rec.ID] = rec
	return nil
}

func (s *mapStore) Update(_ context.Context, rec backend.Record) error {
	if len(rec.User) > backend.MaxUser {
		return backend.ErrUser
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.live(rec.ID)
	if err != nil {
		return err
	}
	if old.Version != rec.Version {
		return backend.ErrConflict
	}
	if !rec.Shorten && rec.Expires.Before(old.Expires) {
		rec.Expires = old.Expires // a Touch has overtaken this write
	}
	rec.Version, rec.Shorten, rec.Confirm = old.Version+1, false, false
	s.records[rec.ID] = rec
	return nil
}

func (s *mapStore) Touch(_ context.Context, id uuid.UUID, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, err := s.live(id)
	if err != nil {
		return err
	}
	if expires.After(rec.Expires) {
		rec.Expires = expires
		s.records[id] = rec
	}
	return nil
}

func (s *mapStore) Delete(_ context.Context, id uuid.UUID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, id)
	return nil
}

// TestMapStore is all the test that a store needs to begin with.
func TestMapStore(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backend.Store { return newMapStore() })
}
