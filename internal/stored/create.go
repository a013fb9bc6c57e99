package stored

import (
	"context"
	"errors"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// maxCollisions is how many taken IDs a new session puts up with: one is a
// miracle, more are a broken store.
const maxCollisions = 3

// Create stores a new record. next is called before each try, to Prepare it with
// credentials that were not tried yet: after one ID was taken, whoever has it
// keeps it. An error of next ends the Create as it is.
func (w *Write) Create(ctx context.Context, s *Store, next func() error) (Outcome, error) {
	var out Outcome
	w.store, w.isNew, w.tries.patience = s, true, s.Patience
	for collisions := 0; ; collisions++ {
		if err := next(); err != nil {
			return out, err
		}
		rec, err := w.create(ctx)
		switch {
		case err == nil:
			w.after.Version = rec.Version
			w.done(&out)
			return out, nil
		case !errors.Is(err, backend.ErrExists) || collisions == maxCollisions:
			err = out.failed("create", err)
			return out, err
		}
	}
}

// create stores a new record, and finds out what became of a call that failed.
func (w *Write) create(ctx context.Context) (backend.Record, error) {
	err := w.store.Backend.Create(ctx, w.rec)
	if err == nil || errors.Is(err, backend.ErrExists) || definite(err) || w.tries.hung(ctx) {
		return w.rec, err
	}
	w.tries.doubted(err)
	return w.createdAfterAll(ctx, err)
}

// createdAfterAll finds out whether a Create that failed was done all the
// same, its reply lost; if it was not, it is tried once more.
func (w *Write) createdAfterAll(ctx context.Context, failure error) (backend.Record, error) {
	there, err := w.store.Backend.Load(ctx, w.rec.ID)
	if errors.Is(err, backend.ErrNotFound) {
		err = w.store.Backend.Create(ctx, w.rec)
		if !errors.Is(err, backend.ErrExists) {
			return w.rec, err
		}
		there, err = w.store.Backend.Load(ctx, w.rec.ID) // the first one was on its way
	}
	if err != nil {
		return w.rec, failure
	}
	if got, err := record.ParseHead(there.Data); err == nil && got.Commit == w.after.Head.Commit && got.Hash == w.after.Head.Hash {
		return w.store.complete(ctx, there, &w.tries)
	}
	return w.rec, backend.ErrExists
}
