//go:build servers

package mysql

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
)

// server is the MariaDB of this package's tests.
var server *testserver.MariaDB

func TestMain(m *testing.M) {
	if os.Getenv(envCreate) != "" {
		os.Exit(createInChild())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if server, err = testserver.StartMariaDB(testserver.MariaDBOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if leaks := leaked(); leaks != "" {
		fmt.Fprintln(os.Stderr, "goroutines left over:\n"+leaks)
		code = 1
	}
	return code
}

// leaked returns the stacks of goroutines that the driver, database/sql or
// this package left behind, once those that are about to end have ended.
func leaked() string {
	deadline := time.Now().Add(5 * time.Second)
	for {
		if ours := sqlGoroutines(); len(ours) == 0 || time.Now().After(deadline) {
			return strings.Join(ours, "\n\n")
		}
		runtime.Gosched()
	}
}

func sqlGoroutines() []string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	var ours []string
	for _, stack := range strings.Split(b.String(), "\n\n") {
		if strings.Contains(stack, "go-sql-driver") || strings.Contains(stack, "database/sql") {
			ours = append(ours, stack)
		}
	}
	return ours
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

var background = context.Background()

// record is a fresh record that lives for an hour.
func record() backend.Record {
	return backend.Record{
		ID:      uuid.Must(uuid.NewV7()),
		Version: 1,
		Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC(),
		Data:    []byte("data"),
	}
}

// create stores rec and fails the test if that fails.
func create(t testing.TB, s backend.Store, rec backend.Record) backend.Record {
	t.Helper()
	if err := s.Create(background, rec); err != nil {
		t.Fatalf("Create: %v", err)
	}
	rec.Version = 1
	return rec
}

func load(t testing.TB, s backend.Store, id uuid.UUID) backend.Record {
	t.Helper()
	rec, err := s.Load(background, id)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return rec
}

// within fails the test if f takes longer than limit, and returns how long it
// took.
func within(t testing.TB, limit time.Duration, what string, f func()) time.Duration {
	t.Helper()
	start := time.Now()
	f()
	took := time.Since(start)
	if took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
	return took
}

// eventually polls until ok, at most for limit.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}
