package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

var background = context.Background()

func fileOf(t testing.TB) string { return filepath.Join(t.TempDir(), "sessions.db") }

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := openPatiently(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openPatiently opens a store again while it is others who make the table: a busy
// machine may take longer for that than a call waits.
func openPatiently(path string) (*Store, error) {
	s, err := Open(path)
	for end := time.Now().Add(time.Minute); errors.Is(err, errBusy) && time.Now().Before(end); {
		s, err = Open(path)
	}
	return s, err
}

// openPatient opens a store whose calls wait for other writers as long as a busy
// machine may need for a crowd of them.
func openPatient(t testing.TB, path string) *Store {
	t.Helper()
	s := open(t, path)
	s.patience = time.Minute
	return s
}

// callers opens a pool as an application has one.
func callers(t testing.TB, path string, params ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?"+strings.Join(params, "&"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func record() backend.Record {
	return backend.Record{
		ID: uuid.Must(uuid.NewV7()), Version: 1, Data: []byte("data"),
		Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC(),
	}
}

func create(t testing.TB, s *Store) backend.Record {
	t.Helper()
	rec := record()
	if err := s.Create(background, rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "?synchronous=normal&table=Other"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, func(t *testing.T) backend.Store { return openPatient(t, fileOf(t)+path) })
		})
	}
}

func TestConformanceCallersPool(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backend.Store {
		db := callers(t, fileOf(t), "_pragma=journal_mode(WAL)", "_pragma=synchronous(OFF)", "_pragma=busy_timeout(50)")
		s, err := New(db, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		s.patience = time.Minute
		return s
	})
}

func TestConformanceShared(t *testing.T) {
	t.Parallel()
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		path := fileOf(t)
		return openPatient(t, path), openPatient(t, path)
	})
}

// TestConformanceTwoProcesses is the same with the second store in another
// process.
func TestConformanceTwoProcesses(t *testing.T) {
	t.Parallel()
	other := startProcess(t)
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		path := fileOf(t)
		return openPatient(t, path), other.open(t, path)
	})
}

// TestProcessesCreateTheTable: several processes and goroutines at once.
func TestProcessesCreateTheTable(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	for range 3 {
		openFar(t, path)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := openPatiently(path)
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

// TestReadersDoNotWait: while somebody writes, and keeps the lock, records are
// loaded at once; who wants to write waits, but not for ever, nor longer than
// its context.
func TestReadersDoNotWait(t *testing.T) {
	t.Parallel()
	path := fileOf(t)
	s := open(t, path)
	rec := create(t, s)
	other := callers(t, path)
	conn, err := other.Conn(background)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(background, "BEGIN IMMEDIATE; UPDATE sessions SET data = 'other'"); err != nil {
		t.Fatal(err)
	}
	took := func(f func() error) (time.Duration, error) {
		start := time.Now()
		err := f()
		return time.Since(start), err
	}
	if d, err := took(func() error { _, err := s.Load(background, rec.ID); return err }); err != nil || d >= busyWait {
		t.Errorf("Load beside a writer: %v after %v", err, d)
	}
	ctx, cancel := context.WithTimeout(background, 200*time.Millisecond)
	defer cancel()
	if d, err := took(func() error { return s.Update(ctx, rec) }); !errors.Is(err, context.DeadlineExceeded) || d >= busyWait {
		t.Errorf("Update beside a writer, with a deadline of 200 ms: %v after %v", err, d)
	}
	var wg sync.WaitGroup
	for range 20 { // each waits for itself, not for those before it
		wg.Go(func() {
			d, err := took(func() error { return s.Update(background, rec) })
			if err == nil || errors.Is(err, backend.ErrConflict) || errors.Is(err, backend.ErrNotFound) || !strings.Contains(err.Error(), "another one writes") || d >= 2*busyWait {
				t.Errorf("Update beside a writer: %v after %v", err, d)
			}
		})
	}
	wg.Wait()
	done := make(chan error, 1)
	go func() { done <- s.Touch(background, rec.ID, rec.Expires.Add(time.Minute)) }()
	if _, err := conn.ExecContext(background, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Touch that waited for a writer: %v", err)
	}
}

func TestOptionsOfThePath(t *testing.T) {
	for _, c := range []struct{ params, pragma string }{{"", "2"}, {"?synchronous=FULL", "2"}, {"?synchronous=normal", "1"}} {
		s := open(t, fileOf(t)+c.params)
		var synchronous, mode string
		if err := errors.Join(s.write.QueryRow("PRAGMA synchronous").Scan(&synchronous), s.write.QueryRow("PRAGMA journal_mode").Scan(&mode)); err != nil {
			t.Fatal(err)
		}
		if text := s.Durability(); !strings.HasPrefix(text, map[string]string{"2": "synchronous is full", "1": "synchronous is normal"}[c.pragma]) {
			t.Errorf("%q: Durability is %q", c.params, text)
		}
		if synchronous != c.pragma || mode != "wal" {
			t.Errorf("%q: synchronous is %s and the journal mode %s, want %s and wal", c.params, synchronous, mode, c.pragma)
		}
	}
	for _, path := range []string{"", ":memory:", "file:x.db", "x.db?synchronous=off", "x.db?journal=delete", "x.db?%zz", "x.db?table=a-b", "no/such/folder/x.db"} {
		if path != "" && !strings.HasPrefix(path, ":") && !strings.HasPrefix(path, "file:") {
			path = filepath.Join(t.TempDir(), path)
		}
		if s, err := Open(path); err == nil {
			s.Close()
			t.Errorf("Open(%q): no error", path)
		} else if !strings.HasPrefix(err.Error(), "sqlite: ") {
			t.Errorf("Open(%q) = %q, want the prefix sqlite:", path, err)
		}
	}
}

// TestFileIsPrivate: also its companions, whatever the umask.
func TestFileIsPrivate(t *testing.T) {
	path := fileOf(t)
	create(t, open(t, path))
	names, err := filepath.Glob(path + "*")
	if err != nil || len(names) < 2 {
		t.Fatalf("files %v, %v; want the database and its log", names, err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v; want 0600", name, info.Mode(), err)
		}
	}
}

func TestWrongTable(t *testing.T) {
	ours := strings.Join(Schema(""), ";")
	for name, c := range map[string]struct{ ddl, want string }{
		"foreign":    {"CREATE TABLE sessions (id INTEGER PRIMARY KEY)", "not a session table"},
		"scs":        {"CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)", "not a session table"},
		"newer":      {strings.Replace(ours, "schema 1", "schema 2", 1), "not a session table"},
		"no journal": {"PRAGMA journal_mode=DELETE", "journal_mode=WAL"},
		"no table":   {"SELECT 1", "sqlite.Schema"},
	} {
		mode := "_pragma=journal_mode(WAL)"
		db := callers(t, fileOf(t), mode)
		if name == "no journal" {
			db = callers(t, fileOf(t))
		}
		if _, err := db.Exec(c.ddl); err != nil {
			t.Fatal(err)
		}
		if s, err := New(db, Options{NoCreate: true}); err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: New = %v, %v; want no store and an error with %q", name, s, err, c.want)
		}
	}
	if _, err := New(nil, Options{}); err == nil {
		t.Error("New(nil): no error")
	}
	db := callers(t, fileOf(t), "_pragma=journal_mode(WAL)")
	if _, err := db.Exec(ours); err != nil {
		t.Fatal(err)
	}
	s, err := New(db, Options{NoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil || s.Bounded() {
		t.Errorf("Close: %v, Bounded: %v", err, s.Bounded())
	}
	if err := db.Ping(); err != nil {
		t.Errorf("the caller's pool after Close: %v", err)
	}
}

// TestEveryStatementHasAnIndex: none reads the whole table.
func TestEveryStatementHasAnIndex(t *testing.T) {
	s := open(t, fileOf(t))
	for _, query := range []string{sqlLoad, sqlExists, sqlUpdate, sqlShorten, sqlTouch, sqlDelete, sqlDeleteVersion, sqlSweep, sqlByUser, sqlCount} {
		args := make([]any, strings.Count(query, "?"))
		for i := range args {
			args[i] = 1
		}
		rows, err := s.read.Query("EXPLAIN QUERY PLAN "+strings.ReplaceAll(query, "{table}", "sessions"), args...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var a, b, c int
			var detail string
			if err := rows.Scan(&a, &b, &c, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(detail, "SCAN sessions") {
				t.Errorf("%s: %s", query, detail)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
