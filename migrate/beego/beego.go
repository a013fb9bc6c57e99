// Package beego adopts the live sessions of Beego's server/web/session (v2;
// v1's look the same), so that its users stay logged in:
//
//	r.Use(m.Middleware, beego.Adopt(m, beego.Redis(pool), migrate.Options{Adopted: login}))
//
// What is promised, and what not, is on the page of package migrate.
//
// Beego's values are a gob, a map[interface{}]interface{}. Built-in types come
// over as they are, and so do the types that Beego registers, time.Time and
// time.Duration. For others the program must know the type, under the name
// that the old one gave it: call gob.Register in an init function, as Beego
// did by itself for each value that was Set, or gob.RegisterName
// ("old/path.Type", Type{}) if the package has moved. A session with a value of
// a type that is not registered stays in the old store, and the log names key,
// type and cure (see migrate.Options.Lossy). Keys that are numbers become text:
// 7 becomes "7".
//
// Read are IDs of 32 hexadecimal digits, Beego's own length, behind what
// migrate.Options.IDPrefix says (sessionidprefix). Sessions in Beego's memory provider end with its process,
// those of its cookie provider are not read.
package beego

import (
	"database/sql"
	"net/http"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/internal/old"
)

// DefaultCookieName is the name of Beego's cookie unless the configuration
// has another (sessionname).
const DefaultCookieName = "beegosessionID"

// DefaultLifetime is how long a record is live after its last use, unless the
// configuration says otherwise (sessiongcmaxlifetime, in seconds).
const DefaultLifetime = time.Hour

const idLen = 32

// format is what Beego's cookies and records look like.
var format = migrate.Format{
	Name:       "beego",
	CookieName: DefaultCookieName,
	Form:       "32 hexadecimal digits",
	Valid:      validID,
	Decode:     migrate.DecodeMap,
}

// Adopt returns the middleware that adopts the sessions in source into those
// of m; mount it right behind m.Middleware. The two cookies may have one name:
// Beego's value is no token of m, which sees no session in it. The messages of
// a pending BEEGO_FLASH cookie are taken by the first [flash.Take], and the
// cookie is removed then. It panics if m
// has no cookies for browsers, as [migrate.Adopt] does.
func Adopt(m *session.Manager, source migrate.Source, opts migrate.Options) func(http.Handler) http.Handler {
	adopt := migrate.Adopt(m, format, source, opts)
	return func(next http.Handler) http.Handler { return adopt(flashes(m, next)) }
}

// Redis is the store of Beego's redis provider: one key a session, whose name
// is the ID. pool must be of the same database. The account needs GETRANGE,
// GET, DEL, EVAL and EVALSHA.
func Redis(pool *redis.Pool) migrate.Source { return old.Redis{Pool: pool, Valid: validID} }

// MySQL is the store of Beego's mysql provider, in its table; default
// "session". lifetime is sessiongcmaxlifetime; default an hour. A record that
// is older, by the server's clock, is not adopted. The account needs SELECT
// and DELETE on the table. It panics if table is no name.
func MySQL(db *sql.DB, table string, lifetime time.Duration) migrate.Source {
	if table == "" {
		table = "session"
	}
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	return old.NewSQL(db, old.MySQL, old.Columns{Table: table, Key: "session_key", Data: "session_data"},
		"`session_expiry` >= UNIX_TIMESTAMP() - ?", int64(lifetime/time.Second))
}

// validID reports whether id is of the form that Beego gives its IDs.
func validID(id string) bool {
	if len(id) != idLen {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
