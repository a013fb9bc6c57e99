//go:build servers

package mysql

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend/internal/sqltest"
	"github.com/chisession/session/internal/testserver"
)

// server is the MariaDB of this package's tests.
var server *testserver.MariaDB

func TestMain(m *testing.M) {
	if os.Getenv(envCreate) != "" {
		os.Exit(createInChild())
	}
	testserver.MoreParallel(4)
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if server, err = testserver.StartMariaDB(testserver.MariaDBOptions{Args: []string{"--max-connections=600"}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if leaks := sqltest.Leaked("go-sql-driver"); leaks != "" {
		fmt.Fprintln(os.Stderr, "goroutines left over:\n"+leaks)
		code = 1
	}
	return code
}

// database makes an empty database and returns its name.
func database(t testing.TB) string {
	t.Helper()
	name, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.DropDatabase(name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// open opens a store in a database of its own, with the parameters added to
// the DSN.
func open(t testing.TB, params ...string) *Store {
	t.Helper()
	return openIn(t, database(t), params...)
}

func openIn(t testing.TB, db string, params ...string) *Store {
	t.Helper()
	s, err := Open(server.DSN(db, params...))
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

// pool opens a caller's own pool.
func pool(t testing.TB, db string, params ...string) *sqlx.DB {
	t.Helper()
	p, err := sqlx.Open(Name, server.DSN(db, params...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// exec runs a statement as root.
func exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if err := server.Exec(query, args...); err != nil {
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
