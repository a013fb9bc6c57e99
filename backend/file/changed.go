package file

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/quiet"
)

// Changed implements [backend.Comparer]. Of each record it reads the file, as Load
// does, but if it has done so before and nothing has changed in the directory since:
// then it only looks at that. So it may leave out an Update with neither Confirm nor
// Shorten, which leaves the directory as it is, for half a minute.
func (s *Store) Changed(ctx context.Context, known []backend.Version) (changed []uuid.UUID, err error) {
	sc := getScratch()
	defer sc.put()
	var views [len(s.shards)]view
	for _, k := range known {
		err := s.call(ctx, "compare", k.ID, false, func(sh *shard) error {
			sign, err := views[k.ID[len(k.ID)-1]].sign(sh)
			if err != nil || s.doubts.n.Load() == 0 && s.quiet.Has(k, sign) {
				return err
			}
			e, err := s.peek(ctx, sh, k.ID, sc)
			switch {
			case err != nil:
				return err
			case e.expired() || e.version != k.Version:
				return backend.ErrNotFound
			}
			s.quiet.Note(k, sign)
			return nil
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

// A view is what a shard's directory looks like.
type view struct {
	done bool
	at   quiet.Sign
}

// sign returns what it was at the first call.
func (v *view) sign(sh *shard) (quiet.Sign, error) {
	if v.done {
		return v.at, nil
	}
	var err error
	v.at, err = sh.dir.sign()
	v.done = err == nil
	return v.at, err
}

// show has the directory look like another one to Changed, as an Update changes
// nothing but a file in it. If that fails, Changed looks into the file all the same
// within half a minute.
func (s *Store) show(sh *shard, rec backend.Record) {
	if rec.Confirm || rec.Shorten {
		_ = sh.dir.stamp()
	}
}
