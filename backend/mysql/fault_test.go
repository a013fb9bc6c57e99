//go:build servers

package mysql

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/chisession/session/backend/internal/sqlcall"
)

// TestKilledIdleConnections: connections that the server closed meanwhile are
// not noticed by anyone.
func TestKilledIdleConnections(t *testing.T) {
	s := open(t)
	for range repeats(t, 2) {
		ops := operations(t, s)
		killConnections(t)
		each(ops, func(name string, err error, _ time.Duration) {
			if err != nil {
				t.Errorf("%s after KILL: %v", name, err)
			}
		})
	}
}

// TestIdleClosedByServer: the same by the server's own wait_timeout.
func TestIdleClosedByServer(t *testing.T) {
	s := open(t, "wait_timeout=1")
	ops := operations(t, s)
	eventually(t, "the server closes idle connections", func() bool {
		return len(connections(t)) == 0
	})
	each(ops, func(name string, err error, _ time.Duration) {
		if err != nil {
			t.Errorf("%s after wait_timeout: %v", name, err)
		}
	})
}

// connections are the ids of the connections of the test account.
func connections(t testing.TB) []int {
	t.Helper()
	rows, err := server.Admin().Query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'session'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func killConnections(t testing.TB) {
	t.Helper()
	for _, id := range connections(t) {
		_ = server.Exec(fmt.Sprintf("KILL %d", id)) // it may be gone already
	}
	eventually(t, "killed connections are gone", func() bool { return len(connections(t)) == 0 })
}

// TestKilledInTheMiddle: a connection that is killed while a statement runs.
// What can be repeated is; what cannot is an error, and a version moves once
// at most.
func TestKilledInTheMiddle(t *testing.T) {
	s := open(t, "innodb_lock_wait_timeout=10")
	rec := create(t, s, record())
	unlock := lockRow(t, s, rec.ID)
	defer unlock()
	touched, updated := make(chan error, 1), make(chan error, 1)
	go func() { touched <- s.Touch(background, rec.ID, rec.Expires.Add(time.Minute)) }()
	go func() { updated <- s.Update(background, rec) }()
	waiting := func() []int {
		rows, err := server.Admin().Query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'session' AND COMMAND = 'Execute'")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var ids []int
		for rows.Next() {
			var id int
			_ = rows.Scan(&id)
			ids = append(ids, id)
		}
		return ids
	}
	eventually(t, "both wait for the lock", func() bool { return len(waiting()) == 2 })
	victims := waiting()
	for _, id := range victims {
		exec(t, fmt.Sprintf("KILL %d", id))
	}
	unlock()
	if err := <-touched; err != nil {
		t.Errorf("Touch on a killed connection: %v", err)
	}
	if err := <-updated; err == nil {
		t.Error("Update on a killed connection succeeded: it was run again")
	} else {
		noOutcome(t, "Update", err)
	}
	if got := load(t, s, rec.ID); got.Version > 2 || !got.Expires.Equal(rec.Expires.Add(time.Minute)) {
		t.Errorf("after it: version %d, expires %v", got.Version, got.Expires)
	}
}

// TestLockedTable: a table that somebody locked does not hang requests.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	db := database(t)
	s := openIn(t, db)
	ops := operations(t, s)
	conn, err := server.Admin().Conn(background)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(background, "LOCK TABLES `"+db+"`.sessions WRITE"); err != nil {
		t.Fatal(err)
	}
	each(ops, func(name string, err error, took time.Duration) {
		noOutcome(t, name, err)
		if took > late {
			t.Errorf("%s on a locked table took %v", name, took)
		}
	})
	if _, err := conn.ExecContext(background, "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is well again", func() bool { return s.Create(background, record()) == nil })
}

// TestLockedRow: error 1205, bounded.
func TestLockedRow(t *testing.T) {
	t.Parallel()
	s := open(t)
	rec := create(t, s, record())
	defer lockRow(t, s, rec.ID)()
	within(t, late, "Update of a locked row", func() {
		err := s.Update(background, rec)
		if se, ok := errors.AsType[*mysql.MySQLError](err); !ok || se.Number != errLockWait {
			t.Errorf("Update of a locked row = %v, want error 1205", err)
		}
	})
	within(t, soon, "Load of a locked row", func() { load(t, s, rec.ID) })
}

// TestDeadlock: the store's statement is the victim of a deadlock with
// somebody's transaction, and succeeds the next time. A sweep needs
// several rows, so it can be brought into one.
func TestDeadlock(t *testing.T) {
	s, before := open(t), status(t, "Innodb_deadlocks")
	for range 20 {
		a, b := record(), record()
		a.Expires, b.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		create(t, s, a)
		create(t, s, b)
		tx, err := s.db.Beginx()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback() // if the test fails half-way; else it says "done already"
		// Make the transaction the heavier one: the lighter is the victim.
		if _, err := tx.Exec("UPDATE sessions SET data = REPEAT('x', 1000) WHERE id = ?", b.ID[:]); err != nil {
			t.Fatal(err)
		}
		swept := make(chan error, 1)
		go func() { _, err := s.Sweep(background, 10); swept <- err }()
		eventually(t, "the sweep waits for a lock", func() bool {
			return status(t, "Innodb_row_lock_current_waits") > 0
		})
		// Either side may be chosen; the store's call succeeds in any case.
		_, _ = tx.Exec("UPDATE sessions SET data = REPEAT('y', 1000) WHERE id = ?", a.ID[:])
		_ = tx.Commit()
		if err := <-swept; err != nil {
			t.Errorf("Sweep in a deadlock: %v", err)
		}
	}
	if status(t, "Innodb_deadlocks") == before {
		t.Error("there was no deadlock at all")
	}
}

// status reads a counter of the server.
func status(t *testing.T, name string) (n int) {
	t.Helper()
	err := server.Admin().QueryRow("SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(new(string), &n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRetries counts: three and no more, and only what may be repeated; but as
// long as it takes what others were in the way of.
func TestRetries(t *testing.T) {
	s := &Store{}
	for _, c := range []struct {
		err         error
		once, again int32
	}{
		{&mysql.MySQLError{Number: errDeadlock}, 9, 9},
		{&mysql.MySQLError{Number: errLockWait}, 4, 4},
		{&mysql.MySQLError{Number: errCheckRead}, 9, 9},
		{&mysql.MySQLError{Number: errKilled}, 1, 4},
		{mysql.ErrInvalidConn, 1, 4},
		{&mysql.MySQLError{Number: errDuplicate}, 1, 1},
		{&mysql.MySQLError{Number: 1064}, 1, 1},
		{errors.New("other"), 1, 1},
	} {
		for rep, want := range map[repeat]int32{once: c.once, again: c.again} {
			var calls atomic.Int32
			began := time.Now()
			err := s.call(background, "try", rep, func() error { calls.Add(1); return c.err })
			if err == nil || calls.Load() != want && time.Since(began) < sqlcall.RetryWithin {
				t.Errorf("%v, repeat %v: called %d times, %v; want %d and an error", c.err, rep, calls.Load(), err, want)
			}
		}
	}
}

// TestReadOnly: the error says so, the connections are dropped, reads go on,
// and it works at once when the server is writable again.
func TestReadOnly(t *testing.T) {
	s := open(t)
	rec := create(t, s, record())
	exec(t, "SET GLOBAL read_only = ON")
	t.Cleanup(func() { exec(t, "SET GLOBAL read_only = OFF") })
	before := connections(t)
	for name, err := range map[string]error{
		"Update": s.Update(background, rec),
		"Create": s.Create(background, record()),
		"Touch":  s.Touch(background, rec.ID, rec.Expires.Add(time.Minute)),
		"Delete": s.Delete(background, rec.ID),
	} {
		noOutcome(t, name, err)
		if err != nil && !strings.Contains(err.Error(), "read only") {
			t.Errorf("%s on a read-only server = %q, want it to say so", name, err)
		}
	}
	load(t, s, rec.ID)
	eventually(t, "connections are dropped", func() bool {
		for _, id := range connections(t) {
			for _, old := range before {
				if id == old {
					return false
				}
			}
		}
		return true
	})
	exec(t, "SET GLOBAL read_only = OFF")
	if err := s.Update(background, rec); err != nil {
		t.Errorf("Update when writable again: %v", err)
	}

	exec(t, "SET GLOBAL read_only = ON")
	own, err := New(pool(t, dbOf(t, s)), Options{NoProbe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	err = own.Delete(background, rec.ID)
	if se, ok := errors.AsType[*mysql.MySQLError](err); !ok || se.Number != 1290 {
		t.Errorf("Delete on a caller's pool without rejectReadOnly = %v, want error 1290", err)
	}
}

func dbOf(t *testing.T, s *Store) (name string) {
	t.Helper()
	if err := s.db.Get(&name, "SELECT DATABASE()"); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTooManyConnections: error 1040 is told at once, and nothing leaks.
func TestTooManyConnections(t *testing.T) {
	db := database(t)
	s := openIn(t, db)
	s.db.SetMaxIdleConns(0) // every call connects
	var max int
	if err := server.Admin().QueryRow("SELECT @@max_connections").Scan(&max); err != nil {
		t.Fatal(err)
	}
	exec(t, "SET GLOBAL max_connections = 10") // 10 is the least there is
	t.Cleanup(func() { exec(t, fmt.Sprintf("SET GLOBAL max_connections = %d", max)) })
	hog := pool(t, db)
	var held []interface{ Close() error }
	var err error
	var took time.Duration
	eventually(t, "all connections are taken", func() bool { // also those that are about to end
		for {
			conn, err := hog.Conn(background)
			if err != nil {
				break
			}
			held = append(held, conn)
		}
		began := time.Now()
		err = s.Create(background, record())
		took = time.Since(began)
		return err != nil
	})
	noOutcome(t, "Create", err)
	if se, ok := errors.AsType[*mysql.MySQLError](err); !ok || se.Number != 1040 || took > soon {
		t.Errorf("Create = %v after %v, want error 1040 at once", err, took)
	}
	for _, conn := range held {
		conn.Close()
	}
	hog.Close()
	eventually(t, "a call succeeds again", func() bool { return s.Create(background, record()) == nil })
	if open := s.db.Stats().OpenConnections; open > 1 {
		t.Errorf("%d connections are open, want none to be left over", open)
	}
}

// TestBusyPool: more calls than connections, behind a lock: each is answered
// in time, none waits for all those before it.
func TestBusyPool(t *testing.T) {
	t.Parallel()
	s := open(t)
	rec := create(t, s, record())
	defer lockRow(t, s, rec.ID)() // takes a connection that the slots do not count; database/sql waits for one
	const callers = 4 * maxConns
	errs := make(chan error, callers)
	within(t, crowd, "128 callers behind one lock", func() {
		for range callers {
			go func() { errs <- s.Update(background, rec) }()
		}
		for range callers {
			noOutcome(t, "Update", <-errs)
		}
	})
}

// TestErrorsHoldNoValue: canaries in every parameter, and every error there
// can be.
func TestErrorsHoldNoValue(t *testing.T) {
	told := serverFailure("update", &mysql.MySQLError{Number: 1366, SQLState: [5]byte{'2', '2', '0', '0', '7'}, Message: "Incorrect string value: 'canary'"})
	if strings.Contains(told.Error(), "canary") || !strings.Contains(told.Error(), "1366") {
		t.Errorf("error 1366 is told as %q, want the number and no value", told)
	}
	for _, dsn := range []string{
		"user:canary", "user:canary@word/db", "user:canary@tcp(h:1/db", "user:canary@canary(h)/db",
		"canary:canary@tcp(h:1)/db?parseTime=canary", "u:canary@tcp(h:1)/db?tls=canary", "u:canary@canary/db",
		"u:p@unix(x)/canary?timeout=canary", "/%canary?x=%zz", "u:ca?nary@/tcp(h:1)canary",
	} {
		if err := openErr(dsn); err == nil || strings.Contains(err.Error(), "canary@") || strings.Contains(err.Error(), ":canary") ||
			strings.Contains(err.Error(), "'canary'") {
			t.Errorf("Open(%q) = %v, want an error without the password", dsn, err)
		}
	}
	err := openErr(strings.Replace(server.DSN("session_x"), server.Password(), "canary", 1))
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("Open with a wrong password = %v", err)
	}
}
