package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// maxData is the largest Data that is stored. SQLite would take up to 1 GB, and
// hold it in memory more than once.
const maxData = 64 << 20

// Load implements [backend.Store].
func (s *Store) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	rec := backend.Record{ID: id}
	var expires int64
	var user, data []byte
	err := s.reading(ctx, "load", func() error {
		return s.stmts.load.QueryRowContext(ctx, id[:], now()).Scan(&rec.Version, &expires, &user, &data)
	})
	if err != nil {
		return backend.Record{}, err
	}
	rec.Expires, rec.User, rec.Data = time.UnixMilli(expires).UTC(), string(user), data
	return rec, nil
}

// Create implements [backend.Store]. An expired record that has not been swept
// yet is in the way, too: [backend.ErrExists].
func (s *Store) Create(ctx context.Context, rec backend.Record) error {
	if err := fits(rec); err != nil {
		return err
	}
	n, err := s.exec(ctx, "create", s.stmts.create, rec.ID[:], millis(rec.Expires), userBytes(rec.User), dataBytes(rec.Data))
	if err == nil && n == 0 {
		return backend.ErrExists
	}
	return err
}

// Update implements [backend.Store].
func (s *Store) Update(ctx context.Context, rec backend.Record) error {
	if err := fits(rec); err != nil {
		return err
	}
	stmt := s.stmts.update
	if rec.Shorten {
		stmt = s.stmts.shorten
	}
	n, err := s.exec(ctx, "update", stmt, millis(rec.Expires), userBytes(rec.User), dataBytes(rec.Data), rec.ID[:], int64(rec.Version))
	if err != nil || n > 0 {
		return err
	}
	return s.conflict(ctx, "update", rec.ID)
}

// Touch implements [backend.Store].
func (s *Store) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	at := millis(expires)
	n, err := s.exec(ctx, "touch", s.stmts.touch, at, id[:], at)
	if err != nil || n > 0 {
		return err
	}
	return s.exists(ctx, "touch", id) // and if so, it expires later already
}

// Delete implements [backend.Store].
func (s *Store) Delete(ctx context.Context, id uuid.UUID) error {
	return s.writing(ctx, "delete", func() error {
		_, err := s.stmts.delete.ExecContext(ctx, id[:])
		return err
	})
}

// DeleteVersion implements [backend.VersionedDeleter].
func (s *Store) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	n, err := s.exec(ctx, "delete", s.stmts.deleteVersion, id[:], int64(version))
	if err != nil || n > 0 {
		return err
	}
	return s.conflict(ctx, "delete", id)
}

// exec runs a statement whose last parameter is the time at which it runs, and
// returns the number of rows it changed.
func (s *Store) exec(ctx context.Context, op string, stmt *sql.Stmt, args ...any) (n int64, err error) {
	args = append(args, int64(0))
	err = s.writing(ctx, op, func() error {
		args[len(args)-1] = now() // it may have waited
		res, err := stmt.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// exists returns nil if there is a live record of id, else ErrNotFound.
func (s *Store) exists(ctx context.Context, op string, id uuid.UUID) error {
	return s.reading(ctx, op, func() error {
		var one int
		return s.stmts.exists.QueryRowContext(ctx, id[:], now()).Scan(&one)
	})
}

// conflict says why a statement that names a version found no record: there
// is one, of another version, or there is none.
func (s *Store) conflict(ctx context.Context, op string, id uuid.UUID) error {
	if err := s.exists(ctx, op, id); err != nil {
		return err
	}
	return backend.ErrConflict
}

// fits refuses what cannot be stored.
func fits(rec backend.Record) error {
	if len(rec.User) > backend.MaxUser {
		return fmt.Errorf("%w: %d bytes, at most %d", backend.ErrUser, len(rec.User), backend.MaxUser)
	}
	if len(rec.Data) > maxData {
		return fmt.Errorf("%w: %d bytes, at most %d", backend.ErrTooLarge, len(rec.Data), maxData)
	}
	return nil
}

func now() int64 { return time.Now().UnixMilli() }

var maxMillis = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli()

// millis returns the parameter for an expiry. What is before 1970 or after the
// year 9998 becomes the nearest that is not.
func millis(t time.Time) int64 {
	switch year := t.Year(); { // comparing instants does not work for the last years of all
	case year < 1970:
		return 0
	case year > 9998:
		return maxMillis
	}
	return t.UnixMilli()
}

// userBytes returns the parameter for a user: bytes, so that no collation gets
// at them, and NULL for none.
func userBytes(user string) []byte {
	if user == "" {
		return nil
	}
	return []byte(user)
}

// dataBytes returns the parameter for data; nil would be NULL.
func dataBytes(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
