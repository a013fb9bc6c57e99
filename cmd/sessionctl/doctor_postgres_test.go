package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
	"github.com/chisession/session/internal/testserver"
)

func postgresArgs(dsn string) []string {
	return []string{"--provider", "postgres", "--save-path", dsn}
}

var postgresFacts = regexp.MustCompile(`PostgreSQL [^\n"]+|within \d+ms|\d+ of \d+ in use|\d+\.?\d* (B|KiB): too`)

// migrated makes a table in a database of its own, and returns the database.
func migrated(t *testing.T, p *testserver.Postgres) string {
	t.Helper()
	db := postgresDatabase(t, p)
	must(t, append([]string{"migrate", "--apply"}, postgresArgs(p.DSN(db))...)...)
	return db
}

func TestDoctorPostgresGood(t *testing.T) {
	p := startPostgres(t)
	db := migrated(t, p)
	report, _ := examine(t, plainApp(), postgresArgs(p.DSN(db))...)
	report.allOK(t)
	r := ctl(t, append([]string{"doctor"}, postgresArgs(p.DSN(db))...)...)
	r.lacks(t, p.Password())
	golden(t, "doctor-postgres.txt", postgresFacts.ReplaceAllString(r.stdout, "N"), p.Addr(), "ADDR", db, "shop")
}

// TestDoctorPostgresTable: what can be wrong with the table.
func TestDoctorPostgresTable(t *testing.T) {
	p := startPostgres(t)
	const rows = "INSERT INTO sessions SELECT gen_random_uuid(), 1, now() + interval '1 hour', 0, NULL, convert_to(repeat('x', 300), 'UTF8') FROM generate_series(1, %d); "
	for _, c := range []struct {
		name, spoil string
		check       string
		status      doctor.Status
		detail      string
	}{
		{"missing table", "DROP TABLE sessions", "table", doctor.Fail, "there is no table sessions"},
		{"column of another type", "ALTER TABLE sessions ALTER version TYPE numeric", "schema", doctor.Fail, "column version"},
		{"missing index", "DROP INDEX sessions_bucket", "schema", doctor.Fail, "no index on bucket"},
		{"a later schema", "COMMENT ON TABLE sessions IS 'session schema 99'", "schema", doctor.Fail, "update the library"},
		{"UNLOGGED", "ALTER TABLE sessions SET UNLOGGED", "durability", doctor.Warn, "lose every session"},
		{"commits are not waited for", "ALTER ROLE session IN DATABASE {db} SET synchronous_commit = off", "durability", doctor.Warn, "synchronous_commit is off"},
		{"read only", "ALTER DATABASE {db} SET default_transaction_read_only = on", "role", doctor.Fail, "every write is refused"},
		{"index on the expiry", "CREATE INDEX ON sessions (expires)", "HOT updates", doctor.Warn, "none is HOT"},
		{"no HOT updates", fmt.Sprintf(rows, 6000) + "UPDATE sessions SET bucket = bucket + 1; UPDATE sessions SET bucket = bucket + 1", "HOT updates", doctor.Warn, "updates are HOT"},
		{"autovacuum is off", "ALTER TABLE sessions SET (autovacuum_enabled = off)", "autovacuum", doctor.Fail, "autovacuum is off"},
		{"autovacuum lags", "ALTER TABLE sessions SET (autovacuum_vacuum_threshold = 2000000000);" + fmt.Sprintf(rows, 12000) +
			"UPDATE sessions SET bucket = bucket + 1", "autovacuum", doctor.Warn, "lags behind: 12000 dead rows beside 12000"},
		{"bloat", "ALTER TABLE sessions SET (fillfactor = 10, autovacuum_enabled = off); " + fmt.Sprintf(rows, 40000), "bloat", doctor.Warn, "rows need"},
		{"rows are hidden", "ALTER TABLE sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", "rights", doctor.Fail, "row level security"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := migrated(t, p)
			for statement := range strings.SplitSeq(strings.ReplaceAll(c.spoil, "{db}", db), "; ") {
				if _, err := p.QueryIn(db, statement); err != nil {
					t.Fatal(err)
				}
			}
			report, _ := examine(t, plainApp(), postgresArgs(p.DSN(db))...)
			// Backends add what they did to the statistics when they end, or later.
			for end := time.Now().Add(time.Minute); !report.has(c.check, c.status, c.detail) && time.Now().Before(end); {
				time.Sleep(100 * time.Millisecond)
				report, _ = examine(t, plainApp(), postgresArgs(p.DSN(db))...)
			}
			report.expect(t, c.check, c.status, c.detail)
		})
	}
}

func TestDoctorPostgresRights(t *testing.T) {
	p := startPostgres(t)
	db := migrated(t, p)
	for _, statement := range []string{"CREATE ROLE poor LOGIN PASSWORD 'hunter2-poor'", "GRANT SELECT, INSERT ON sessions TO poor"} {
		if _, err := p.QueryIn(db, statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := p.QueryIn(db, "DROP OWNED BY poor; DROP ROLE poor"); err != nil {
			t.Error(err)
		}
	})
	dsn := strings.Replace(p.DSN(db), "session:"+p.Password(), "poor:hunter2-poor", 1)
	report, r := examine(t, plainApp(), postgresArgs(dsn)...)
	report.expect(t, "rights", doctor.Fail, "lacks UPDATE, DELETE on table sessions")
	r.lacks(t, "hunter2")
	report, r = examine(t, plainApp(), postgresArgs(strings.Replace(dsn, "poor@", "wrong@", 1))...)
	report.expect(t, "connection", doctor.Fail, "password authentication failed")
	r.lacks(t, "hunter2")
}

// TestDoctorPostgresStandby: an asynchronous one, a synchronous one, the standby
// itself, and a primary that waits for one that is gone.
func TestDoctorPostgresStandby(t *testing.T) {
	p, err := testserver.StartPostgres(testserver.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	db := migrated(t, p)
	look := func(check string, status doctor.Status, detail string) {
		t.Helper()
		report, _ := examine(t, plainApp(), postgresArgs(p.DSN(db))...)
		report.expect(t, check, status, detail)
	}
	look("standby", doctor.OK, "none follows")
	s, err := p.StartStandby("spare", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	following(t, p, 1)
	look("standby", doctor.Warn, "1 asynchronous standby follows")
	look("durability", doctor.OK, "asynchronous")
	if err := p.Configure("synchronous_standby_names = 'ANY 1 (*)'"); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err != nil {
		t.Fatal(err)
	}
	following(t, p, 1)
	look("standby", doctor.OK, "waits for one of ANY 1")
	look("durability", doctor.OK, "synchronous: ")
	report, _ := examine(t, plainApp(), postgresArgs(s.DSN(db))...)
	report.expect(t, "role", doctor.Fail, "the server is a standby")
	if err := s.Halt(); err != nil {
		t.Fatal(err)
	}
	following(t, p, 0)
	look("standby", doctor.Fail, "every login and logout hangs")
	if err := p.Configure("synchronous_standby_names = ''"); err != nil { // for the cleanup
		t.Fatal(err)
	}
	if err := p.Reload(); err != nil {
		t.Fatal(err)
	}
}

// following waits until n standbys follow.
func following(t *testing.T, p *testserver.Postgres, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		rows, err := p.Query("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
		if err == nil && rows[0][0] == fmt.Sprint(n) {
			return
		}
	}
	t.Fatalf("there are not %d standbys in a minute", n)
}

func TestDoctorPostgresPooler(t *testing.T) {
	p := startPostgres(t)
	db := migrated(t, p)
	for mode, want := range map[string]string{"transaction": "for a transaction each, which sessions can do with", "session": "a connection of its own"} {
		b, err := testserver.StartPgBouncer(p, "pool_mode = "+mode)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Stop() })
		report, _ := examine(t, plainApp(), postgresArgs(p.DSNAt(b.Addr(), db))...)
		report.expect(t, "pooler", doctor.OK, want)
		if mode == "transaction" {
			report, _ = examine(t, plainApp(), postgresArgs(p.DSNAt(b.Addr(), db, "default_query_exec_mode=cache_statement"))...)
			report.expect(t, "pooler", doctor.Fail, "prepared by name")
		}
	}
}

// TestDoctorPostgresEncryption: a connection string that takes TLS if it can get
// it, as it does by default, does not make a connection an encrypted one.
func TestDoctorPostgresEncryption(t *testing.T) {
	p := startPostgres(t)
	db := migrated(t, p)
	for _, mode := range []string{"prefer", "allow"} {
		dsn := strings.Replace(p.DSN(db), "sslmode=disable", "sslmode="+mode, 1)
		report, _ := examine(t, plainApp(), postgresArgs(dsn)...)
		report.expect(t, "encryption", doctor.OK, "not encrypted, and does not leave this machine")
	}
}
