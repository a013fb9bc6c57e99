// Package gorilla adopts the live sessions that github.com/gorilla/sessions keeps
// in PostgreSQL by way of github.com/antonlindstrom/pgstore, or of a store with the
// same table, so that its users stay logged in:
//
//	old := gorilla.Postgres(db, "", "shop", securecookie.CodecsFromPairs(key)...)
//	r.Use(m.Middleware, gorilla.Adopt(m, old, migrate.Options{Adopted: login}))
//
// What is promised, and what not, is on the page of package migrate.
//
// A cookie holds a session's ID, and a row its values, both signed, and encrypted
// where the keys say so, by codecs that only the application has: the very ones of
// the old program decode them. Types that were registered with gob.Register there
// must be here. A session with a value of a type that is not registered is damaged,
// as it was to gorilla: the codec decodes all of it or nothing.
//
// The new session ends no later than the row's expires_on (unless
// Options.Adopted calls SetAbsoluteTimeout). Flashes come over as the value
// "_flash".
package gorilla

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"net/http"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/internal/old"
)

// DefaultTable is pgstore's table.
const DefaultTable = "http_sessions"

const (
	idLen    = 52 // 32 bytes in base32
	stampLen = 8  // of expires_on, before the data
)

// A Codec decodes what it once encoded, and refuses what it did not: those of
// github.com/gorilla/securecookie do.
type Codec interface {
	Decode(name, value string, dst any) error
}

// Sessions are the old sessions of one name.
type Sessions struct {
	name   string
	codecs []Codec
	rows   *old.SQL
}

var (
	_ migrate.Source   = (*Sessions)(nil)
	_ migrate.Surveyor = (*Sessions)(nil)
)

// Postgres are the sessions of that name (the one given to Store.Get, which is
// that of the cookie) in pgstore's table; default "http_sessions". A row whose
// expires_on has passed, by the server's clock, is not adopted. The account needs
// SELECT and DELETE on the table. It panics if there is no codec or table is no
// name, "table" or "schema.table".
//
// db is a pool of any driver for PostgreSQL. The codecs are those of the old
// store, the newest first, with the MaxAge and MaxLength that they had there.
func Postgres[C Codec](db *sql.DB, table, name string, codecs ...C) *Sessions {
	if len(codecs) == 0 {
		panic("gorilla: Postgres needs the codecs of the old store")
	}
	if table == "" {
		table = DefaultTable
	}
	s := &Sessions{name: name}
	for _, c := range codecs {
		s.codecs = append(s.codecs, c)
	}
	// The data of a record are expires_on, in milliseconds since 1970, and the
	// column. Infinity is no number.
	const data = "(int8send((extract(epoch FROM LEAST(expires_on, '9999-12-31 00:00Z')) * 1000)::bigint) || data)"
	s.rows = old.NewSQL(db, old.PostgresBytes, old.Columns{Table: table, Key: "key", Data: data}, "expires_on > now()")
	return s
}

// Adopt returns the middleware that adopts the old sessions into those of m;
// mount it right behind m.Middleware. The two cookies may have one name. It
// panics if m has no cookies for browsers, as [migrate.Adopt] does.
func Adopt(m *session.Manager, s *Sessions, opts migrate.Options) func(http.Handler) http.Handler {
	return migrate.Adopt(m, migrate.Format{
		Name:       "gorilla",
		CookieName: s.name,
		Form:       "what the codecs have signed",
		Valid:      func(value string) bool { _, ok := s.id(value); return ok },
		Decode:     s.values,
	}, s, opts)
}

// decode decodes by the first codec that knows value.
func (s *Sessions) decode(value string, dst any) (err error) {
	for _, c := range s.codecs {
		if err = c.Decode(s.name, value, dst); err == nil {
			return nil
		}
	}
	return err
}

// id returns the ID in a cookie.
func (s *Sessions) id(cookie string) (id string, ok bool) {
	if err := s.decode(cookie, &id); err != nil || len(id) != idLen {
		return "", false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return "", false
		}
	}
	return id, true
}

// values returns what is in a record.
func (s *Sessions) values(data []byte, _ int) (migrate.Record, error) {
	if len(data) < stampLen {
		return migrate.Record{}, migrate.ErrUnreadable
	}
	values := map[any]any{}
	if err := s.decode(string(data[stampLen:]), &values); err != nil {
		return migrate.Record{}, fmt.Errorf("%w: %w", migrate.ErrUnreadable, err)
	}
	return migrate.RecordOf(values, time.UnixMilli(int64(binary.BigEndian.Uint64(data)))), nil
}

// Load implements [migrate.Source]; id is the cookie's value.
func (s *Sessions) Load(ctx context.Context, cookie string, max int) ([]byte, error) {
	id, ok := s.id(cookie)
	if !ok {
		return nil, migrate.ErrNotFound
	}
	return s.rows.Load(ctx, id, max)
}

// Remove implements [migrate.Source].
func (s *Sessions) Remove(ctx context.Context, cookie string, data []byte) error {
	id, ok := s.id(cookie)
	if !ok {
		return migrate.ErrChanged
	}
	return s.rows.Remove(ctx, id, data)
}

// Survey implements [migrate.Surveyor]. It counts the sessions of all names:
// which one a row has, only its codec knows.
func (s *Sessions) Survey(ctx context.Context, _ string) (migrate.Survey, error) {
	return s.rows.Survey(ctx, "")
}
