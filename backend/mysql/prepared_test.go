//go:build servers

package mysql

import (
	"errors"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/internal/testserver"
)

// private starts a server of the test's own.
func private(t *testing.T, args ...string) *testserver.MariaDB {
	t.Helper()
	m, err := testserver.StartMariaDB(testserver.MariaDBOptions{Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestServerThatPreparesNothing runs the whole contract on a server that
// prepares no statement: on a pool of the store's own, whatever the DSN says,
// and on a caller's with interpolateParams=true.
func TestServerThatPreparesNothing(t *testing.T) {
	t.Parallel()
	m := private(t, "--max-prepared-stmt-count=0")
	newDatabase := func(t *testing.T) string {
		t.Helper()
		name, err := m.CreateDatabase()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.DropDatabase(name) }) // the server goes, too
		return name
	}
	opens := map[string]func(t *testing.T) (*Store, error){
		"Open":                   func(t *testing.T) (*Store, error) { return Open(m.DSN(newDatabase(t))) },
		"Open interpolateParams": func(t *testing.T) (*Store, error) { return Open(m.DSN(newDatabase(t), "interpolateParams=true")) },
		"New": func(t *testing.T) (*Store, error) {
			db, err := sqlx.Open(Name, m.DSN(newDatabase(t), "interpolateParams=true"))
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { db.Close() })
			return New(db, Options{})
		},
	}
	t.Run("contract", func(t *testing.T) { // which ends when all three have
		for name, open := range opens {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				backendtest.Run(t, func(t *testing.T) backend.Store {
					s, err := open(t)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { s.Close() })
					return s
				})
			})
		}
	})
	db, err := sqlx.Open(Name, m.DSN(newDatabase(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := New(db, Options{}); err == nil || !strings.Contains(err.Error(), "interpolateParams=true") {
		t.Errorf("New on a pool that needs prepared statements: %v, want an error that names the parameter", err)
	}
	if got, err := m.Statements(); err != nil || got.Prepared != 0 && got.Executed != 0 {
		t.Errorf("the server prepared and executed %+v, %v", got, err)
	}
}

// TestServerComesToPrepareNoMore: others use up what the server prepares, and
// new connections of a pool go on without.
func TestServerComesToPrepareNoMore(t *testing.T) {
	t.Parallel()
	m := private(t)
	name, err := m.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(m.DSN(name))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rec := create(t, s, record())
	if err := m.Exec("SET GLOBAL max_prepared_stmt_count = 0"); err != nil {
		t.Fatal(err)
	}
	s.db.SetMaxIdleConns(0) // the next calls connect anew
	s.db.SetMaxIdleConns(maxConns)
	checkRecord(t, load(t, s, rec.ID), rec)
	for name, op := range operations(t, s) {
		if err := op(); err != nil {
			t.Errorf("%s on a connection that cannot prepare: %v", name, err)
		}
	}
}

// TestPreparedStatements: how many a connection has.
func TestPreparedStatements(t *testing.T) {
	for _, c := range []struct {
		param string
		want  int
	}{{"tls=false", 5}, {"interpolateParams=true", 0}} {
		db := database(t)
		before := prepared(t)
		s := openIn(t, db, c.param)
		s.db.SetMaxOpenConns(1)
		for name, op := range operations(t, s) {
			if err := op(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := prepared(t) - before; got != c.want {
			t.Errorf("with %s, a connection that did everything has %d prepared statements, want %d", c.param, got, c.want)
		}
	}
}

// prepared returns how many statements the server has prepared now.
func prepared(t *testing.T) (n int) {
	t.Helper()
	var name string
	if err := server.Admin().QueryRow("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").Scan(&name, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestEastAsianCharacterSets: in them a quote can be the second half of a
// character, so nothing may be interpolated. Open sees that and prepares; what
// the DSN asks for itself is an error.
func TestEastAsianCharacterSets(t *testing.T) {
	db := database(t)
	for _, charset := range []string{"gbk", "sjis", "big5", "cp932"} {
		s := openIn(t, db, "charset="+charset)
		rec := record()
		rec.User, rec.Data = "\xbf' OR 1=1 -- ", []byte("\xbf'; DROP TABLE sessions; -- \x81\\")
		checkRecord(t, load(t, s, create(t, s, rec).ID), rec)
		if recs, err := s.ByUser(background, rec.User); err != nil || len(recs) != 1 {
			t.Errorf("%s: ByUser = %v, %v; want one", charset, recs, err)
		}
		if err := s.Delete(background, rec.ID); err != nil {
			t.Errorf("%s: Delete: %v", charset, err)
		}
		err := openErr(server.DSN(db, "charset="+charset, "interpolateParams=true"))
		if !errors.Is(err, errConverted) {
			t.Errorf("%s with interpolateParams=true: Open = %v, want %v", charset, err, errConverted)
		}
		if _, err := New(pool(t, db, "charset="+charset, "interpolateParams=true"), Options{}); !errors.Is(err, errConverted) {
			t.Errorf("%s with interpolateParams=true: New = %v, want %v", charset, err, errConverted)
		}
	}
	s := openIn(t, db, "collation=gbk_chinese_ci") // which the driver refuses to interpolate in
	rec := create(t, s, record())
	checkRecord(t, load(t, s, rec.ID), rec)
}

// rows counts the rows of a table, expired ones included.
func rows(t *testing.T, db string) (n int) {
	t.Helper()
	if err := server.Admin().QueryRow("SELECT COUNT(*) FROM `" + db + "`.sessions").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOpenProvesEachRight takes one right after the other away: Open and New
// must refuse, name it and the cure, and leave nothing behind.
func TestOpenProvesEachRight(t *testing.T) {
	db := database(t)
	exec(t, Schema(db + ".sessions")[0])
	account := "'no_right'@'127.0.0.1'"
	exec(t, "CREATE USER "+account+" IDENTIFIED BY 's3cret'")
	t.Cleanup(func() { exec(t, "DROP USER "+account) })
	dsn := "no_right:s3cret@tcp(" + server.Addr() + ")/" + db
	all := []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
	for _, missing := range all {
		exec(t, "GRANT SELECT, INSERT, UPDATE, DELETE ON `"+db+"`.sessions TO "+account)
		exec(t, "REVOKE "+missing+" ON `"+db+"`.sessions FROM "+account)
		for _, params := range []string{"", "?interpolateParams=true"} {
			err := openErr(dsn + params)
			if err == nil || !strings.Contains(err.Error(), missing+" command denied") && missing != "SELECT" ||
				!strings.Contains(err.Error(), "GRANT SELECT, INSERT, UPDATE, DELETE") || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("Open%s without %s = %v, want an error that names it and the cure", params, missing, err)
			}
		}
		if n := rows(t, db); n != 0 {
			t.Errorf("without %s, %d probes are left", missing, n)
		}
	}
	exec(t, "GRANT SELECT, INSERT, UPDATE, DELETE ON `"+db+"`.sessions TO "+account)
	if err := openErr(dsn); err != nil {
		t.Errorf("Open with all rights: %v", err)
	}
	if n := rows(t, db); n != 0 {
		t.Errorf("%d probes are left", n)
	}
}

// TestProbeIsRemovedInEveryPath: what fails after the probe was stored, fails
// Open, and the probe goes.
func TestProbeIsRemovedInEveryPath(t *testing.T) {
	for what, trigger := range map[string]string{
		"the update fails":     "CREATE TRIGGER `%.t` BEFORE UPDATE ON `%.sessions` FOR EACH ROW SIGNAL SQLSTATE '45000'",
		"the update does less": "CREATE TRIGGER `%.t` BEFORE UPDATE ON `%.sessions` FOR EACH ROW SET NEW.version = OLD.version",
		"bytes are changed":    "CREATE TRIGGER `%.t` BEFORE INSERT ON `%.sessions` FOR EACH ROW SET NEW.data = CONCAT(NEW.data, ' ')",
		"the user is changed":  "CREATE TRIGGER `%.t` BEFORE INSERT ON `%.sessions` FOR EACH ROW SET NEW.user = 'somebody'",
	} {
		db := database(t)
		exec(t, Schema(db + ".sessions")[0])
		exec(t, strings.ReplaceAll(strings.ReplaceAll(trigger, "%.t", db+"`.`t"), "%.", db+"`.`"))
		if err := openErr(server.DSN(db)); err == nil {
			t.Errorf("%s: Open succeeded", what)
		}
		if n := rows(t, db); n != 0 {
			t.Errorf("%s: %d probes are left", what, n)
		}
	}
}

// TestOpenOnReadOnlyServer: a replica is refused, but not for a tool.
func TestOpenOnReadOnlyServer(t *testing.T) {
	db := database(t)
	openIn(t, db)
	exec(t, "SET GLOBAL read_only = ON")
	defer exec(t, "SET GLOBAL read_only = OFF")
	if err := openErr(server.DSN(db)); err == nil || !strings.Contains(err.Error(), "read only") {
		t.Errorf("Open on a read only server = %v, want an error that says so", err)
	}
	s, err := New(pool(t, db), Options{NoProbe: true})
	if err != nil {
		t.Fatalf("New with NoProbe: %v", err)
	}
	defer s.Close()
	if n, err := s.Count(background); n != 0 || err != nil {
		t.Errorf("Count = %d, %v; want 0", n, err)
	}
}

// TestNoProbeWritesNothing: an account that may only look can open the store,
// and a missing table is not made.
func TestNoProbeWritesNothing(t *testing.T) {
	db := database(t)
	if s, err := New(pool(t, db), Options{NoProbe: true}); err == nil || !strings.Contains(err.Error(), "no table") {
		t.Errorf("New with NoProbe and no table = %v, %v; want an error", s, err)
	}
	exec(t, Schema(db + ".sessions")[0])
	account := "'looker'@'127.0.0.1'"
	exec(t, "CREATE USER "+account+" IDENTIFIED BY 'pw'")
	t.Cleanup(func() { exec(t, "DROP USER "+account) })
	exec(t, "GRANT SELECT, INSERT, UPDATE, DELETE ON `"+db+"`.sessions TO "+account)
	exec(t, "REVOKE INSERT, UPDATE, DELETE ON `"+db+"`.sessions FROM "+account)
	for _, params := range []string{"", "?interpolateParams=true"} {
		p, err := sqlx.Open(Name, "looker:pw@tcp("+server.Addr()+")/"+db+params)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		s, err := New(p, Options{NoProbe: true})
		if err != nil {
			t.Fatalf("New%s with NoProbe and SELECT alone: %v", params, err)
		}
		defer s.Close()
		if _, err := s.ByUser(background, "ann"); err != nil {
			t.Errorf("ByUser: %v", err)
		}
		if n, err := s.Count(background); n != 0 || err != nil {
			t.Errorf("Count = %d, %v; want 0", n, err)
		}
	}
}

// TestOpenWhileTheTableIsFull: that is no missing right, and sessions can be
// read.
func TestOpenWhileTheTableIsFull(t *testing.T) {
	db := database(t)
	openIn(t, db)
	exec(t, strings.ReplaceAll("CREATE TRIGGER `%`.`t` BEFORE INSERT ON `%`.sessions FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114", "%", db))
	within(t, crowd, "Open", func() { openIn(t, db) })
}
