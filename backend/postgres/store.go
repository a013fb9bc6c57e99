package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/chisession/session/backend"
)

// maxData is the largest Data that is stored. PostgreSQL would take up to
// 1 GiB, but not in every form in which it can travel.
const maxData = 64 << 20

// Load implements [backend.Store]: one round trip.
func (s *Store) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	var row struct { // all that the driver is given: one allocation
		version    int64
		expires    time.Time
		user, data []byte
	}
	err := s.call(ctx, "load", again, func(bool) error {
		return s.db.row(ctx, s.stmts.load, []any{key(id)}, &row.version, &row.expires, &row.user, &row.data)
	})
	if err != nil {
		return backend.Record{}, err
	}
	return backend.Record{
		ID: id, Version: uint64(row.version), Expires: row.expires.UTC(), User: string(row.user), Data: row.data,
	}, nil
}

// Create implements [backend.Store]: one round trip. An expired record that
// has not been swept yet is in the way, too: [backend.ErrExists].
func (s *Store) Create(ctx context.Context, rec backend.Record) error {
	if err := fits(rec); err != nil {
		return err
	}
	expires, bucket := instant(rec.Expires)
	n, err := s.exec(ctx, "create", once, s.stmts.create, key(rec.ID), expires, bucket, userBytes(rec.User), dataBytes(rec.Data))
	if err == nil && n == 0 {
		return backend.ErrExists
	}
	return err
}

// Update implements [backend.Store]: one round trip, two if nothing was
// changed.
func (s *Store) Update(ctx context.Context, rec backend.Record) error {
	if err := fits(rec); err != nil {
		return err
	}
	query := s.stmts.update
	if rec.Shorten {
		query = s.stmts.shorten
	}
	expires, bucket := instant(rec.Expires)
	n, err := s.exec(ctx, "update", once, query,
		key(rec.ID), int64(rec.Version), expires, bucket, userBytes(rec.User), dataBytes(rec.Data))
	if err != nil || n > 0 {
		return err
	}
	return s.conflict(ctx, "update", rec.ID)
}

// Touch implements [backend.Store]: one round trip, two if nothing was
// changed.
func (s *Store) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	at, bucket := instant(expires)
	n, err := s.exec(ctx, "touch", again, s.stmts.touch, key(id), at, bucket)
	if err != nil || n > 0 {
		return err
	}
	return s.exists(ctx, "touch", id) // and if so, it expires later already
}

// Delete implements [backend.Store]: one round trip, two if there was nothing
// to delete and a standby has to confirm that.
func (s *Store) Delete(ctx context.Context, id uuid.UUID) error {
	return s.call(ctx, "delete", again, func(unsure bool) error {
		n, err := s.db.exec(ctx, s.stmts.delete, key(id))
		if err != nil || n > 0 || !unsure && !s.Confirms() {
			return err
		}
		// A try before did it, of this call or another. Did a standby get to
		// know?
		var one int
		return s.db.row(ctx, sqlConfirm, []any{"deleted"}, &one)
	})
}

// DeleteVersion implements [backend.VersionedDeleter]: one round trip, two if
// nothing was deleted.
func (s *Store) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	n, err := s.exec(ctx, "delete", once, s.stmts.deleteVersion, key(id), int64(version))
	if err != nil || n > 0 {
		return err
	}
	return s.conflict(ctx, "delete", id)
}

// exec runs a writing statement and returns the number of rows it changed.
func (s *Store) exec(ctx context.Context, op string, rep repeat, query string, args ...any) (n int64, err error) {
	err = s.call(ctx, op, rep, func(bool) (err error) {
		n, err = s.db.exec(ctx, query, args...)
		return err
	})
	return n, err
}

// exists returns nil if there is a live record of id, else ErrNotFound.
func (s *Store) exists(ctx context.Context, op string, id uuid.UUID) error {
	return s.call(ctx, op, again, func(bool) error {
		var one int
		return s.db.row(ctx, s.stmts.exists, []any{key(id)}, &one)
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

// key returns the parameter for an ID: a type that pgx knows in every mode, and
// database/sql too.
func key(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// userBytes returns the parameter for a user: bytes, so that no encoding gets
// at them, and NULL for none. A nil slice would be NULL to pgx, and no bytes to
// older versions of lib/pq.
func userBytes(user string) any {
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
