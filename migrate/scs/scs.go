// Package scs adopts the live sessions of github.com/alexedwards/scs (v2), so
// that its users stay logged in:
//
//	r.Use(m.Middleware, scs.Adopt(m, scs.Redis(pool, ""), migrate.Options{Adopted: login}))
//
// What is promised, and what not, is on the page of package migrate.
//
// scs keeps a gob of its values, a map[string]interface{}, and of a deadline:
// the default GobCodec. Built-in types come over as they are, and so do
// time.Time, time.Duration and the maps and slices of them that Beego registers;
// others must be registered with gob.Register, as they were in the old program.
// A session with a value of a type that is not registered stays where it is,
// and the log says which type that is.
//
// What was remembered by RememberMe(ctx, true) gets a cookie that the browser
// keeps, and may be idle until the deadline.
//
// The deadline stays, cut at 100 years: the new session ends no later than the
// old one would have (unless Options.Adopted calls SetAbsoluteTimeout).
package scs

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/internal/old"
)

const (
	// DefaultCookieName is the name of scs's cookie, unless its
	// SessionManager.Cookie.Name is another.
	DefaultCookieName = "session"

	// DefaultPrefix starts the keys of its redisstore and goredisstore.
	DefaultPrefix = "scs:session:"

	tokenLen = 43 // 32 bytes in base64url
)

// format is what the cookies and records of scs look like.
var format = migrate.Format{
	Name:       "scs",
	CookieName: DefaultCookieName,
	Form:       "43 letters, digits, - and _",
	Valid:      validToken,
	Decode:     decode,
}

// rememberMe is the key under which RememberMe of scs keeps its argument.
const rememberMe = "__rememberMe"

func decode(data []byte, max int) (migrate.Record, error) {
	rec, err := migrate.DecodeStruct(data, max, "Values", "Deadline")
	if on, ok := rec.Values[rememberMe].(bool); ok {
		rec.Persistent = on
		delete(rec.Values, rememberMe)
	}
	return rec, err
}

// Adopt returns the middleware that adopts the sessions in source into those
// of m; mount it right behind m.Middleware. The two cookies may have one name.
// It panics if m has no cookies for browsers, as [migrate.Adopt] does.
func Adopt(m *session.Manager, source migrate.Source, opts migrate.Options) func(http.Handler) http.Handler {
	return migrate.Adopt(m, format, source, opts)
}

// Redis is the store of redisstore and goredisstore, one key a session, prefix
// and token; the default prefix is "scs:session:". The account needs GETRANGE,
// GET, DEL, EVAL and EVALSHA.
func Redis(pool *redis.Pool, prefix string) migrate.Source {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return old.Redis{Pool: pool, Prefix: prefix, Valid: validToken}
}

// MySQL is the store of mysqlstore, in its table; default "sessions". A row
// whose expiry has passed, by the server's clock, is not adopted. The account
// needs SELECT and DELETE on the table. It panics if table is no name.
//
// mysqlstore writes UTC into a TIMESTAMP column and compares it with
// UTC_TIMESTAMP; so does this.
func MySQL(db *sql.DB, table string) migrate.Source {
	if table == "" {
		table = "sessions"
	}
	return old.NewSQL(db, old.MySQL, old.Columns{Table: table, Key: "token", Data: "data"}, "UTC_TIMESTAMP(6) < `expiry`")
}

// Postgres is the store of postgresstore and pgxstore, in their table; default
// "sessions". A row whose expiry has passed, by the server's clock, is not
// adopted. The account needs SELECT and DELETE on the table. It panics if table is
// no name, "table" or "schema.table", which as in their statements PostgreSQL
// makes lower case.
//
// db is a pool of any driver for PostgreSQL. That of a pgxpool.Pool is
// stdlib.OpenDBFromPool(pool), of github.com/jackc/pgx/v5/stdlib.
func Postgres(db *sql.DB, table string) migrate.Source {
	if table == "" {
		table = "sessions"
	}
	return old.NewSQL(db, old.Postgres, old.Columns{Table: table, Key: "token", Data: "data"}, "current_timestamp < expiry")
}

// SQLite is the store of sqlite3store, in its table; default "sessions". A row
// whose expiry has passed is not adopted. db is a pool of any driver for SQLite.
// It panics if table is no name.
func SQLite(db *sql.DB, table string) migrate.Source {
	if table == "" {
		table = "sessions"
	}
	return old.NewSQL(db, old.SQLite, old.Columns{Table: table, Key: "token", Data: "data"}, "julianday('now') < expiry")
}

// Hashed is source as a manager with HashTokenInStore used it.
func Hashed(source migrate.Source) migrate.Source { return hashed{source} }

type hashed struct{ migrate.Source }

func (h hashed) Load(ctx context.Context, token string, max int) ([]byte, error) {
	return h.Source.Load(ctx, hash(token), max)
}

func (h hashed) Remove(ctx context.Context, token string, data []byte) error {
	return h.Source.Remove(ctx, hash(token), data)
}

// Survey implements migrate.Surveyor: a hash looks as a token does.
func (h hashed) Survey(ctx context.Context, prefix string) (migrate.Survey, error) {
	if s, ok := h.Source.(migrate.Surveyor); ok {
		return s.Survey(ctx, prefix)
	}
	return migrate.Survey{}, errors.New("scs: the hashed source cannot be counted")
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// validToken reports whether token is of the form that scs gives its tokens.
func validToken(token string) bool {
	if len(token) != tokenLen {
		return false
	}
	for i := range len(token) {
		c := token[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
