package sqlite

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Changed implements [backend.Comparer]: one statement, which looks each record up
// by its ID.
func (s *Store) Changed(ctx context.Context, known []backend.Version) ([]uuid.UUID, error) {
	if len(known) == 0 {
		return nil, nil
	}
	ids, list := make([]byte, 0, len(known)*16), make([]byte, 0, len(known)*12)
	for i, k := range known {
		ids = append(ids, k.ID[:]...)
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(append(list, '('), int64(i), 10)
		list = strconv.AppendUint(append(list, ','), k.Version, 10)
		list = append(list, ')')
	}
	query := strings.Replace(s.stmts.changed, "{known}", string(list), 1)
	var changed []uuid.UUID
	err := s.reading(ctx, "compare sessions", func() (err error) {
		changed, err = s.changed(ctx, query, ids, known)
		return err
	})
	return changed, err
}

func (s *Store) changed(ctx context.Context, query string, ids []byte, known []backend.Version) (changed []uuid.UUID, err error) {
	rows, err := s.read.QueryContext(ctx, query, ids, now())
	if err != nil {
		return nil, err
	}
	defer rows.Close() // for the early returns; Err has what Close could say
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			return nil, err
		}
		changed = append(changed, known[i].ID)
	}
	return changed, rows.Err()
}
