package mysql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Load implements [backend.Store]: one round trip.
func (s *Store) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	load := s.loadNumbers
	if s.owned {
		load = s.loadTexts
	}
	rec, live, err := load(ctx, id)
	switch {
	case err != nil:
		return backend.Record{}, err
	case !live:
		return backend.Record{}, backend.ErrNotFound
	}
	return rec, nil
}

// loadTexts is the load on a pool of our own, where a DATETIME is known to
// arrive as text: the expiry and the server's clock as they are. Two
// expressions of them, as in loadNumbers, are 5 % of the whole statement.
func (s *Store) loadTexts(ctx context.Context, id uuid.UUID) (rec backend.Record, live bool, err error) {
	var row struct { // all that the driver is given: one allocation
		id           uuid.UUID
		version      uint64
		expires, now datetime
		user         sql.NullString
		data         []byte
	}
	row.id = id
	err = s.call(ctx, "load", again, func() error {
		return s.row(ctx, &s.stmts.load, row.id[:]).Scan(&row.version, &row.expires, &row.now, &row.user, &row.data)
	})
	if err != nil || !row.expires.after(&row.now) {
		return rec, false, err
	}
	return backend.Record{ID: id, Version: row.version, Expires: row.expires.time(), User: row.user.String, Data: row.data}, true, nil
}

// loadNumbers is the load on a caller's pool, where parseTime and loc may make
// another instant of a DATETIME.
func (s *Store) loadNumbers(ctx context.Context, id uuid.UUID) (rec backend.Record, live bool, err error) {
	rec.ID = id
	var expires int64
	var user sql.NullString
	err = s.call(ctx, "load", again, func() error {
		return s.row(ctx, &s.stmts.load, id[:]).Scan(&rec.Version, &expires, &user, &rec.Data, &live)
	})
	rec.Expires, rec.User = instant(expires), user.String
	return rec, live, err
}

// A datetime is a DATETIME(6) as the driver prints it,
// "2006-01-02 15:04:05.000000".
type datetime [26]byte

var errDatetime = errors.New("the driver gave a DATETIME(6) in an unknown form")

// Scan implements [sql.Scanner].
func (d *datetime) Scan(src any) error {
	text, ok := src.([]byte)
	if !ok || len(text) != len(d) {
		return errDatetime
	}
	copy(d[:], text)
	return nil
}

// after reports whether d is later than e. Years have four digits, so texts
// are in the order of their instants.
func (d *datetime) after(e *datetime) bool { return string(d[:]) > string(e[:]) }

// time returns d, which is a time of UTC.
func (d *datetime) time() time.Time {
	n := func(from, to int) (n int) {
		for _, digit := range d[from:to] {
			n = 10*n + int(digit-'0')
		}
		return n
	}
	return time.Date(n(0, 4), time.Month(n(5, 7)), n(8, 10), n(11, 13), n(14, 16), n(17, 19), 1000*n(20, 26), time.UTC)
}
