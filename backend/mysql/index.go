package mysql

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// sweepBatch is how many rows one statement deletes: few enough that its
// locks are held for milliseconds.
const sweepBatch = 500

// Sweep implements [backend.Sweeper]. It deletes by the index on expires, in
// statements of at most 500 rows; each decides for itself what has expired.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	swept := 0
	for swept < limit {
		batch := min(limit-swept, sweepBatch)
		n, err := s.exec(ctx, "sweep", again, s.stmts.sweep, batch)
		swept += int(n)
		if err != nil || int(n) < batch {
			return swept, err
		}
	}
	return swept, nil
}

// ByUser implements [backend.UserIndex], by the index on user: one round
// trip. The empty name is no user and has no sessions.
func (s *Store) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	if user == "" || len(user) > backend.MaxUser {
		return nil, nil
	}
	var rows []struct {
		ID      uuid.UUID
		Version uint64
		Expires int64
		User    sql.NullString
		Data    []byte
	}
	err := s.call(ctx, "look for a user's sessions", again, func() error {
		rows = nil
		return s.stmts.byUser.SelectContext(ctx, &rows, []byte(user))
	})
	if err != nil {
		return nil, err
	}
	records := make([]backend.Record, len(rows))
	for i, r := range rows {
		records[i] = backend.Record{ID: r.ID, Version: r.Version, Expires: instant(r.Expires), User: r.User.String, Data: r.Data}
	}
	return records, nil
}

// Count implements [backend.Counter]. It reads the index on expires, from now
// on: its cost grows with the number of live sessions.
func (s *Store) Count(ctx context.Context) (int, error) {
	var n int
	err := s.call(ctx, "count", again, func() error {
		return s.stmts.count.GetContext(ctx, &n)
	})
	return n, err
}
