package drivers

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/lib/pq"           // registers the driver "postgres"
	_ "github.com/mattn/go-sqlite3" // registers the driver "sqlite3"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/backend/sqlite"
)

// open opens a caller's own pool.
func open(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db := must(sql.Open(driver, dsn))(t)
	t.Cleanup(func() { db.Close() })
	return db
}

// must returns what a call returned, and fails the test if that is an error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestPostgresByLibPQ(t *testing.T) {
	t.Parallel()
	db := must(server.CreateDatabase())(t)
	for name, params := range map[string][]string{"text": nil, "binary": {"binary_parameters=yes"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := open(t, "postgres", server.DSN(db, append(params, "timezone=Asia/Kathmandu")...))
			pool.SetMaxOpenConns(8)
			var tables atomic.Int64
			backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
				opts := postgres.Options{Table: fmt.Sprint(name, tables.Add(1)), Unlogged: true}
				return must(postgres.NewSQL(pool, opts))(t), must(postgres.NewSQL(pool, opts))(t)
			})
		})
	}
}

// TestAnonymousIsNull: of sessions without a user there is no entry in the index
// of users, though lib/pq has taken a nil slice for an empty value.
func TestAnonymousIsNull(t *testing.T) {
	pool := open(t, "postgres", server.DSN(must(server.CreateDatabase())(t)))
	s := must(postgres.NewSQL(pool, postgres.Options{}))(t)
	rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour)}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	var named int
	if err := pool.QueryRow("SELECT count(username) FROM sessions").Scan(&named); err != nil || named != 0 {
		t.Errorf("%d of the sessions without a user have a user name, %v; want none", named, err)
	}
}

func TestSQLiteByMattn(t *testing.T) {
	t.Parallel()
	for name, params := range map[string]string{"plain": "", "shared cache": "&cache=shared", "begins at once": "&_txlock=immediate&_busy_timeout=0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
				dsn := "file:" + filepath.Join(t.TempDir(), "app.db") + "?_journal_mode=WAL" + params
				return must(sqlite.New(open(t, "sqlite3", dsn), sqlite.Options{}))(t), must(sqlite.New(open(t, "sqlite3", dsn), sqlite.Options{}))(t)
			})
		})
	}
}
