package postgres

import (
	"fmt"
	"os"
	osexec "os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// envCreate, with a connection string, has the test binary be a process that
// opens a store and nothing else.
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

// TestProcessesCreateTheTable: four processes and sixteen goroutines at once.
func TestProcessesCreateTheTable(t *testing.T) {
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
				if err := openErr(server.DSN(db)); err != nil {
					t.Errorf("Open: %v", err)
				}
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
	p := pool(t, server.DSN(db))
	for range 2 {
		for _, ddl := range Schema("") {
			if _, err := p.Exec(background, ddl); err != nil {
				t.Fatalf("%s: %v", ddl, err)
			}
		}
	}
	if _, err := New(p, Options{NoCreate: true}); err != nil {
		t.Errorf("New on the table of Schema: %v", err)
	}
}

func TestTableNames(t *testing.T) {
	t.Parallel()
	db := database(t)
	do(t, db, `CREATE SCHEMA "Web_1" AUTHORIZATION session`)
	p := pool(t, server.DSN(db))
	for _, name := range []string{"sessions2", "Sess_3", "123", "select", "public.qualified", "Web_1.Sessions", "Web_1.sessions", strings.Repeat("x", 53)} {
		s, err := New(p, Options{Table: name})
		if err != nil {
			t.Errorf("New with Table %q: %v", name, err)
			continue
		}
		rec := create(t, s, record())
		load(t, s, rec.ID)
		if n, err := s.Count(background); err != nil || n != 1 {
			t.Errorf("Table %q: Count = %d, %v; want 1, as no other table is it", name, n, err)
		}
		s.Close()
	}
	for _, name := range []string{"a b", "a;b", `a"b`, "a.b.c", ".a", "a.", "a-b", "tä", "a\n", strings.Repeat("x", 54), "x' OR 1"} {
		if _, err := New(p, Options{Table: name}); err == nil || !strings.Contains(err.Error(), "Options.Table") {
			t.Errorf("New with Table %q = %v, want an error that names Options.Table", name, err)
		}
	}
}

// TestTableOfTheConnectionString: it is for those who can give no Options.
func TestTableOfTheConnectionString(t *testing.T) {
	db := database(t)
	s := openIn(t, db, "table=public.web_sessions")
	rec := create(t, s, record())
	load(t, newOn(t, func() (*Store, error) {
		return New(pool(t, server.DSN(db)), Options{Table: "web_sessions", NoCreate: true})
	}), rec.ID)
	if err := openErr(server.DSN(db, "table=a-b")); err == nil || !strings.Contains(err.Error(), "Options.Table") {
		t.Errorf("Open with table=a-b = %v, want an error about the name", err)
	}
}

// TestNoProbe: nothing is written, and an account that may only read is enough.
func TestNoProbe(t *testing.T) {
	db := database(t)
	if err := newErr(pool(t, server.DSN(db)), Options{NoProbe: true}); err == nil || !strings.Contains(err.Error(), "there is no table") {
		t.Errorf("New with NoProbe, and no table = %v, want an error that says so", err)
	}
	s := openIn(t, db)
	rec := record()
	rec.User = "ada"
	create(t, s, rec)
	do(t, db, "CREATE ROLE reader LOGIN PASSWORD 'pw'; GRANT SELECT ON sessions TO reader")
	t.Cleanup(func() { do(t, "postgres", "DROP ROLE reader") })
	t.Cleanup(func() { do(t, db, "DROP OWNED BY reader") })
	cfg, table, err := ParseConfig(strings.Replace(server.DSN(db, "table=sessions"), "session:"+server.Password(), "reader:pw", 1))
	if err != nil || table != "sessions" {
		t.Fatalf("ParseConfig: table %q, %v", table, err)
	}
	p, err := pgxpool.NewWithConfig(background, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	reader := newOn(t, func() (*Store, error) { return New(p, Options{Table: table, NoProbe: true}) })
	if got, err := reader.ByUser(background, "ada"); err != nil || len(got) != 1 {
		t.Errorf("ByUser = %v, %v; want the record", got, err)
	}
	if err := newErr(p, Options{Table: table}); err == nil {
		t.Error("New with an account that may only read: no error")
	}
}

// TestWrongTable: an error at start, which names the cure.
func TestWrongTable(t *testing.T) {
	ours := strings.Join(Schema("sessions"), ";\n")
	changed := func(old, new string) string {
		ddl := strings.Replace(ours, old, new, 1)
		if ddl == ours {
			t.Fatalf("the schema has no %q", old)
		}
		return ddl
	}
	db := database(t)
	p := pool(t, server.DSN(db))
	for _, c := range []struct{ name, ddl, want string }{
		{"foreign", "CREATE TABLE sessions (id INT PRIMARY KEY)", "Options.Table"},
		{"scs", "CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)", "Options.Table"},
		{"view", "CREATE VIEW sessions AS SELECT 1; COMMENT ON VIEW sessions IS 'session schema 1'", "not an ordinary table"},
		{"newer", changed("schema 1", "schema 2"), "update the library"},
		{"no number", changed("schema 1", "schema x"), "not a session table"},
		{"text data", changed("data     bytea", "data     text"), "column data"},
		{"text id", changed("uuid ", "text "), "column id"},
		{"local time", changed("timestamptz", "timestamp"), "column expires"},
		{"unlogged", changed("CREATE TABLE", "CREATE UNLOGGED TABLE"), "SET LOGGED"},
		{"no key", changed("PRIMARY KEY", "NOT NULL"), "no index on id"},
		{"no bucket", changed("(bucket)", "(version)"), "no index on bucket"},
		{"no username", changed("(username) WHERE", "(version) WHERE"), "no index on username"},
		{"half a username", changed("username IS NOT NULL", "username = 'ada'"), "no index on username"},
		{"another column", ours + "; ALTER TABLE sessions ADD tenant integer NOT NULL", "a column without a default"},
		{"rule", ours + "; CREATE RULE r AS ON DELETE TO sessions DO INSTEAD NOTHING", "a trigger, rule"},
		{"trigger", ours + "; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';" +
			"CREATE TRIGGER t BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION f()", "a trigger, rule"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := p.Exec(background, c.ddl); err != nil {
				t.Fatal(err)
			}
			defer do(t, db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION session")
			for name, err := range map[string]error{"Open": openErr(server.DSN(db)), "New": newErr(p, Options{NoCreate: true})} {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s = %v, want an error with %q", name, err, c.want)
				}
			}
		})
	}
}

func newErr(p *pgxpool.Pool, opts Options) error {
	s, err := New(p, opts)
	if err == nil {
		s.Close()
	}
	return err
}

func TestUnlogged(t *testing.T) {
	db := database(t)
	p := pool(t, server.DSN(db))
	s, err := New(p, Options{Unlogged: true})
	if err != nil {
		t.Fatal(err)
	}
	if promise := s.Promise(); promise.SurvivesCrash() || promise.SurvivesFailover() || !strings.Contains(promise.String(), "lose every session") {
		t.Errorf("the promise of an UNLOGGED table is %+v, %s", promise, promise)
	}
	if err := newErr(p, Options{}); err == nil || !strings.Contains(err.Error(), "Options.Unlogged") {
		t.Errorf("New without Unlogged = %v, want an error that names it", err)
	}
	do(t, db, "ALTER TABLE sessions SET LOGGED")
	if err := newErr(p, Options{Unlogged: true}); err == nil || !strings.Contains(err.Error(), "Options.Unlogged") {
		t.Errorf("New with Unlogged on a logged table = %v, want an error that names it", err)
	}
	if err := newErr(p, Options{}); err != nil {
		t.Error(err)
	}
}

func TestMissingTable(t *testing.T) {
	p := pool(t, server.DSN(database(t)))
	if err := newErr(p, Options{NoCreate: true}); err == nil || !strings.Contains(err.Error(), "postgres.Schema") {
		t.Errorf("New with NoCreate = %v, want an error that names postgres.Schema", err)
	}
	if err := openErr(server.DSN("session_missing")); err == nil || !strings.Contains(err.Error(), "session_missing") {
		t.Errorf("Open of a missing database = %v, want an error that names it", err)
	}
	if err := newErr(p, Options{Table: "nowhere.sessions"}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("New in a missing schema = %v, want an error that names it", err)
	}
}

// TestGrants: what the package doc says an account needs is enough, and every
// right that is missing is an error at start.
func TestGrants(t *testing.T) {
	db := database(t)
	do(t, db, "CREATE ROLE few_rights LOGIN PASSWORD 'pw'")
	t.Cleanup(func() { do(t, "postgres", "DROP ROLE few_rights") })
	t.Cleanup(func() { do(t, db, "DROP OWNED BY few_rights") })
	dsn := strings.Replace(server.DSN(db), "session:"+server.Password(), "few_rights:pw", 1)
	if err := openErr(dsn); err == nil || !strings.Contains(err.Error(), "grant CREATE") {
		t.Errorf("Open without the right to create = %v, want an error that names it", err)
	}
	do(t, db, strings.Join(Schema("sessions"), ";"))
	all := []string{"SELECT", "INSERT", "UPDATE", "DELETE"}
	for i, missing := range all {
		do(t, db, "REVOKE ALL ON sessions FROM few_rights")
		for k, right := range all {
			if k != i {
				do(t, db, "GRANT "+right+" ON sessions TO few_rights")
			}
		}
		if err := openErr(dsn); err == nil || !strings.Contains(err.Error(), "the account needs SELECT") {
			t.Errorf("Open without %s = %v, want an error that lists the rights", missing, err)
		}
	}
	do(t, db, "GRANT DELETE ON sessions TO few_rights")
	s := openAt(t, dsn)
	for name, call := range operations(t, s) {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var left int
	if err := admin(t, db).QueryRow(background, "SELECT count(*) FROM sessions WHERE username::text LIKE '%probe%'").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d records of Check are left, %v; want none", left, err)
	}
	do(t, db, "ALTER TABLE sessions ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON sessions FOR ALL TO few_rights USING (false) WITH CHECK (true)")
	if err := openErr(dsn); err == nil {
		t.Error("Open of a table whose rows are hidden from the account: no error")
	}
	do(t, db, "DROP POLICY p ON sessions")
	if err := openErr(dsn); err == nil || !strings.Contains(err.Error(), "disable row level security") {
		t.Errorf("Open of a table with row level security = %v, want an error that names it", err)
	}
	do(t, db, "CREATE SCHEMA closed; CREATE TABLE closed.sessions (id uuid)")
	if err := openErr(dsn + "&table=closed.sessions"); err == nil || !strings.Contains(err.Error(), "needs USAGE on the schema") {
		t.Errorf("Open of a table in a schema without USAGE = %v, want an error that names it", err)
	}
}
