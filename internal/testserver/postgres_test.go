//go:build servers

package testserver

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func startTestPostgres(t *testing.T, opts PostgresOptions) *Postgres {
	t.Helper()
	t.Setenv(PostgresEnv, "")
	p, err := StartPostgres(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// text is the one value that a query returns.
func text(t *testing.T, p *Postgres, query string) string {
	t.Helper()
	rows, err := p.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		t.Fatalf("%s: got %q, want one value", query, rows)
	}
	return rows[0][0]
}

func TestPostgres(t *testing.T) {
	p := startTestPostgres(t, PostgresOptions{Settings: []string{"max_connections = 33"}})
	if got := text(t, p, "SHOW max_connections"); got != "33" {
		t.Errorf("max_connections is %s, want 33", got)
	}
	db, err := p.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.QueryIn(db, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time on what the first left behind
		if err := p.Kill9(); err != nil {
			t.Fatal(err)
		}
		if err := p.Exec("SELECT 1"); err == nil {
			t.Error("a killed server responds")
		}
		if err := p.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	if rows, err := p.QueryIn(db, "SELECT n FROM t"); err != nil || len(rows) != 1 || rows[0][0] != "7" {
		t.Errorf("after a restart: %v, %v; want the row", rows, err)
	}
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	thawed := time.AfterFunc(200*time.Millisecond, func() {
		if err := p.Thaw(); err != nil {
			t.Error(err)
		}
	})
	if err := p.Exec("SELECT 1"); err != nil || time.Since(start) < 150*time.Millisecond {
		t.Errorf("a query of a frozen server: %v after %v, want none before it is thawed", err, time.Since(start))
	}
	thawed.Stop()
	if err := p.DropDatabase(db); err != nil {
		t.Error(err)
	}
	if err := p.Freeze(); err != nil { // Stop must cope
		t.Fatal(err)
	}
	dir := p.Dir()
	for range 2 {
		if err := p.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stop left %s: %v", dir, err)
	}
}

func TestPostgresStandby(t *testing.T) {
	p := startTestPostgres(t, PostgresOptions{})
	link, err := StartLink(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer link.Stop()
	s, err := p.StartStandby("spare", link.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if !s.Standby() || p.Standby() {
		t.Errorf("Standby() of the standby is %v, of the primary %v", s.Standby(), p.Standby())
	}
	eventually(t, "the standby follows", func() bool {
		rows, err := p.Query("SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'")
		return err == nil && len(rows) == 1 && rows[0][0] == "spare"
	})
	if err := p.Exec("CREATE TABLE t ()"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the standby has the table", func() bool { return s.Exec("SELECT FROM t") == nil })
	if err := s.Exec("CREATE TABLE u ()"); err == nil {
		t.Error("a standby takes writes")
	}
	link.Stall(true)
	if err := p.Exec("CREATE TABLE late ()"); err != nil { // nobody waits for an asynchronous standby
		t.Fatal(err)
	}
	if err := p.Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(); err != nil {
		t.Fatal(err)
	}
	if err := s.Exec("CREATE TABLE u ()"); err != nil || s.Standby() {
		t.Errorf("after Promote: %v, Standby() is %v", err, s.Standby())
	}
	if err := s.Exec("SELECT FROM late"); err == nil {
		t.Error("what was written while the link stalled is there")
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func TestPgBouncer(t *testing.T) {
	p := startTestPostgres(t, PostgresOptions{})
	b, err := StartPgBouncer(p, "default_pool_size = 3")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	through := *p // psql by way of the pooler
	through.admin = p.DSNAt(b.Addr(), "")
	if got := text(t, &through, "SELECT current_user"); got != postgresUser {
		t.Errorf("current_user through the pooler is %s, want %s", got, postgresUser)
	}
}

func TestExternalPostgres(t *testing.T) {
	own := startTestPostgres(t, PostgresOptions{})
	if err := own.Exec("ALTER ROLE postgres PASSWORD 'se/cret'"); err != nil {
		t.Fatal(err)
	}
	t.Setenv(PostgresEnv, "postgres://postgres:se%2Fcret@"+own.Addr()+"/")
	p, err := StartPostgres(PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, p, "SELECT current_user"); got != "postgres" {
		t.Errorf("current_user is %s, want postgres", got)
	}
	for name, method := range map[string]func() error{"Kill9": p.Kill9, "Restart": p.Restart, "Freeze": p.Freeze, "Thaw": p.Thaw, "Halt": p.Halt} {
		if err := method(); err == nil || !strings.Contains(err.Error(), PostgresEnv) {
			t.Errorf("%s of an external server: got %v, want an error that names %s", name, err, PostgresEnv)
		}
	}
	if err := p.Stop(); err != nil || own.Pid() == 0 {
		t.Errorf("Stop of an external server: %v; pid is %d", err, own.Pid())
	}
	t.Setenv(PostgresEnv, "secret")
	if _, err := StartPostgres(PostgresOptions{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("StartPostgres with a bad URL: got %v, want an error that does not repeat it", err)
	}
}
