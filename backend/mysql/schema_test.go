//go:build servers

package mysql

import (
	"fmt"
	"os"
	osexec "os/exec"
	"strings"
	"sync"
	"testing"
)

// envCreate, with a DSN, has the test binary be a process that opens a store
// and nothing else.
const envCreate = "SESSION_TEST_CREATE"

func createInChild() int {
	s, err := Open(os.Getenv(envCreate))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// TestTwoProcessesCreateTheTable, and sixteen goroutines.
func TestTwoProcessesCreateTheTable(t *testing.T) {
	t.Parallel()
	for range repeats(t, 2) {
		db := database(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				process := child(envCreate + "=" + server.DSN(db))
				if out, err := process.CombinedOutput(); err != nil {
					t.Errorf("a process that opens: %v: %s", err, out)
				}
			})
		}
		for range 16 {
			wg.Go(func() {
				s, err := Open(server.DSN(db))
				if err != nil {
					t.Errorf("Open: %v", err)
					return
				}
				s.Close()
			})
		}
		wg.Wait()
	}
}

// child is this test binary as another process.
func child(env ...string) *osexec.Cmd {
	cmd := osexec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

func TestSchemaTwice(t *testing.T) {
	db := database(t)
	p := pool(t, db)
	for range 2 {
		for _, ddl := range Schema("") {
			if _, err := p.Exec(ddl); err != nil {
				t.Fatalf("%s: %v", ddl, err)
			}
		}
	}
	if _, err := New(p, Options{NoCreate: true}); err != nil {
		t.Errorf("New on the table of Schema: %v", err)
	}
}

func TestTableNames(t *testing.T) {
	db := database(t)
	p := pool(t, db)
	for _, name := range []string{"sessions2", "Sess_3", "123", "select", db + ".qualified", strings.Repeat("x", 64)} {
		s, err := New(p, Options{Table: name})
		if err != nil {
			t.Errorf("New with Table %q: %v", name, err)
			continue
		}
		rec := create(t, s, record())
		load(t, s, rec.ID)
		s.Close()
	}
	for _, name := range []string{"a b", "a;b", "a`b", "a.b.c", ".a", "a.", "a-b", "tä", "a\n", strings.Repeat("x", 65), "x' OR 1"} {
		if _, err := New(p, Options{Table: name}); err == nil || !strings.Contains(err.Error(), "Options.Table") {
			t.Errorf("New with Table %q = %v, want an error that names Options.Table", name, err)
		}
	}
}

// TestWrongTable: an error at start, which names the cure.
func TestWrongTable(t *testing.T) {
	ours := Schema("sessions")[0]
	cases := []struct{ name, ddl, want string }{
		{"foreign", "CREATE TABLE sessions (id INT PRIMARY KEY)", "Options.Table"},
		{"scs", "CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL)", "Options.Table"},
		{"newer", strings.Replace(ours, "schema 1", "schema 2", 1), "update the library"},
		{"no number", strings.Replace(ours, "schema 1", "schema x", 1), "not a session table"},
		{"blob", strings.Replace(ours, "MEDIUMBLOB", "BLOB", 1), "column data"},
		{"text id", strings.Replace(ours, "BINARY(16) ", "CHAR(36) ", 1), "column id"},
		{"seconds", strings.Replace(ours, "DATETIME(6)", "DATETIME", 1), "column expires"},
		{"engine", strings.Replace(strings.Replace(ours, "InnoDB", "MyISAM", 1), "ROW_FORMAT=DYNAMIC", "", 1), "ENGINE=InnoDB"},
		{"no index", strings.Replace(ours, "KEY expires (expires),", "", 1), "no index expires"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db := database(t)
			p := pool(t, db)
			if _, err := p.Exec(c.ddl); err != nil {
				t.Fatal(err)
			}
			for name, err := range map[string]error{"Open": openErr(server.DSN(db)), "New": newErr(t, db, Options{NoCreate: true})} {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s = %v, want an error with %q", name, err, c.want)
				}
			}
		})
	}
}

func openErr(dsn string) error {
	s, err := Open(dsn)
	if err == nil {
		s.Close()
	}
	return err
}

func newErr(t *testing.T, db string, opts Options) error {
	s, err := New(pool(t, db), opts)
	if err == nil {
		s.Close()
	}
	return err
}

func TestMissingTable(t *testing.T) {
	db := database(t)
	if err := newErr(t, db, Options{NoCreate: true}); err == nil || !strings.Contains(err.Error(), "mysql.Schema") {
		t.Errorf("New with NoCreate = %v, want an error that names mysql.Schema", err)
	}
	if err := openErr(server.DSN("")); err == nil || !strings.Contains(err.Error(), "names no database") {
		t.Errorf("Open without a database = %v", err)
	}
	if err := openErr(server.DSN("session_missing")); err == nil || !strings.Contains(err.Error(), "session_missing") {
		t.Errorf("Open of a missing database = %v, want an error that names it", err)
	}
}

// TestGrants: what the package doc says an account needs is enough.
func TestGrants(t *testing.T) {
	db := database(t)
	account := "'few_rights'@'127.0.0.1'"
	exec(t, "CREATE USER "+account+" IDENTIFIED BY 'pw'")
	t.Cleanup(func() { exec(t, "DROP USER "+account) })
	exec(t, "GRANT SELECT, INSERT, UPDATE, DELETE ON `"+db+"`.* TO "+account)
	dsn := "few_rights:pw@tcp(" + server.Addr() + ")/" + db

	err := openErr(dsn)
	if err == nil || !strings.Contains(err.Error(), "grant CREATE") {
		t.Errorf("Open without the right to create = %v, want an error that names it", err)
	}
	exec(t, Schema(db + ".sessions")[0])
	s, err := Open(dsn)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer s.Close()
	rec := create(t, s, record())
	if err := s.Update(background, rec); err != nil {
		t.Errorf("Update: %v", err)
	}
	if err := s.Delete(background, rec.ID); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := s.Sweep(background, 1); err != nil {
		t.Errorf("Sweep: %v", err)
	}
}
