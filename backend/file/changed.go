package file

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Changed implements [backend.Comparer]. Of each record it reads the file, as Load
// does.
func (s *Store) Changed(ctx context.Context, known []backend.Version) (changed []uuid.UUID, err error) {
	sc := getScratch()
	defer sc.put()
	for _, k := range known {
		err := s.call(ctx, "compare", k.ID, false, func(sh *shard) error {
			e, err := s.peek(ctx, sh, k.ID, sc)
			if err == nil && (e.expired() || e.version != k.Version) {
				err = backend.ErrNotFound
			}
			return err
		})
		switch {
		case errors.Is(err, backend.ErrNotFound):
			changed = append(changed, k.ID)
		case err != nil:
			return nil, err
		}
	}
	return changed, nil
}
