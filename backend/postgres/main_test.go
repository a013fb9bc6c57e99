package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
)

// server is the PostgreSQL of this package's tests.
var server *testserver.Postgres

func TestMain(m *testing.M) {
	if os.Getenv(envCreate) != "" {
		os.Exit(createInChild())
	}
	testserver.MoreParallel(2)
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if server, err = testserver.StartPostgres(testserver.PostgresOptions{}); err != nil {
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
		if ours := driverGoroutines(); len(ours) == 0 || time.Now().After(deadline) {
			return strings.Join(ours, "\n\n")
		}
		runtime.Gosched()
	}
}

func driverGoroutines() []string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	var ours []string
	for _, stack := range strings.Split(b.String(), "\n\n") {
		if strings.Contains(stack, "jackc/") || strings.Contains(stack, "database/sql") {
			ours = append(ours, stack)
		}
	}
	return ours
}

// repeats is how often a test of chance repeats itself: n times, or as the
// environment variable REPEATS says.
func repeats(t testing.TB, n int) int {
	t.Helper()
	if text := os.Getenv("REPEATS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("REPEATS: %v", err)
		}
	}
	return n
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
