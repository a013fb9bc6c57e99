package model

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
)

// The stores of this file are broken, each in one way. A model that does not
// find them is worth nothing.

// plainWrites has no compare-and-swap.
type plainWrites struct{ *memory.Store }

func (s plainWrites) Update(ctx context.Context, rec backend.Record) error {
	there, err := s.Store.Load(ctx, rec.ID)
	if err != nil {
		return err
	}
	rec.Version = there.Version
	return s.Store.Update(ctx, rec)
}

// upserts brings back what was deleted.
type upserts struct{ *memory.Store }

func (s upserts) Update(ctx context.Context, rec backend.Record) error {
	err := s.Store.Update(ctx, rec)
	if errors.Is(err, backend.ErrNotFound) {
		return s.Store.Create(ctx, rec)
	}
	return err
}

// noTouch says that it noted the activity, and does nothing.
type noTouch struct{ *memory.Store }

func (noTouch) Touch(context.Context, uuid.UUID, time.Time) error { return nil }

// touchBack moves the expiry back, too.
type touchBack struct{ *memory.Store }

func (s touchBack) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	for {
		rec, err := s.Store.Load(ctx, id)
		if err != nil {
			return err
		}
		rec.Expires, rec.Shorten = expires, true
		if err := s.Store.Update(ctx, rec); !errors.Is(err, backend.ErrConflict) {
			return err
		}
	}
}

// keeps deletes nothing.
type keeps struct{ *memory.Store }

func (keeps) Delete(context.Context, uuid.UUID) error                { return nil }
func (keeps) DeleteVersion(context.Context, uuid.UUID, uint64) error { return nil }

// deletesAny deletes whatever version is there.
type deletesAny struct{ *memory.Store }

func (s deletesAny) DeleteVersion(ctx context.Context, id uuid.UUID, _ uint64) error {
	if _, err := s.Store.Load(ctx, id); err != nil {
		return err
	}
	return s.Store.Delete(ctx, id)
}

// replica answers now and then from what was there before.
type replica struct {
	*memory.Store
	old map[uuid.UUID]backend.Record
}

func (s *replica) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	now, err := s.Store.Load(ctx, id)
	old, ok := s.old[id]
	if err == nil {
		s.old[id] = now
	}
	if ok && rand.IntN(4) == 0 {
		return old, nil
	}
	return now, err
}

// forgetful loses one write in eight, and says that it was done.
type forgetful struct{ *memory.Store }

func (s forgetful) Update(ctx context.Context, rec backend.Record) error {
	if rand.IntN(8) == 0 {
		return nil
	}
	return s.Store.Update(ctx, rec)
}

// misfiled has a user index that is empty.
type misfiled struct{ *memory.Store }

func (misfiled) ByUser(context.Context, string) ([]backend.Record, error) { return nil, nil }

// TestFindsBrokenStores runs histories on them until the model objects.
func TestFindsBrokenStores(t *testing.T) {
	for _, tt := range []struct {
		name string
		wrap func(*memory.Store) backend.Store
	}{
		{"no compare-and-swap", func(m *memory.Store) backend.Store { return plainWrites{m} }},
		{"update is an upsert", func(m *memory.Store) backend.Store { return upserts{m} }},
		{"touch is lost", func(m *memory.Store) backend.Store { return noTouch{m} }},
		{"touch moves back", func(m *memory.Store) backend.Store { return touchBack{m} }},
		{"delete does nothing", func(m *memory.Store) backend.Store { return keeps{m} }},
		{"delete of any version", func(m *memory.Store) backend.Store { return deletesAny{m} }},
		{"stale reads", func(m *memory.Store) backend.Store { return &replica{m, map[uuid.UUID]backend.Record{}} }},
		{"a write in eight is lost", func(m *memory.Store) backend.Store { return forgetful{m} }},
		{"the user index is empty", func(m *memory.Store) backend.Store { return misfiled{m} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const most = 2000
			for seed := range uint64(most) {
				store := tt.wrap(openMemory(t))
				if _, err := Run(Options{Seed: seed, Mode: Deterministic, Clients: 4, Requests: 4, Stores: []backend.Store{store}}); err != nil {
					t.Logf("found with seed %d", seed)
					return
				}
			}
			t.Errorf("no violation in %d histories", most)
		})
	}
}

func openMemory(t *testing.T) *memory.Store {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// TestFindsSplitHistory checks the model itself: two sessions of one ID that
// know nothing of each other.
func TestFindsSplitHistory(t *testing.T) {
	h := newHistory()
	one := "1"
	h.record(Op{Session: "s", Kind: Create, Renewed: 1, Change: Change{}}, 1, 2)
	h.record(Op{Session: "s", Kind: Commit, Token: 1, Change: Change{"a": &one}, Outcome: Done}, 3, 4)
	h.record(Op{Session: "s", Kind: Load, Token: 1, Found: true, Seen: Values{"a": "1"}}, 5, 6)
	if err := h.check(); err != nil {
		t.Fatal(err)
	}
	h.record(Op{Session: "s", Kind: Load, Token: 1, Found: true, Seen: Values{}}, 7, 8)
	if h.check() == nil {
		t.Error("a load that sees nothing after a commit: no violation")
	}
}
