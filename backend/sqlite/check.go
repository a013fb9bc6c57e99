package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// probeLife is how long the record of Check lives, should it not come to
// removing it.
const probeLife = 10 * time.Second

// Check proves that this Store may do all that it will have to: it stores,
// loads, changes, finds and removes a record of its own, with a name that nobody
// else has, for seconds at most. New and Open do it.
func (s *Store) Check(ctx context.Context) error {
	rec := backend.Record{ID: uuid.New(), Version: 1, Data: []byte("probe"), Expires: time.Now().Add(probeLife).Truncate(time.Millisecond)}
	rec.User = "probe " + rec.ID.String()
	if err := s.prove(ctx, rec); err != nil {
		_ = s.Delete(ctx, rec.ID) // should it be there; the error before is the one to tell
		return fmt.Errorf("sqlite: check: %w", err)
	}
	return nil
}

func (s *Store) prove(ctx context.Context, rec backend.Record) error {
	if err := s.Create(ctx, rec); err != nil {
		return err
	}
	if err := s.Update(ctx, rec); err != nil {
		return err
	}
	if err := s.Touch(ctx, rec.ID, rec.Expires.Add(time.Second)); err != nil {
		return err
	}
	got, err := s.Load(ctx, rec.ID)
	if err != nil {
		return err
	}
	found, err := s.ByUser(ctx, rec.User)
	if err != nil {
		return err
	}
	if got.Version != 2 || !bytes.Equal(got.Data, rec.Data) || len(found) != 1 {
		return fmt.Errorf("a record came back as version %d with %d bytes, and %d times by its user: a trigger changes what is stored",
			got.Version, len(got.Data), len(found))
	}
	return s.DeleteVersion(ctx, rec.ID, 2)
}
