package behaviour

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/chisession/session/backend/postgres"
	"github.com/chisession/session/internal/behaviour"
	"github.com/chisession/session/internal/testserver"
)

var postgresKind = behaviour.Kind{Name: postgres.Name, Lasts: true, Fresh: freshTable, Dump: dumpPostgres, LockUp: lockPostgres}

var postgresServer = lazyServer[*testserver.Postgres]{start: func() (*testserver.Postgres, error) {
	return testserver.StartPostgres(testserver.PostgresOptions{})
}}

// postgresDatabase is one for all cases, each of which has a table of its own: to
// make a database takes many times as long. Both go with the server.
var postgresDatabase = sync.OnceValues(func() (string, error) { return postgresServer.server.CreateDatabase() })

var tables atomic.Int64

func freshTable(t testing.TB) string {
	t.Helper()
	server := postgresServer.get(t)
	db, err := postgresDatabase()
	if err != nil {
		t.Fatal(err)
	}
	table := fmt.Sprintf("sessions_%d", tables.Add(1))
	return server.DSN(db, "table="+table)
}

// postgresAdmin is a superuser's connection, and the table at a save path.
func postgresAdmin(t testing.TB, savePath string) (conn *pgx.Conn, table string) {
	t.Helper()
	_, table, err := postgres.ParseConfig(savePath)
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgresDatabase()
	if err != nil {
		t.Fatal(err)
	}
	conn, err = pgx.Connect(t.Context(), postgresServer.get(t).AdminDSN(db))
	if err != nil {
		t.Fatal(err)
	}
	return conn, table
}

func dumpPostgres(t testing.TB, savePath string) (all []byte) {
	t.Helper()
	conn, table := postgresAdmin(t, savePath)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		for _, column := range rows.RawValues() { // of bytea, the bytes
			all = append(append(all, column...), '\n')
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// lockPostgres holds the lock of the whole table, as ALTER TABLE would.
func lockPostgres(t testing.TB, savePath string) (release func()) {
	t.Helper()
	conn, table := postgresAdmin(t, savePath)
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE "+table); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
