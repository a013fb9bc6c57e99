package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/sqlcall"
)

// connections are the server's processes for the connections to db, but those
// of superusers.
func connections(t testing.TB, db string) []string {
	t.Helper()
	rows, err := server.Query("SELECT pid FROM pg_stat_activity WHERE datname = '" + db + "' AND usename <> 'postgres'")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, row := range rows {
		pids = append(pids, row[0])
	}
	return pids
}

func terminate(t testing.TB, db string) {
	t.Helper()
	do(t, "postgres", "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+db+"' AND usename <> 'postgres'")
}

// TestKilledIdleConnections: connections that the server closed meanwhile are
// not noticed by anyone, with TLS or without.
func TestKilledIdleConnections(t *testing.T) {
	t.Parallel()
	db := database(t)
	for _, dsn := range []string{server.DSN(db), strings.Replace(server.DSN(db), "sslmode=disable", "sslmode=prefer", 1)} {
		s := openAt(t, dsn)
		for range repeats(t, 2) {
			ops := operations(t, s)
			terminate(t, db)
			each(ops, func(name string, err error, _ time.Duration) {
				if err != nil {
					t.Errorf("%s after pg_terminate_backend: %v", name, err)
				}
			})
		}
	}
}

// TestIdleClosedByServer: the same by a timeout of the server's.
func TestIdleClosedByServer(t *testing.T) {
	t.Parallel()
	db := database(t)
	var s *Store
	for ms := 300; s == nil; ms *= 4 { // a busy machine may be longer from one statement of Open to the next
		opened, err := Open(server.DSN(db, fmt.Sprint("idle_session_timeout=", ms)))
		if err == nil {
			s = opened
		} else if sqlState(err) != stateIdle || ms > 60_000 {
			t.Fatalf("Open: %v", err)
		}
	}
	defer s.Close()
	ops := operations(t, s)
	eventually(t, "the server closes idle connections", func() bool { return len(connections(t, db)) == 0 })
	each(ops, func(name string, err error, _ time.Duration) {
		if err != nil {
			t.Errorf("%s after idle_session_timeout: %v", name, err)
		}
	})
}

// TestCutConnections: the same by a network that resets connections, also on a
// caller's pool once that has noticed.
func TestCutConnections(t *testing.T) {
	link := startLink(t)
	db := database(t)
	s := openAt(t, server.DSNAt(link.Addr(), db))
	for range repeats(t, 2) {
		ops := operations(t, s)
		if link.Cut() == 0 {
			t.Error("there was no connection to cut")
		}
		each(ops, func(name string, err error, _ time.Duration) {
			if err != nil {
				t.Errorf("%s after a cut: %v", name, err)
			}
		})
	}
	link.Refuse(true)
	link.Cut()
	each(operations(t, openIn(t, db)), func(string, error, time.Duration) {}) // by another way all is well
	ops := map[string]func() error{"Load": func() error { _, err := s.Load(background, record().ID); return err }, "Create": func() error { return s.Create(background, record()) }}
	each(ops, func(name string, err error, took time.Duration) {
		noOutcome(t, name, err)
		if took > late {
			t.Errorf("%s through a network that refuses took %v", name, took)
		}
	})
	link.Refuse(false)
	within(t, soon, "the first Create when the network is back", func() { create(t, s, record()) })
}

// TestKilledInTheMiddle: a connection that is killed while a statement runs.
// What can be repeated is; what cannot is an error, and a version moves once
// at most.
func TestKilledInTheMiddle(t *testing.T) {
	db := database(t)
	s := openIn(t, db)
	rec, gone := create(t, s, record()), create(t, s, record())
	unlock, unlockGone := lockRow(t, db, rec.ID), lockRow(t, db, gone.ID)
	defer unlock()
	defer unlockGone()
	touched, updated, deleted := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { touched <- s.Touch(background, rec.ID, rec.Expires.Add(time.Minute)) }()
	go func() { updated <- s.Update(background, rec) }()
	go func() { deleted <- s.Delete(background, gone.ID) }()
	conn := admin(t, db)
	const waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
	eventually(t, "all wait for the lock", func() bool {
		var n int
		err := conn.QueryRow(background, "SELECT count(*) "+waiting).Scan(&n)
		return err == nil && n == 3
	})
	if _, err := conn.Exec(background, "SELECT pg_terminate_backend(pid) "+waiting); err != nil {
		t.Fatal(err)
	}
	unlock()
	unlockGone()
	if err := <-touched; err != nil {
		t.Errorf("Touch on a killed connection: %v", err)
	}
	if err := <-deleted; err != nil {
		t.Errorf("Delete on a killed connection: %v", err)
	}
	if err := <-updated; err == nil {
		t.Error("Update on a killed connection succeeded: it was run again")
	} else {
		noOutcome(t, "Update", err)
	}
	if got := load(t, s, rec.ID); got.Version != 1 || !got.Expires.Equal(rec.Expires.Add(time.Minute)) {
		t.Errorf("after it: version %d, expires %v", got.Version, got.Expires)
	}
}

// TestLostReply: the server does the work, and its reply is lost. What can be
// repeated is; of the rest the caller is told that nobody knows.
func TestLostReply(t *testing.T) {
	link := startLink(t)
	s := openAt(t, server.DSNAt(link.Addr(), database(t), "default_query_exec_mode=exec")) // so that statements can be told
	var losing atomic.Pointer[string]
	link.LoseReplies(func(request []byte) bool {
		statement := losing.Load()
		return statement != nil && bytes.Contains(request, []byte(*statement)) && losing.CompareAndSwap(statement, nil)
	})
	lose := func(statement string) { losing.Store(&statement) }
	lost := func(call string, err error) {
		t.Helper()
		if losing.Load() != nil {
			t.Fatalf("%s made no statement that was to be lost", call)
		}
		noOutcome(t, call, err)
	}

	rec := record()
	lose("INSERT")
	lost("Create", s.Create(background, rec))
	rec.Version = 1
	checkRecord(t, load(t, s, rec.ID), rec)
	lose("version + 1")
	lost("Update", s.Update(background, rec))
	if err := s.Update(background, rec); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("Update after one whose reply was lost = %v, want ErrConflict", err)
	}
	lose("SET expires")
	if err := s.Touch(background, rec.ID, rec.Expires.Add(time.Minute)); err != nil {
		t.Errorf("Touch whose reply is lost: %v", err)
	}
	lose("SELECT version")
	if got := load(t, s, rec.ID); got.Version != 2 || !got.Expires.Equal(rec.Expires.Add(time.Minute)) {
		t.Errorf("after it: version %d, expires %v", got.Version, got.Expires)
	}
	lose("DELETE")
	lost("DeleteVersion", s.DeleteVersion(background, rec.ID, 2))
	if err := s.DeleteVersion(background, rec.ID, 2); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("DeleteVersion after one whose reply was lost = %v, want ErrNotFound", err)
	}
	rec = create(t, s, record())
	lose("DELETE")
	if err := s.Delete(background, rec.ID); err != nil {
		t.Errorf("Delete whose reply is lost: %v", err)
	}
	if _, err := s.Load(background, rec.ID); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Load after Delete = %v, want ErrNotFound", err)
	}
}

// TestLockedTable: a table that somebody locked does not hang requests.
func TestLockedTable(t *testing.T) {
	t.Parallel()
	db := database(t)
	s := openIn(t, db)
	ops := operations(t, s)
	tx, err := admin(t, db).Begin(background)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(background, "LOCK TABLE sessions"); err != nil {
		t.Fatal(err)
	}
	each(ops, func(name string, err error, took time.Duration) {
		noOutcome(t, name, err)
		if took > late {
			t.Errorf("%s on a locked table took %v", name, took)
		}
	})
	conn := admin(t, db)
	eventually(t, "nobody waits for the lock any more", func() bool {
		var n int
		err := conn.QueryRow(background, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&n)
		return err == nil && n == 0
	})
	if err := tx.Rollback(background); err != nil {
		t.Fatal(err)
	}
	within(t, soon, "the first Create when it is unlocked", func() { create(t, s, record()) })
}

// TestLockedRow: who writes it waits, but not for ever; who reads it does not
// wait; a sweep passes it over.
func TestLockedRow(t *testing.T) {
	t.Parallel()
	db := database(t)
	s := openIn(t, db)
	rec, old := create(t, s, record()), record()
	old.Expires = time.Now().Add(-time.Second)
	create(t, s, old)
	defer lockRow(t, db, rec.ID)()
	defer lockRow(t, db, old.ID)()
	within(t, late, "Update of a locked row", func() { noOutcome(t, "Update", s.Update(background, rec)) })
	within(t, soon, "Load of a locked row", func() { load(t, s, rec.ID) })
	within(t, soon, "Sweep of a locked row", func() {
		if n, err := s.Sweep(background, 10); n != 0 || err != nil {
			t.Errorf("Sweep of a locked row = %d, %v; want 0", n, err)
		}
	})
}

// TestExpiresWhileItWaits: what expires while a statement waits for another to
// change its row has expired.
func TestExpiresWhileItWaits(t *testing.T) {
	t.Parallel()
	db := database(t)
	s := openIn(t, db)
	rec := record()
	rec.Expires = time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	create(t, s, rec)
	tx, err := admin(t, db).Begin(background)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(background, "UPDATE sessions SET data = 'other' WHERE id = $1", rec.ID); err != nil {
		t.Fatal(err)
	}
	updated := make(chan error, 1)
	go func() {
		rec := rec
		rec.Expires = time.Now().Add(time.Hour)
		updated <- s.Update(background, rec)
	}()
	eventually(t, "it has expired", func() bool { return time.Now().After(rec.Expires.Add(50 * time.Millisecond)) })
	if err := tx.Commit(background); err != nil {
		t.Fatal(err)
	}
	if err := <-updated; !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Update of a record that expired meanwhile = %v, want ErrNotFound", err)
	}
}

// TestDeadlock: the store's statement is the victim of a deadlock with
// somebody's transaction, and succeeds the next time.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	db := database(t)
	// The server looks for a deadlock once, when a statement has waited so long:
	// by then the other side must have come to wait, too.
	do(t, "postgres", "ALTER DATABASE "+db+" SET deadlock_timeout = '500ms'")
	s := openIn(t, db)
	// A trigger brings a second row into the store's statement.
	a := create(t, s, record())
	do(t, db, `CREATE TABLE other (n int); INSERT INTO other VALUES (0); GRANT ALL ON other TO session;
		CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE other SET n = n + 1; RETURN NEW; END $$;
		CREATE TRIGGER also AFTER UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION also()`)
	conn, watch := admin(t, db), admin(t, db)
	deadlocks := 0
	for range repeats(t, 3) {
		tx, err := conn.Begin(background)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(background, "SET LOCAL deadlock_timeout = '10s'; UPDATE other SET n = 0"); err != nil {
			t.Fatal(err)
		}
		touched := make(chan error, 1)
		a.Expires = a.Expires.Add(time.Second)
		go func() { touched <- s.Touch(background, a.ID, a.Expires) }()
		eventually(t, "the touch waits for a lock", func() bool {
			var n int
			err := watch.QueryRow(background, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&n)
			return err == nil && n == 1
		})
		if _, err := tx.Exec(background, "UPDATE sessions SET version = version WHERE id = $1", a.ID); err != nil {
			t.Fatal(err) // the touch has to give way: this side waits for 10 s before it looks
		}
		if err := tx.Commit(background); err != nil {
			t.Fatal(err)
		}
		switch err := <-touched; {
		case err == nil:
			deadlocks++
		case timedOut(err): // the server had looked too early, on a machine that does much else
		default:
			t.Errorf("Touch in a deadlock: %v", err)
		}
	}
	if deadlocks == 0 {
		t.Error("there was no deadlock at all")
	}
}

// TestRetries counts: three and no more, and only what may be repeated; but as
// long as it takes what others were in the way of.
func TestRetries(t *testing.T) {
	s := &Store{}
	server := func(state string) error { return &pgconn.PgError{Code: state} }
	for _, c := range []struct {
		err         error
		once, again int32
	}{
		{server(stateDeadlock), 9, 9},
		{server(stateSerialization), 9, 9},
		{server(stateLockTimeout), 4, 4},
		{server(stateReadOnly), 4, 4},
		{server(stateIdle), 4, 4},
		{server(stateShutdown), 1, 4},
		{server(stateCrash), 1, 4},
		{io.ErrUnexpectedEOF, 1, 4},
		{pgconn.ErrConnClosed, 1, 4},
		{unconnected{io.EOF}, 1, 1},
		{&net.OpError{Err: timeout{}}, 1, 1},
		{server(statePreparedTwice), 1, 1},
		{server(stateNotPrepared), 1, 1},
		{server(stateCancelled), 1, 1},
		{server("53300"), 1, 1},
		{server("23505"), 1, 1},
		{errors.New("other"), 1, 1},
	} {
		for rep, want := range map[repeat]int32{once: c.once, again: c.again} {
			var calls atomic.Int32
			began := time.Now()
			err := s.call(background, "try", rep, func(bool) error { calls.Add(1); return c.err })
			if err == nil || calls.Load() != want && time.Since(began) < sqlcall.RetryWithin {
				t.Errorf("%v, repeat %v: called %d times, %v; want %d and an error", c.err, rep, calls.Load(), err, want)
			}
		}
	}
}

type timeout struct{}

func (timeout) Error() string   { return "timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// TestReadOnly: the error says so, the connections are dropped, reads go on,
// and it works at once when the server is writable again.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	db := database(t)
	s := openIn(t, db)
	callers := newOn(t, func() (*Store, error) { return New(pool(t, server.DSN(db)), Options{}) })
	through := newOn(t, func() (*Store, error) { return NewSQL(sqlPool(t, server.DSN(db)), Options{}) })
	rec := create(t, s, record())
	do(t, "postgres", "ALTER DATABASE "+db+" SET default_transaction_read_only = on")
	terminate(t, db)
	for _, s := range []*Store{s, callers, through} {
		load(t, s, rec.ID) // a caller's pool does not see that its connection was closed, until somebody uses it
		for name, err := range map[string]error{
			"Update": s.Update(background, rec),
			"Create": s.Create(background, record()),
			"Touch":  s.Touch(background, rec.ID, rec.Expires.Add(time.Minute)),
			"Delete": s.Delete(background, rec.ID),
		} {
			noOutcome(t, name, err)
			if err != nil && (!strings.Contains(err.Error(), "read-only") || !strings.Contains(err.Error(), "target_session_attrs")) {
				t.Errorf("%s on a read-only server = %q, want it to say so, and the cure", name, err)
			}
		}
		load(t, s, rec.ID)
	}
	do(t, "postgres", "ALTER DATABASE "+db+" RESET default_transaction_read_only")
	for i, s := range []*Store{s, callers, through} {
		rec.Version = uint64(i + 1)
		// The last Load's connection still is read only: a write finds out.
		if err := s.Update(background, rec); err != nil {
			t.Errorf("Update when writable again: %v", err)
		}
	}
	if err := openErr(server.DSN(db, "default_transaction_read_only=on")); err == nil || !strings.Contains(err.Error(), "target_session_attrs") {
		t.Errorf("Open of a read-only server = %v, want an error with the cure", err)
	}
}

// TestTooManyConnections: the error says so at once, and nothing leaks.
func TestTooManyConnections(t *testing.T) {
	db := database(t)
	s := openIn(t, db)
	do(t, "postgres", "ALTER ROLE session CONNECTION LIMIT 1")
	t.Cleanup(func() { do(t, "postgres", "ALTER ROLE session CONNECTION LIMIT -1") })
	terminate(t, db)
	hog := sqlPool(t, server.DSN(db))
	var conn *sql.Conn
	eventually(t, "the connections of tests before have ended", func() bool {
		var err error
		conn, err = hog.Conn(background)
		return err == nil
	})
	within(t, soon, "Create with too many connections", func() {
		err := s.Create(background, record())
		noOutcome(t, "Create", err)
		if sqlState(err) != "53300" || !strings.Contains(err.Error(), "too many connections") {
			t.Errorf("Create = %v, want error 53300", err)
		}
	})
	conn.Close()
	hog.Close()
	eventually(t, "a call succeeds again", func() bool { return s.Create(background, record()) == nil })
	eventually(t, "no connection is left over", func() bool { return len(connections(t, db)) <= 1 })
}

// TestBusyPool: more calls than connections, behind a lock: each ends in time,
// none waits for all those before it.
func TestBusyPool(t *testing.T) {
	t.Parallel()
	db := database(t)
	s := openIn(t, db)
	rec := create(t, s, record())
	defer lockRow(t, db, rec.ID)()
	const callers = 4 * maxConns
	errs := make(chan error, callers)
	within(t, crowd, "64 callers behind one lock", func() {
		for range callers {
			go func() { errs <- s.Update(background, rec) }()
		}
		for range callers {
			noOutcome(t, "Update", <-errs)
		}
	})
	within(t, soon, "Load after it", func() { load(t, s, rec.ID) })
}

// TestPoolerNamesTheCure: through PgBouncer in transaction mode, a caller's
// pool that prepares statements by name fails sooner or later, and is told why.
func TestPoolerNamesTheCure(t *testing.T) {
	t.Parallel()
	bouncer := startPgBouncer(t, "default_pool_size = 3")
	db := database(t)
	dsn := server.DSNAt(bouncer.Addr(), db, "pool_max_conns=8")
	s, err := New(pool(t, dsn), Options{})
	for range 50 {
		if err != nil {
			break
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range 8 {
			wg.Go(func() {
				if e := s.Create(background, record()); e != nil {
					mu.Lock()
					err = e
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	if state := sqlState(err); state != statePreparedTwice && state != stateNotPrepared || !strings.Contains(err.Error(), "default_query_exec_mode=cache_describe") {
		t.Errorf("statements prepared by name through PgBouncer: %v, want 42P05 or 26000 and the cure", err)
	}
	if err := openErr(server.DSNAt(bouncer.Addr(), db, "default_query_exec_mode=describe_exec")); err == nil || !strings.Contains(err.Error(), "cache_describe") {
		t.Errorf("Open with describe_exec behind PgBouncer = %v, want an error with the cure", err)
	}
	if s := openAt(t, dsn); !s.Promise().Pooled {
		t.Error("Open does not see PgBouncer")
	}
	// What is PgBouncer's own is something else, though its SQLSTATE may be that
	// of a mixed-up statement.
	for name, dsn := range map[string]string{
		"a wrong password":          strings.Replace(dsn, server.Password(), "wrong", 1),
		"a parameter it refuses":    server.DSNAt(bouncer.Addr(), db, "search_path=public"),
		"a database that is absent": server.DSNAt(bouncer.Addr(), db+"_absent"),
	} {
		if err := openErr(dsn); err == nil || strings.Contains(err.Error(), "cache_describe") {
			t.Errorf("Open with %s through PgBouncer = %v, want an error without the cure for prepared statements", name, err)
		}
	}
	if s := openIn(t, db); s.Promise().Pooled {
		t.Error("Open sees a pooler where none is")
	}
}

// TestErrorsHoldNoValue: canaries in every parameter, and every error there
// can be.
func TestErrorsHoldNoValue(t *testing.T) {
	told := serverFailure("update", "22P02", &pgconn.PgError{Code: "22P02", Message: "invalid input: canary", Detail: "canary"})
	if strings.Contains(told.Error(), "canary") || sqlState(told) != "22P02" {
		t.Errorf("error 22P02 is told as %q, want the state and no value", told)
	}
	for _, dsn := range []string{
		"user:canary", "postgres://user:canary@word/db", "postgres://user:canary@h:x/db", "postgres://user:canary%zz@h/db", "postgres://user:can/ary@h/db",
		"postgres://user:canary@h/db?sslmode=canary", "password=canary host='", "password=canary host=h port=canary", "password='canary",
		"postgres://u:canary@h/db?default_query_exec_mode=canary", "postgres://u:canary@h/db?pool_max_conns=canary", "postgres://u:canary@[::1/db",
		"postgres://u:canary@h/db?target_session_attrs=canary", "postgres://u:canary@h/db?connect_timeout=canary", "canary:canary@/canary",
		"postgres://u:p@canary@h/db", "postgres://u:2026/canary@h/db", "postgres://u:@canary@127.0.0.1/db", "postgresql://u:p@h/canary@h/db",
	} {
		if err := openErr(dsn); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("Open(%q) = %v, want an error without the password", dsn, err)
		}
	}
	for _, dsn := range []string{"postgres://u:a?b@h/db", "postgres://h/db?user=u@x&password=p@q", "user=u@x host=h", "postgres:///db?host=/tmp"} {
		if _, _, err := ParseConfig(dsn); err != nil {
			t.Errorf("ParseConfig(%q) = %v", dsn, err)
		}
	}
	for params, want := range map[string]string{
		"sslmode=verify-full&sslrootcert=/nowhere/ca.pem": "/nowhere/ca.pem", "sslmode=require&sslcert=/nowhere/cert": `"sslcert" and "sslkey"`,
		"service=absent": "service", "channel_binding=canary": "channel_binding", "pool_max_conn_lifetime_jitter=canary": "lifetime_jitter",
		"connect_timeout=canary": "connect_timeout",
	} {
		if err := openErr("postgres://u:canary@h/db?" + params); err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), want) {
			t.Errorf("Open with %q = %v, want an error with %q", params, err, want)
		}
	}
	err := openErr(strings.Replace(server.DSN("session_x"), server.Password(), "canary", 1))
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "password") {
		t.Errorf("Open with a wrong password = %v", err)
	}
	if err := openErr(""); err == nil || !strings.Contains(err.Error(), "postgres://") {
		t.Errorf("Open of nothing = %v, want an error with an example", err)
	}
}

// TestCancelWins: a context that ends in the middle of a read ends the call,
// though each read sets a deadline of its own.
func TestCancelWins(t *testing.T) {
	t.Parallel()
	db := database(t)
	s := openIn(t, db)
	rec := create(t, s, record())
	defer lockRow(t, db, rec.ID)()
	for i := range 30 {
		ctx, cancel := context.WithTimeout(background, time.Duration(i)*100*time.Microsecond)
		within(t, soon, "Update until its deadline", func() {
			if err := s.Update(ctx, rec); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Update = %v, want context.DeadlineExceeded", err)
			}
		})
		cancel()
	}
}

// TestDeadlinesArePerRead: each read has its time, little more, and pgx's deadline
// counts if it is earlier.
func TestDeadlinesArePerRead(t *testing.T) {
	t.Parallel()
	client, far := net.Pipe()
	defer far.Close()
	c := &timedConn{Conn: client}
	defer c.Close()
	go func() {
		for range 3 {
			fmt.Fprint(far, "x")
		}
	}()
	if err := c.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !timedOut(err) {
		t.Errorf("Read after a deadline in the past = %v, want a time-out", err)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("Read without a deadline = %v", err)
		}
	}
	start := time.Now()
	if _, err := c.Read(make([]byte, 1)); !timedOut(err) || time.Since(start) < ioTimeout || time.Since(start) > ioTimeout+rearm+soon {
		t.Errorf("Read of nothing = %v after %v, want a time-out after %v", err, time.Since(start), ioTimeout)
	}
	if err := c.SetDeadline(time.Time{}); err != nil { // as pgx does when a call is over
		t.Fatal(err)
	}
	go fmt.Fprint(far, "x")
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("Read after the deadline was lifted = %v", err)
	}
	start = time.Now()
	time.AfterFunc(50*time.Millisecond, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // the context has ended
	if _, err := c.Read(make([]byte, 1)); !timedOut(err) || time.Since(start) >= ioTimeout {
		t.Errorf("Read while pgx sets a deadline = %v after %v, want a time-out at once", err, time.Since(start))
	}
}
