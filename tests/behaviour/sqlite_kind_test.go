package behaviour

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/chisession/session/backend/sqlite"
	"github.com/chisession/session/internal/behaviour"
)

var sqliteKind = behaviour.Kind{Name: sqlite.Name, Lasts: true, Fresh: freshFile, Dump: dumpSQLite, LockUp: lockSQLite}

// freshFile is in memory, where there is such a place: on a disk, every write is
// flushed.
func freshFile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "session-sqlite-")
	if err != nil {
		return filepath.Join(t.TempDir(), "sessions.db")
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "sessions.db")
}

// dumpSQLite reads the file and its log, which has what was written last.
func dumpSQLite(t testing.TB, savePath string) (all []byte) {
	t.Helper()
	files, err := filepath.Glob(savePath + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}

// lockSQLite holds the lock to write, as any other writer does.
func lockSQLite(t testing.TB, savePath string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+savePath)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := db.Close(); err != nil { // and so the transaction
			t.Error(err)
		}
	}
}
