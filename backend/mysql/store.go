package mysql

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Create implements [backend.Store]: one round trip. An expired record that
// has not been swept yet is in the way, too: [backend.ErrExists].
func (s *Store) Create(ctx context.Context, rec backend.Record) error {
	if err := s.fits(rec); err != nil {
		return err
	}
	_, err := s.exec(ctx, "create", once, &s.stmts.create,
		rec.ID[:], micros(rec.Expires), userBytes(rec.User), dataBytes(rec.Data))
	return err
}

// Update implements [backend.Store]: one round trip, two if nothing was
// changed.
func (s *Store) Update(ctx context.Context, rec backend.Record) error {
	if err := s.fits(rec); err != nil {
		return err
	}
	stmt := &s.stmts.update
	if rec.Shorten {
		stmt = &s.stmts.shorten
	}
	n, err := s.exec(ctx, "update", once, stmt,
		micros(rec.Expires), userBytes(rec.User), dataBytes(rec.Data), rec.ID[:], rec.Version)
	if err != nil || n > 0 {
		return err
	}
	return s.conflict(ctx, "update", rec.ID)
}

// Touch implements [backend.Store]: one round trip, two if nothing was
// changed.
func (s *Store) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	at := micros(expires)
	n, err := s.exec(ctx, "touch", again, &s.stmts.touch, at, id[:], at)
	if err != nil || n > 0 {
		return err
	}
	return s.exists(ctx, "touch", id) // and if so, it expires later already
}

// Delete implements [backend.Store]: one round trip.
func (s *Store) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := s.exec(ctx, "delete", again, &s.stmts.delete, id[:])
	return err
}

// DeleteVersion implements [backend.VersionedDeleter]: one round trip, two if
// nothing was deleted.
func (s *Store) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	n, err := s.exec(ctx, "delete", once, &s.stmts.deleteVersion, id[:], version)
	if err != nil || n > 0 {
		return err
	}
	return s.conflict(ctx, "delete", id)
}

// exec runs a writing statement and returns the number of rows it changed.
func (s *Store) exec(ctx context.Context, op string, rep repeat, stmt *statement, args ...any) (n int64, err error) {
	err = s.call(ctx, op, rep, func() error {
		res, err := s.execute(ctx, stmt, args)
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
	return s.call(ctx, op, again, func() error {
		var one int
		return s.row(ctx, &s.stmts.exists, id[:]).Scan(&one)
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

// fits refuses what the table cannot hold. A server would do so as well, but
// not with every sql_mode.
func (s *Store) fits(rec backend.Record) error {
	if len(rec.User) > backend.MaxUser {
		return fmt.Errorf("%w: %d bytes, at most %d", backend.ErrUser, len(rec.User), backend.MaxUser)
	}
	if len(rec.Data) > s.maxData {
		return fmt.Errorf("%w: %d bytes, at most %d (MEDIUMBLOB and max_allowed_packet)", backend.ErrTooLarge, len(rec.Data), s.maxData)
	}
	return nil
}

// userBytes returns the parameter for a user: bytes, so that no character set
// gets at them, and NULL for none.
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
