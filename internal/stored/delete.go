package stored

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// Delete ends the session of cred, whose record was at version when it was
// loaded. It goes only if its secret is still that of cred, in one atomic step:
// who holds an old token cannot end it, which is an Outcome with Lost, as is that
// somebody else has ended it. With version 0, the store did not find it, and is
// to make sure that it stays away.
func (s *Store) Delete(ctx context.Context, cred *record.Credentials, version uint64) (out Outcome, err error) {
	out.Copy.Version = version
	err = s.delete(ctx, cred, &out.Copy.Version)
	switch {
	case err == nil:
		out.Removed = version != 0
	case errors.Is(err, backend.ErrNotFound):
		out.Lost, err = backend.ErrNotFound, nil
	case errors.Is(err, ErrSuperseded):
		out.Lost, err = ErrSuperseded, nil
	default:
		out.Op = "destroy"
	}
	return out, err
}

func (s *Store) delete(ctx context.Context, cred *record.Credentials, version *uint64) error {
	id := cred.ID()
	if *version == 0 {
		return s.ConfirmGone(ctx, id)
	}
	tries := tries{patience: s.Patience}
	tries.begin(Now())
	for {
		err := s.DeleteVersion(ctx, id, *version)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, backend.ErrNotFound):
			if gone := s.ConfirmGone(ctx, id); gone != nil || tries.uncertain > 0 {
				return gone // nil: our own delete, its reply lost
			}
			return err
		case errors.Is(err, backend.ErrConflict) && !tries.late(ctx):
		case tries.uncertain == 0 && !tries.hung(ctx):
			tries.uncertain++
		default:
			return err
		}
		rec, loadErr := s.Backend.Load(ctx, id)
		if errors.Is(loadErr, backend.ErrNotFound) && tries.uncertain > 0 {
			return s.ConfirmGone(ctx, id)
		}
		if loadErr != nil {
			return loadErr
		}
		if h, headErr := record.ParseHead(rec.Data); headErr == nil && !cred.Matches(&h.Hash) {
			return ErrSuperseded
		}
		*version = rec.Version
	}
}

// ConfirmGone makes sure that the record of id, which the store does not find,
// is not found after a failover either. That needs a call only with a store that
// is a backend.Confirmer: whoever ended the session may not have been told nil.
func (s *Store) ConfirmGone(ctx context.Context, id uuid.UUID) error {
	if !s.Can.Confirms {
		return nil
	}
	return s.Backend.Delete(ctx, id)
}

// DeleteVersion deletes a record at its version: by the store's own means, or
// by an Update that empties the record, at its version, and a Delete of what
// is left.
func (s *Store) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	if s.Can.VersionedDeleter != nil {
		return s.Can.VersionedDeleter.DeleteVersion(ctx, id, version)
	}
	rec := backend.Record{ID: id, Version: version, Expires: time.UnixMilli(0), Shorten: true}
	if err := s.Backend.Update(ctx, rec); err != nil {
		return err
	}
	return s.Backend.Delete(ctx, id)
}
