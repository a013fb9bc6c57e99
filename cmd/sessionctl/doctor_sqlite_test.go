package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
)

func TestDoctorSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions.db")
	login(t, newSite(t, "sqlite", file, "").store, "ada")
	args := []string{"--provider", "sqlite", "--save-path", file}
	report, _ := examine(t, plainApp(), args...)
	report.allOK(t)
	report, _ = examine(t, plainApp(), "--provider", "sqlite", "--save-path", file+"?synchronous=normal")
	report.expect(t, "durability", doctor.Warn, "undoes the last logins and logouts")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	report, _ = examine(t, plainApp(), args...)
	report.expect(t, "permissions", doctor.Warn, "others on this machine can get at it")
}

func TestDoctorSQLiteJournal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.db")
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (n)"); err != nil {
		t.Fatal(err)
	}
	report, _ := examine(t, plainApp(), "--provider", "sqlite", "--save-path", file)
	report.expect(t, "journal", doctor.Fail, "readers wait for the writer")
	report.expect(t, "table", doctor.Fail, "journal mode delete")
	if err := os.WriteFile(file, []byte("this is no database, and long enough to be looked at as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	report, _ = examine(t, plainApp(), "--provider", "sqlite", "--save-path", file)
	report.expect(t, "journal", doctor.Fail, "not a database")
}
