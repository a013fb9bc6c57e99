package main

import (
	"context"
	"database/sql"
	"net/http"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/mysqlstore"
	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// alexedwards is github.com/alexedwards/scs/v2 with its defaults: no idle
// timeout, which would have it write on every read.
type alexedwards struct{ m *scs.SessionManager }

func newSCS(store scs.Store) *alexedwards {
	m := scs.New()
	m.Store = store
	m.Cookie.Secure = true
	return &alexedwards{m}
}

func scsMemory() *alexedwards { return newSCS(memstore.NewWithCleanupInterval(0)) }

func scsRedis(client *redis.Client) *alexedwards { return newSCS(goredisstore.New(client)) }

// scsTable is the table that its README has one create.
var scsTable = []string{
	"CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL)",
	"CREATE INDEX sessions_expiry_idx ON sessions (expiry)",
}

func scsMariaDB(db *sql.DB) (*alexedwards, error) {
	for _, stmt := range scsTable {
		if _, err := db.Exec(stmt); err != nil {
			return nil, err
		}
	}
	return newSCS(mysqlstore.NewWithCleanupInterval(db, time.Duration(0))), nil
}

// scsPostgresTable is the same for its pgxstore.
const scsPostgresTable = `CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
	CREATE INDEX sessions_expiry_idx ON sessions (expiry)`

func scsPostgres(pool *pgxpool.Pool) (*alexedwards, error) {
	if _, err := pool.Exec(context.Background(), scsPostgresTable); err != nil {
		return nil, err
	}
	return newSCS(pgxstore.NewWithCleanupInterval(pool, 0)), nil
}

func (a *alexedwards) middleware(next http.Handler) http.Handler { return a.m.LoadAndSave(next) }

func (a *alexedwards) number(r *http.Request) (int, error) {
	n := a.m.GetInt(r.Context(), "count")
	if n == 0 {
		return 0, errMissing
	}
	return n, nil
}

func (a *alexedwards) add(_ http.ResponseWriter, r *http.Request) (int, error) {
	n := a.m.GetInt(r.Context(), "count")
	if n == 0 {
		return 0, errMissing
	}
	a.m.Put(r.Context(), "count", n+1)
	return n + 1, nil
}

func (a *alexedwards) text(r *http.Request, key string) (string, error) {
	text := a.m.GetString(r.Context(), key)
	if text == "" {
		return "", errMissing
	}
	return text, nil
}

func (a *alexedwards) setText(_ http.ResponseWriter, r *http.Request, key, value string) error {
	a.m.Put(r.Context(), key, value)
	return nil
}

func (a *alexedwards) login(_ http.ResponseWriter, r *http.Request) error {
	a.m.Put(r.Context(), "user", "mary@example.com")
	a.m.Put(r.Context(), "role", "editor")
	a.m.Put(r.Context(), "count", 1)
	return nil
}

func (a *alexedwards) fill(_ http.ResponseWriter, r *http.Request, n int, text string) error {
	for i := range n {
		a.m.Put(r.Context(), keyOf(i), text)
	}
	return nil
}

func (a *alexedwards) renew(_ http.ResponseWriter, r *http.Request) error {
	return a.m.RenewToken(r.Context())
}

func (a *alexedwards) destroy(_ http.ResponseWriter, r *http.Request) error {
	return a.m.Destroy(r.Context())
}
