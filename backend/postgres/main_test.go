package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/chisession/session/backend/internal/sqltest"
	"github.com/chisession/session/internal/testserver"
)

// server is the PostgreSQL of this package's tests.
var server *testserver.Postgres

func TestMain(m *testing.M) {
	if os.Getenv(envCreate) != "" {
		os.Exit(createInChild())
	}
	testserver.MoreParallel(4)
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if server, err = testserver.StartPostgres(testserver.PostgresOptions{Settings: []string{"max_connections = 400"}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := 1
	if db, err := server.CreateDatabase(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		os.Setenv("SHOP_POSTGRES", server.DSN(db)) // the examples'
		code = m.Run()
	}
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if leaks := sqltest.Leaked("jackc/"); leaks != "" {
		fmt.Fprintln(os.Stderr, "goroutines left over:\n"+leaks)
		code = 1
	}
	return code
}

// database makes an empty database and returns its name.
func database(t testing.TB) string { return databaseOn(t, server) }

func databaseOn(t testing.TB, server *testserver.Postgres) string {
	t.Helper()
	name, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.DropDatabase(name); err != nil && server.Pid() != 0 {
			t.Error(err)
		}
	})
	return name
}

// everyone is the database of the tests that need no more than a table of their
// own: to make a database takes many times as long.
var everyone struct {
	once   sync.Once
	db     string
	tables atomic.Int64
}

// open opens a store in a table of its own, with the parameters added to the
// connection string.
func open(t testing.TB, params ...string) *Store {
	t.Helper()
	everyone.once.Do(func() {
		var err error
		if everyone.db, err = server.CreateDatabase(); err != nil { // it goes with the server
			t.Fatal(err)
		}
	})
	table := fmt.Sprintf("sessions_%d", everyone.tables.Add(1))
	s, err := openWith(server.DSN(everyone.db, params...), Options{Table: table})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func openIn(t testing.TB, db string, params ...string) *Store {
	t.Helper()
	return openAt(t, server.DSN(db, params...))
}

func openAt(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(dsn)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func openErr(dsn string) error {
	s, err := Open(dsn)
	if err == nil {
		s.Close()
	}
	return err
}

// pool opens a caller's own pool.
func pool(t testing.TB, dsn string) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(background, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// sqlPool opens a caller's own pool of database/sql.
func sqlPool(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	p, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// admin is a superuser's connection to the database db.
func admin(t testing.TB, db string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(background, server.AdminDSN(db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(background) })
	return conn
}

// do runs statements as a superuser in the database db.
func do(t testing.TB, db, statements string) {
	t.Helper()
	if _, err := server.QueryIn(db, statements); err != nil {
		t.Fatal(err)
	}
}

const soon, late, crowd = sqltest.Soon, sqltest.Late, sqltest.Crowd

// What the tests of both SQL servers share.
var (
	background = context.Background()

	record, create, load = sqltest.Record, sqltest.Create, sqltest.Load
	within, eventually   = sqltest.Within, sqltest.Eventually
	operations, each     = sqltest.Operations, sqltest.Each
	repeats              = sqltest.Repeats

	refusal   = sqltest.Refusal{Backend: Name, Password: func() string { return server.Password() }}
	noOutcome = refusal.Check
)
