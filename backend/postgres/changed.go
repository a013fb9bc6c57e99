package postgres

import (
	"context"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Changed implements [backend.Comparer]: one round trip, in which 24 bytes a record
// go out, and only the changed ones come back. The server looks each up by the
// primary key.
func (s *Store) Changed(ctx context.Context, known []backend.Version) ([]uuid.UUID, error) {
	packed := make([]byte, 0, len(known)*24)
	for _, k := range known {
		packed = append(packed, k.ID[:]...)
		packed = binary.BigEndian.AppendUint64(packed, k.Version)
	}
	var changed []uuid.UUID
	err := s.call(ctx, "compare sessions", again, func(bool) error {
		changed = nil
		return s.db.rows(ctx, s.stmts.changed, []any{packed}, func(scan func(...any) error) error {
			var i int32
			if err := scan(&i); err != nil {
				return err
			}
			changed = append(changed, known[i].ID)
			return nil
		})
	})
	return changed, err
}
