//go:build servers

package testserver

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestMariaDB(t *testing.T) {
	m, err := StartMariaDB(MariaDBOptions{Args: []string{"--max-connections=33"}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop()
	name, err := m.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", m.DSN(name, "parseTime=true", "timeout=5s"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	must := func(query string) {
		t.Helper()
		if _, err := db.Exec(query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	must("CREATE TABLE t (n INT)")
	before, err := m.Statements()
	if err != nil {
		t.Fatal(err)
	}
	must("INSERT INTO t VALUES (7)")
	after, err := m.Statements()
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Sub(before).Questions; got != 1 {
		t.Errorf("one INSERT is counted as %d questions", got)
	}

	if err := m.Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(); err == nil {
		t.Error("a killed server answers")
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	var n, limit int
	if err := db.QueryRow("SELECT n, @@max_connections FROM t").Scan(&n, &limit); err != nil || n != 7 || limit != 33 {
		t.Errorf("after a restart: n = %d, max_connections = %d, %v; want 7, 33", n, limit, err)
	}

	dir := m.Dir()
	for range 2 {
		if err := m.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stop left %s behind (%v)", dir, err)
	}
}

func TestExternalMariaDB(t *testing.T) {
	t.Setenv(EnvMySQL, "user:secret@tcp(127.0.0.1:1)/")
	m, err := StartMariaDB(MariaDBOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Stop()
	if got, want := m.DSN("db", "parseTime=true"), "user:secret@tcp(127.0.0.1:1)/db?parseTime=true"; got != want {
		t.Errorf("DSN = %q, want %q", got, want)
	}
	if err := m.Kill9(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Kill9 of a server that is not ours = %v, want ErrNotRunning", err)
	}

	t.Setenv(EnvMySQL, "secret")
	if _, err := StartMariaDB(MariaDBOptions{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("StartMariaDB with a bad DSN = %v, want an error that does not repeat it", err)
	}
}

func TestMissingMariaDBNamesTheCure(t *testing.T) {
	_, err := Find(mariaDBCure, "no-such-mariadbd")
	if err == nil || !strings.Contains(err.Error(), "apt-get install mariadb-server") || !strings.Contains(err.Error(), "brew install mariadb") {
		t.Errorf("Find = %v, want an error with the cure", err)
	}
}
