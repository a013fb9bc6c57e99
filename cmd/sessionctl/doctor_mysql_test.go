package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
	"github.com/chisession/session/internal/testserver"
)

func mysqlArgs(dsn string) []string { return []string{"--provider", "mysql", "--save-path", dsn} }

var mysqlFacts = regexp.MustCompile(`(MariaDB|MySQL) [^\s"]+|within \d+ms|packet is [^"\n]+`)

func TestDoctorMySQLGood(t *testing.T) {
	m := startMariaDB(t)
	name := database(t, m)
	must(t, append([]string{"migrate", "--apply"}, mysqlArgs(m.DSN(name))...)...)
	report, _ := examine(t, plainApp(), mysqlArgs(m.DSN(name))...)
	report.allOK(t)
	r := ctl(t, append([]string{"doctor"}, mysqlArgs(m.DSN(name))...)...)
	r.lacks(t, m.Password())
	text := mysqlFacts.ReplaceAllStringFunc(r.stdout, func(s string) string { return s[:strings.LastIndex(s, " ")+1] + "N" })
	golden(t, "doctor-mysql.txt", text, m.Addr(), "ADDR", name, "shop")
}

func TestDoctorMySQLTable(t *testing.T) {
	m := startMariaDB(t)
	for _, c := range []struct {
		name, spoil string // %s is the table
		check       string
		status      doctor.Status
		detail      string
	}{
		{"missing table", "DROP TABLE %s", "table", doctor.Fail, "there is no table sessions"},
		{"column of another type", "ALTER TABLE %s MODIFY data BLOB NOT NULL", "schema", doctor.Fail, "column data"},
		{"missing column", "ALTER TABLE %s DROP COLUMN version", "schema", doctor.Fail, "column version"},
		{"missing index", "ALTER TABLE %s DROP INDEX expires", "schema", doctor.Fail, "no index expires"},
		{"another engine", "ALTER TABLE %s ENGINE=MyISAM", "schema", doctor.Fail, "loses sessions in a crash"},
		{"somebody else's table", "ALTER TABLE %s COMMENT='users'", "schema", doctor.Fail, "not a session table"},
		{"a later schema", "ALTER TABLE %s COMMENT='session schema 99'", "schema", doctor.Fail, "update the library"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := database(t, m)
			must(t, append([]string{"migrate", "--apply"}, mysqlArgs(m.DSN(name))...)...)
			if err := m.Exec(fmt.Sprintf(c.spoil, "`"+name+"`.sessions")); err != nil {
				t.Fatal(err)
			}
			report, _ := examine(t, plainApp(), mysqlArgs(m.DSN(name))...)
			report.expect(t, c.check, c.status, c.detail)
		})
	}
}

func TestDoctorMySQLGrants(t *testing.T) {
	m := startMariaDB(t)
	name := database(t, m)
	must(t, append([]string{"migrate", "--apply"}, mysqlArgs(m.DSN(name))...)...)
	const account = "'poor'@'127.0.0.1'"
	if err := m.Exec("CREATE OR REPLACE USER " + account + " IDENTIFIED BY 'hunter2-poor'"); err != nil {
		t.Fatal(err)
	}
	dsn := "poor:hunter2-poor@tcp(" + m.Addr() + ")/" + name
	for _, c := range []struct {
		grants string
		status doctor.Status
		detail string
	}{
		{"SELECT", doctor.Fail, "lacks INSERT, UPDATE, DELETE"},
		{"INSERT", doctor.Fail, "lacks SELECT, UPDATE, DELETE"},
		{"SELECT, INSERT, UPDATE", doctor.Fail, "lacks DELETE on table sessions"},
		{"SELECT, INSERT, UPDATE, DELETE", doctor.OK, "SELECT, INSERT, UPDATE and DELETE"},
	} {
		t.Run(c.grants, func(t *testing.T) {
			if err := m.Exec("GRANT " + c.grants + " ON `" + name + "`.sessions TO " + account); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := m.Exec("REVOKE " + c.grants + " ON `" + name + "`.sessions FROM " + account); err != nil {
					t.Error(err)
				}
			}()
			report, r := examine(t, plainApp(), mysqlArgs(dsn)...)
			report.expect(t, "grants", c.status, c.detail)
			r.lacks(t, "hunter2")
		})
	}
	report, r := examine(t, plainApp(), mysqlArgs("poor:hunter2-wrong@tcp("+m.Addr()+")/"+name)...)
	report.expect(t, "connection", doctor.Fail, "Access denied")
	r.lacks(t, "hunter2")
}

// TestDoctorMySQLBroken: a server on which everything is wrong.
func TestDoctorMySQLBroken(t *testing.T) {
	m, err := testserver.StartMariaDB(testserver.MariaDBOptions{Args: []string{
		"--version=10.5.1-MariaDB", "--read-only", "--max-allowed-packet=64K", "--innodb-flush-log-at-trx-commit=2",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	name := database(t, m)
	// From the next connection on, its clock stands a minute in the future.
	if err := m.Exec("SET GLOBAL init_connect='SET timestamp=UNIX_TIMESTAMP() + 60'"); err != nil {
		t.Fatal(err)
	}
	report, _ := examine(t, plainApp(), mysqlArgs(m.DSN(name))...)
	report.expect(t, "version", doctor.Fail, "MariaDB 10.5.1-MariaDB, which is too old")
	report.expect(t, "role", doctor.Fail, "read only")
	report.expect(t, "packet size", doctor.Warn, "max_allowed_packet is 64.0 KiB")
	report.expect(t, "durability", doctor.Warn, "innodb_flush_log_at_trx_commit is 2")
	report.expect(t, "clock", doctor.Fail, "ahead of this host's")
	report.expect(t, "table", doctor.Fail, "there is no table")
}

// TestDoctorMySQLEncryption: tls=preferred does not make a connection an encrypted
// one.
func TestDoctorMySQLEncryption(t *testing.T) {
	m := startMariaDB(t)
	name := database(t, m)
	must(t, append([]string{"migrate", "--apply"}, mysqlArgs(m.DSN(name))...)...)
	report, _ := examine(t, plainApp(), mysqlArgs(m.DSN(name, "tls=preferred"))...)
	report.expect(t, "encryption", doctor.OK, "not encrypted, and does not leave this machine")
}
