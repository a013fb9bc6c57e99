package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// List implements [backend.Lister]. It lists the names in all directories, which
// begin with the time, and reads records from the newest on until it has limit.
// Whose a record is stands in the record alone: for a prefix that few names
// have, it reads them all.
func (s *Store) List(ctx context.Context, prefix string, limit int) ([]backend.Record, error) {
	if limit <= 0 {
		return nil, nil
	}
	ids, err := s.ids(ctx)
	if err == backend.ErrClosed {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("file: list the sessions in %s: %w", s.path, err)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
	var recs []backend.Record
	for _, id := range ids {
		rec, err := s.listed(ctx, id, func(user string) bool { return strings.HasPrefix(user, prefix) })
		switch {
		case errors.Is(err, backend.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case !strings.HasPrefix(rec.User, prefix):
			continue
		}
		if recs = append(recs, rec); len(recs) == limit {
			break
		}
	}
	return recs, nil
}

// ids returns the IDs that files are named for, in no order.
func (s *Store) ids(ctx context.Context) ([]uuid.UUID, error) {
	if err := s.find(false); err != nil {
		return nil, err
	}
	var ids []uuid.UUID
	for i := range s.shards {
		sh := &s.shards[i]
		err := s.list(sh, func(names []string) error {
			for _, name := range names {
				if id, ok := parseName(name); ok && s.shardOf(id) == sh {
					ids = append(ids, id)
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, ctx.Err()
}
