package postgres

import (
	"context"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/prefix"
)

// sweepBatch is how many rows one statement deletes: so few that a request which
// has to wait for it, or for its log to be on the disk, hardly notices. It stands in
// sqlSweep and sqlSweepNow, too.
const sweepBatch = 50

// Sweep implements [backend.Sweeper]. It deletes by the index on bucket, in
// statements of at most 50 rows; each decides for itself what has expired, and
// passes over what others have locked. In a table with more than 2000 sessions that
// end within the same five minutes, those of the present ones may be left until
// these have passed.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	swept := 0
	// The present five minutes first: if they end meanwhile, they are past ones
	// for the second statement.
	for _, query := range []string{s.stmts.sweepNow, s.stmts.sweep} {
		n, err := s.sweep(ctx, query, limit-swept)
		swept += n
		if err != nil {
			return swept, err
		}
	}
	return swept, nil
}

// sweep runs one of the statements that sweep until it finds no more.
func (s *Store) sweep(ctx context.Context, query string, limit int) (int, error) {
	swept := 0
	for swept < limit {
		batch := min(limit-swept, sweepBatch)
		n, err := s.exec(ctx, "sweep", again, query, int64(batch))
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
	return s.heads(ctx, "look for a user's sessions", s.stmts.byUser, []byte(user))
}

// List implements [backend.Lister]. The newest of all come by the primary key,
// from its end: it reads as many rows as it returns, and those among them that
// have expired and were not swept yet. For a prefix it reads and sorts all rows
// of the users whose names begin with it, by the index on username.
func (s *Store) List(ctx context.Context, begin string, limit int) ([]backend.Record, error) {
	switch {
	case len(begin) > backend.MaxUser || limit <= 0:
		return nil, nil
	case begin == "":
		return s.heads(ctx, "list sessions", s.stmts.list, int64(limit))
	}
	return s.heads(ctx, "list sessions", s.stmts.listPrefix, []byte(begin), prefix.End(begin), int64(limit))
}

// heads returns the records that a statement finds, with the beginnings of
// their data.
func (s *Store) heads(ctx context.Context, what, statement string, args ...any) ([]backend.Record, error) {
	var records []backend.Record
	err := s.call(ctx, what, again, func(bool) error {
		records = nil
		return s.db.rows(ctx, statement, args, func(scan func(...any) error) error {
			var rec backend.Record
			var version int64
			var user []byte // nil: anonymous
			// A pgtype.UUID would take no bytes, which is what lib/pq has for an ID.
			if err := scan(&rec.ID, &version, &rec.Expires, &user, &rec.Data); err != nil {
				return err
			}
			rec.Version, rec.Expires, rec.User = uint64(version), rec.Expires.UTC(), string(user)
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
