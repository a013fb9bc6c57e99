package mysql

import (
	"context"
	"encoding/hex"
	"strconv"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Changed implements [backend.Comparer]: one round trip, in which about 40 bytes a
// record go out, and only the changed ones come back. The server looks each up by
// the primary key.
func (s *Store) Changed(ctx context.Context, known []backend.Version) ([]uuid.UUID, error) {
	list := versions(known)
	var changed []uuid.UUID
	err := s.call(ctx, "compare sessions", again, func() (err error) {
		changed, err = s.changed(ctx, list, known)
		return err
	})
	return changed, err
}

func (s *Store) changed(ctx context.Context, list string, known []backend.Version) (changed []uuid.UUID, err error) {
	rows, err := s.db.QueryContext(ctx, s.stmts.changed.text, list)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // for the early returns; Err has what Close could say
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			return nil, err
		}
		changed = append(changed, known[i-1].ID)
	}
	return changed, rows.Err()
}

// versions returns known in JSON: [["ID in hex",version],…].
func versions(known []backend.Version) string {
	list := make([]byte, 0, 2+len(known)*48)
	list = append(list, '[')
	for i, k := range known {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, `["`...)
		list = hex.AppendEncode(list, k.ID[:])
		list = append(list, `",`...)
		list = strconv.AppendUint(list, k.Version, 10)
		list = append(list, ']')
	}
	return string(append(list, ']'))
}
