package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// sweepBatch is how many rows one statement deletes: few enough that the next
// writer waits for milliseconds.
const sweepBatch = 200

// Sweep implements [backend.Sweeper]. It deletes by the index on expires, in
// statements of at most 200 rows, between which others may write.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	swept := 0
	for swept < limit {
		batch := min(limit-swept, sweepBatch)
		var n int64
		err := s.writing(ctx, "sweep", func() error {
			res, err := s.stmts.sweep.ExecContext(ctx, now(), batch)
			if err == nil {
				n, err = res.RowsAffected()
			}
			return err
		})
		swept += int(n)
		if err != nil || int(n) < batch {
			return swept, err
		}
	}
	return swept, nil
}

// ByUser implements [backend.UserIndex], by the index on username. The empty
// name is no user and has no sessions. Data is cut after [backend.HeadSize]
// bytes.
func (s *Store) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	if user == "" || len(user) > backend.MaxUser {
		return nil, nil
	}
	var records []backend.Record
	err := s.reading(ctx, "look for a user's sessions", func() error {
		records = nil
		rows, err := s.stmts.byUser.QueryContext(ctx, []byte(user), now())
		if err != nil {
			return err
		}
		defer rows.Close() // for the early returns; Err has what Close could say
		for rows.Next() {
			rec := backend.Record{User: user}
			var id []byte
			var expires int64
			if err := rows.Scan(&id, &rec.Version, &expires, &rec.Data); err != nil {
				return err
			}
			if rec.ID, err = uuid.FromBytes(id); err != nil {
				return err
			}
			rec.Expires = time.UnixMilli(expires).UTC()
			records = append(records, rec)
		}
		return rows.Err()
	})
	return records, err
}

// Count implements [backend.Counter]. It reads the index on expires, from now
// on: its cost grows with the number of live sessions.
func (s *Store) Count(ctx context.Context) (int, error) {
	var n int
	err := s.reading(ctx, "count", func() error {
		return s.stmts.count.QueryRowContext(ctx, now()).Scan(&n)
	})
	return n, err
}
