package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/chisession/session/backend"
)

// sweepBatch is how many rows one statement deletes: few enough that it takes
// milliseconds. It stands in sqlSweep too.
const sweepBatch = 500

// Sweep implements [backend.Sweeper]. It deletes by the index on bucket, in
// statements of at most 500 rows; each decides for itself what has expired, and
// passes over what others have locked.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	swept := 0
	for swept < limit {
		batch := min(limit-swept, sweepBatch)
		n, err := s.exec(ctx, "sweep", again, s.stmts.sweep, int64(batch))
		swept += int(n)
		if err != nil || int(n) < batch {
			return swept, err
		}
	}
	return swept, nil
}

// ByUser implements [backend.UserIndex], by the index on username: one round
// trip. The empty name is no user and has no sessions. Data is cut after
// [backend.HeadSize] bytes, by the server.
func (s *Store) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	if user == "" || len(user) > backend.MaxUser {
		return nil, nil
	}
	var records []backend.Record
	err := s.call(ctx, "look for a user's sessions", again, func(bool) error {
		records = nil
		return s.db.rows(ctx, s.stmts.byUser, []any{[]byte(user)}, func(scan func(...any) error) error {
			rec := backend.Record{User: user}
			var id pgtype.UUID
			var version int64
			if err := scan(&id, &version, &rec.Expires, &rec.Data); err != nil {
				return err
			}
			rec.ID, rec.Version, rec.Expires = id.Bytes, uint64(version), rec.Expires.UTC()
			records = append(records, rec)
			return nil
		})
	})
	return records, err
}

// Count implements [backend.Counter]. It reads the index on bucket, from now
// on: its cost grows with the number of live sessions.
func (s *Store) Count(ctx context.Context) (int, error) {
	var n int
	err := s.call(ctx, "count", again, func(bool) error {
		return s.db.row(ctx, s.stmts.count, nil, &n)
	})
	return n, err
}
