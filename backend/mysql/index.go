package mysql

import (
	"context"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/prefix"
)

// sweepBatch is how many rows one statement deletes: few enough that its
// locks are held for milliseconds.
const sweepBatch = 125

// Sweep implements [backend.Sweeper]. It deletes by the index on expires, in
// statements of at most 125 rows; each decides for itself what has expired.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	swept := 0
	for swept < limit {
		batch := min(limit-swept, sweepBatch)
		n, err := s.exec(ctx, "sweep", again, &s.stmts.sweep, batch)
		swept += int(n)
		if err != nil || int(n) < batch {
			return swept, err
		}
	}
	return swept, nil
}

// ByUser implements [backend.UserIndex], by the index on user: one round
// trip, in which of each session's data come [backend.HeadSize] bytes, however
// large it is. The empty name is no user and has no sessions.
func (s *Store) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	if user == "" || len(user) > backend.MaxUser {
		return nil, nil
	}
	var records []backend.Record
	err := s.call(ctx, "look for a user's sessions", again, func() (err error) {
		records, err = s.heads(ctx, &s.stmts.byUser, []byte(user))
		return err
	})
	return records, err
}

// heads returns the records that stmt finds, with the beginnings of their data.
// It scans by position: what a column is called in an answer is up to the DSN
// (columnsWithAlias).
func (s *Store) heads(ctx context.Context, stmt *statement, args ...any) ([]backend.Record, error) {
	rows, err := s.db.QueryContext(ctx, stmt.text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // for the early returns; Err has what Close could say
	var records []backend.Record
	for rows.Next() {
		var rec backend.Record
		var expires int64
		var user []byte // nil: anonymous
		if err := rows.Scan(&rec.ID, &rec.Version, &expires, &user, &rec.Data); err != nil {
			return nil, err
		}
		rec.Expires, rec.User = instant(expires), string(user)
		records = append(records, rec)
	}
	return records, rows.Err()
}

// List implements [backend.Lister]. The newest of all come by the primary key,
// from its end: it reads as many rows as it returns, and those among them that
// have expired and were not swept yet. For a prefix it reads and sorts all rows
// of the users whose names begin with it, by the index on user.
func (s *Store) List(ctx context.Context, begin string, limit int) ([]backend.Record, error) {
	if len(begin) > backend.MaxUser || limit <= 0 {
		return nil, nil
	}
	stmt, args := &s.stmts.list, []any{limit}
	if begin != "" {
		stmt, args = &s.stmts.listPrefix, []any{[]byte(begin), prefix.End(begin), limit}
	}
	var records []backend.Record
	err := s.call(ctx, "list sessions", again, func() (err error) {
		records, err = s.heads(ctx, stmt, args...)
		return err
	})
	return records, err
}

// Count implements [backend.Counter]. It reads the index on expires, from now
// on: its cost grows with the number of live sessions, by 0.6 to 1 s a million
// where it was measured. With more than two million, give it a DSN with a
// longer readTimeout than the default 2 s.
func (s *Store) Count(ctx context.Context) (int, error) {
	var n int
	err := s.call(ctx, "count", again, func() error {
		return s.row(ctx, &s.stmts.count).Scan(&n)
	})
	return n, err
}
