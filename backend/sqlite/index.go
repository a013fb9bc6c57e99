package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/prefix"
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
	return s.heads(ctx, "look for a user's sessions", s.stmts.byUser, []byte(user), now())
}

// List implements [backend.Lister]. The newest of all come by the index on id,
// from its end: it reads as many rows as it returns, and those among them that
// have expired and were not swept yet. For a prefix it reads and sorts all rows
// of the users whose names begin with it.
func (s *Store) List(ctx context.Context, begin string, limit int) ([]backend.Record, error) {
	switch {
	case len(begin) > backend.MaxUser || limit <= 0:
		return nil, nil
	case begin == "":
		return s.heads(ctx, "list sessions", s.stmts.list, now(), limit)
	}
	return s.heads(ctx, "list sessions", s.stmts.listPrefix, []byte(begin), prefix.End(begin), now(), limit)
}

// heads returns the records that stmt finds, with the beginnings of their data.
func (s *Store) heads(ctx context.Context, what string, stmt *sql.Stmt, args ...any) ([]backend.Record, error) {
	var records []backend.Record
	err := s.reading(ctx, what, func() error {
		records = nil
		rows, err := stmt.QueryContext(ctx, args...)
		if err != nil {
			return err
		}
		defer rows.Close() // for the early returns; Err has what Close could say
		for rows.Next() {
			var rec backend.Record
			var id, user []byte // no user: anonymous
			var expires int64
			if err := rows.Scan(&id, &rec.Version, &expires, &user, &rec.Data); err != nil {
				return err
			}
			if rec.ID, err = uuid.FromBytes(id); err != nil {
				return err
			}
			rec.Expires, rec.User = time.UnixMilli(expires).UTC(), string(user)
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
