package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

// A site is a place with an application's sessions in it.
type site struct {
	provider, savePath string
	password           string
	store              backend.Store
}

// eachSite runs a test on every provider that can be operated.
func eachSite(t *testing.T, test func(t *testing.T, s site)) {
	t.Run("file", func(t *testing.T) {
		test(t, newSite(t, "file", filepath.Join(t.TempDir(), "sessions"), ""))
	})
	t.Run("mysql", func(t *testing.T) {
		m := startMariaDB(t)
		test(t, newSite(t, "mysql", m.DSN(database(t, m)), m.Password()))
	})
	t.Run("postgres", func(t *testing.T) {
		p := startPostgres(t)
		test(t, newSite(t, "postgres", p.DSN(postgresDatabase(t, p)), p.Password()))
	})
	t.Run("sqlite", func(t *testing.T) {
		test(t, newSite(t, "sqlite", filepath.Join(t.TempDir(), "sessions.db")+"?table=web", ""))
	})
	t.Run("redis", func(t *testing.T) {
		r := goodRedis(t)
		test(t, newSite(t, "redis", r.Addr()+",10,"+r.Password()+",0", r.Password()))
	})
}

func newSite(t *testing.T, provider, savePath, password string) site {
	t.Helper()
	store, err := backend.Open(provider, savePath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.(interface{ Close() error }).Close(); err != nil {
			t.Error(err)
		}
	})
	return site{provider, savePath, password, store}
}

func (s site) args(args ...string) []string {
	return append(args, "--provider", s.provider, "--save-path", s.savePath)
}

func TestSessions(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		ada1, token1 := login(t, s.store, "ada")
		ada2, token2 := login(t, s.store, "ada")
		ada3, token3 := login(t, s.store, "ada")
		bob, token4 := login(t, s.store, "bob")
		tokens := []string{token1, token2, token3, token4}
		if s.password != "" {
			tokens = append(tokens, s.password, s.savePath)
		}
		see := func(args ...string) string {
			t.Helper()
			r := ctl(t, s.args(args...)...)
			r.lacks(t, tokens...)
			if r.code != exitOK {
				t.Fatalf("%v: exit code %d: %s", args, r.code, r.stderr)
			}
			return r.stdout
		}

		text := see("ls", "--user", "ada")
		for _, want := range []string{ada1, ada2, ada3, "Firefox?[31m, Lisbon", "LAST SEEN"} {
			if !strings.Contains(text, want) {
				t.Errorf("ls --user ada lacks %q:\n%s", want, text)
			}
		}
		if strings.Contains(text, bob) {
			t.Errorf("ls --user ada shows a session of bob:\n%s", text)
		}
		var list struct{ Sessions []session.Info }
		if err := json.Unmarshal([]byte(see("ls", "--user", "ada", "--json")), &list); err != nil || len(list.Sessions) != 3 {
			t.Errorf("ls --json: %d sessions, %v, want 3", len(list.Sessions), err)
		}
		if got, want := see("revoke", ada1), "ended "+ada1+"\n"; got != want {
			t.Errorf("revoke: %q, want %q", got, want)
		}
		if got, want := see("revoke", ada1), "there is no session "+ada1+"\n"; got != want {
			t.Errorf("revoke again: %q, want %q", got, want)
		}
		if got, want := see("revoke-user", "ada", "--except", ada3), "ended 1 session of ada\n"; got != want {
			t.Errorf("revoke-user: %q, want %q", got, want)
		}
		if text := see("ls", "--user", "ada"); !strings.Contains(text, ada3) || strings.Contains(text, ada2) {
			t.Errorf("ls after revoke-user --except:\n%s", text)
		}
		if got := see("ls", "--user", "nobody"); got != "no sessions\n" {
			t.Errorf("ls of nobody: %q", got)
		}
		var report statsReport
		if err := json.Unmarshal([]byte(see("stats", "--json")), &report); err != nil || len(report.Facts) == 0 {
			t.Errorf("stats --json: %+v, %v", report, err)
		}
		if counts := backend.AbilitiesOf(s.store).Counter != nil; counts != (report.Live != nil) || counts && *report.Live != 2 {
			t.Errorf("stats: live is %v, want 2 where the store counts", report.Live)
		}
		if text := see("stats"); !strings.Contains(text, "live sessions") {
			t.Errorf("stats:\n%s", text)
		}
	})
}

func TestMigrate(t *testing.T) {
	m := startMariaDB(t)
	dsn := m.DSN(database(t, m))
	golden(t, "migrate.txt", must(t, "migrate", "--provider", "mysql"))
	if r := ctl(t, "ls", "--user", "ada", "--provider", "mysql", "--save-path", dsn); r.code != exitFail || !strings.Contains(r.stderr, "there is no table sessions in mysql at "+m.Addr()) ||
		!strings.Contains(r.stderr, "run sessionctl migrate --apply") {
		t.Errorf("ls without a table: code %d, %s; want 1, that there is none, and the cure", r.code, r.stderr)
	}
	for range 2 { // twice is no error
		got := must(t, "migrate", "--apply", "--provider", "mysql", "--save-path", dsn, "--table", "web_sessions")
		if want := "table web_sessions is there, and as it should be.\n"; got != want {
			t.Errorf("migrate --apply: %q, want %q", got, want)
		}
	}
	must(t, "ls", "--user", "ada", "--provider", "mysql", "--save-path", dsn, "--table", "web_sessions")
	if got, want := must(t, "migrate", "--provider", "redis"), "redis needs no schema.\n"; got != want {
		t.Errorf("migrate of redis: %q, want %q", got, want)
	}
}

func TestMigratePostgres(t *testing.T) {
	p := startPostgres(t)
	dsn := p.DSN(postgresDatabase(t, p), "table=public.web_sessions")
	args := []string{"--provider", "postgresql", "--save-path", dsn} // as Beego calls it
	if got := must(t, append([]string{"migrate"}, args...)...); !strings.Contains(got, `CREATE TABLE IF NOT EXISTS "public"."web_sessions"`) {
		t.Errorf("migrate:\n%s", got)
	}
	if r := ctl(t, append([]string{"stats"}, args...)...); r.code != exitFail || !strings.Contains(r.stderr, "run sessionctl migrate --apply") {
		t.Errorf("stats without a table: code %d, %s; want 1, and the cure", r.code, r.stderr)
	}
	for range 2 { // twice is no error
		if got, want := must(t, append([]string{"migrate", "--apply"}, args...)...), "table public.web_sessions is there, and as it should be.\n"; got != want {
			t.Errorf("migrate --apply: %q, want %q", got, want)
		}
	}
	must(t, append([]string{"ls", "--user", "ada"}, args...)...)
	long := strings.Repeat("x", 60)
	if r := ctl(t, append([]string{"migrate", "--table", long}, args...)...); r.code != exitFail || !strings.Contains(r.stderr, "at most 53") {
		t.Errorf("migrate with too long a name: code %d, %s", r.code, r.stderr)
	}
}

// TestConfigOfBeego: its name of the provider, and its form of the save path.
func TestConfigOfBeego(t *testing.T) {
	p := startPostgres(t)
	db := migrated(t, p)
	host, port, _ := strings.Cut(p.Addr(), ":")
	file := filepath.Join(t.TempDir(), "app.conf")
	text := "sessionon = true\nsessionprovider = postgresql\nsessionproviderconfig = \"user=session password=" + p.Password() +
		" host=" + host + " port=" + port + " dbname=" + db + " sslmode=disable\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	report, r := examine(t, plainApp(), "--config", file)
	report.allOK(t)
	r.lacks(t, p.Password())
}

func TestMigrateSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.db")
	args := []string{"--provider", "sqlite", "--save-path", file}
	if r := ctl(t, append([]string{"migrate", "--apply"}, args...)...); r.code != exitFail || !strings.Contains(r.stderr, "sessionctl makes none") {
		t.Errorf("migrate --apply without a file: code %d, %s", r.code, r.stderr)
	}
	newSite(t, "sqlite", file+"?table=other", "")
	if r := ctl(t, append([]string{"stats"}, args...)...); r.code != exitFail || !strings.Contains(r.stderr, "run sessionctl migrate --apply") {
		t.Errorf("stats without a table: code %d, %s; want 1, and the cure", r.code, r.stderr)
	}
	for range 2 {
		if got, want := must(t, append([]string{"migrate", "--apply"}, args...)...), "table sessions is there, and as it should be.\n"; got != want {
			t.Errorf("migrate --apply: %q, want %q", got, want)
		}
	}
	must(t, append([]string{"ls", "--user", "ada"}, args...)...)
}

// TestMemory: the program says what it cannot do, and why.
func TestMemory(t *testing.T) {
	for _, args := range [][]string{
		{"ls", "--user", "ada"}, {"ls"}, {"show", uuid.Must(uuid.NewV7()).String()}, {"export"}, {"import"}, {"stats"}, {"gc"}, {"revoke", uuid.Must(uuid.NewV7()).String()}, {"revoke-user", "ada"},
	} {
		r := ctl(t, append(args, "--provider", "memory")...)
		if r.code != exitFail || !strings.Contains(r.stderr, "inside the application's own process") {
			t.Errorf("%v on memory: code %d, %q", args, r.code, r.stderr)
		}
	}
}

// TestUsage: mistakes are told, and what was typed is not repeated, as it may
// be a token or a password.
func TestUsage(t *testing.T) {
	token := strings.Repeat("x", 64)
	for _, args := range [][]string{
		{token},
		{"revoke", token, "--provider", "file"},
		{"revoke", "--provider", "file"},
		{"revoke-user", "ada", "--except", token, "--provider", "file"},
		{"stats", token},
		{"stats"},
		{"ls", "--provider", "file", "--limit", "0"},
		{"ls", "--provider", "file", "--user", "a", "--prefix", "a"},
		{"show", token, "--provider", "file"},
		{"stats", "--save-pth=" + token},
		{"stats", "-save-pth=" + token},
		{"stats", "--idle-timeout=" + token},
		{"stats", "--provider", "mysql", "--table", "a b"},
		{"stats", "--config", "a", "--env", "b"},
	} {
		r := ctl(t, args...)
		r.lacks(t, token)
		if r.code != exitUsage || r.stderr == "" || r.stdout != "" {
			t.Errorf("%.40q: code %d, %q, %q; want 2 and a word on stderr", args, r.code, r.stdout, r.stderr)
		}
	}
}

// TestPasswords: no message repeats one, however the save path is spoilt.
func TestPasswords(t *testing.T) {
	const password = "hunter2-s3cret"
	for _, c := range []struct{ provider, savePath string }{
		{"mysql", "shop:" + password + "@tcp(127.0.0.1:1)/shop"},
		{"mysql", "shop:" + password + "@tcp(127.0.0.1:1/shop"},
		{"mysql", "shop:" + password + "@127.0.0.1/shop?x=%zz"},
		{"mysql", "shop:" + password},
		{"postgres", "postgres://shop:" + password + "@127.0.0.1:1/shop"},
		{"postgres", "postgres://shop:" + password + "@127.0.0.1:x/shop"},
		{"postgres", "postgres://shop:" + password + "@127.0.0.1/shop?sslmode=%zz"},
		{"postgres", "host=127.0.0.1 port=1 user=shop password=" + password},
		{"postgres", "host=127.0.0.1 port=x user=shop password=" + password},
		{"postgres", "shop:" + password},
		{"redis", "127.0.0.1:1,100," + password + ",0"},
		{"redis", "127.0.0.1:1," + password},
		{"redis", "redis://shop:" + password + "@127.0.0.1:1/0"},
		{"redis", "redis://shop:" + password + "@127.0.0.1:1/" + password},
		{"redis", "redis://:" + password + "%zz@127.0.0.1:1"},
		{"redis", "shop:" + password + "@127.0.0.1:1"},
		{"shop:" + password + "@127.0.0.1:1", "x"},
	} {
		for _, command := range [][]string{{"doctor"}, {"stats"}, {"doctor", "--json"}, {"gc", "--json"}, {"migrate"}, {"migrate", "--apply"}} {
			r := ctl(t, append(command, "--provider", c.provider, "--save-path", c.savePath)...)
			r.lacks(t, password)
		}
		t.Setenv("SESSIONCTL_PROVIDER", c.provider)
		t.Setenv("SESSIONCTL_SAVE_PATH", c.savePath)
		r := ctl(t, "stats")
		r.lacks(t, password)
		if r.code != exitFail {
			t.Errorf("%s: code %d, want 1: %s", c.provider, r.code, r.stderr)
		}
		t.Setenv("SESSIONCTL_PROVIDER", "")
		t.Setenv("SESSIONCTL_SAVE_PATH", "")
	}
}

func TestSingleDash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	store := newSite(t, "file", dir, "").store
	login(t, store, "ada")
	if got := must(t, "ls", "-user", "ada", "-provider=file", "-save-path", dir); got == "no sessions\n" {
		t.Error("ls with Go's single dashes found nothing")
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct {
		target place.Target
		want   string
	}{
		{place.Target{Provider: "mysql", SavePath: "u:p4ss@tcp(db:3306)/shop"}, "mysql at db:3306, table shop.sessions"},
		{place.Target{Provider: "mysql", SavePath: "u:p4ss@tcp(db1,db2:3307)/shop"}, "mysql at db1:3306,db2:3307, table shop.sessions"},
		{place.Target{Provider: "redis", SavePath: "db:6379,10,p4ss,2"}, "redis at db:6379, database 2, keys session:*"},
		{place.Target{Provider: "redis", SavePath: "rediss://u:p4ss@db:6379/3?prefix=a:"}, "redis at db:6379, database 3, keys a:*"},
		{place.Target{Provider: "goredis", SavePath: "redis+cluster://u:p4ss@[::1]:7,[::2],h3"}, "goredis at [::1]:7,[::2],h3, database 0, keys session:*"},
		{place.Target{Provider: "redis", SavePath: "unix:///run/r.sock?password=p4ss"}, "redis at /run/r.sock, database 0, keys session:*"},
		{place.Target{Provider: "postgres", SavePath: "postgres://u:p4ss@db/shop"}, "postgres at db:5432, database shop, table sessions"},
		{place.Target{Provider: "postgres", SavePath: "host=/run/pg user=u password=p4ss dbname=shop", Table: "web"}, "postgres at /run/pg, database shop, table web"},
		{place.Target{Provider: "postgres", SavePath: "postgres://u:p4ss@db:x/shop"}, "postgres"},
		{place.Target{Provider: "sqlite", SavePath: "/var/s.db?synchronous=normal"}, "sqlite at /var/s.db"},
		{place.Target{Provider: "file", SavePath: "/var/s"}, "file at /var/s"},
	} {
		if got := c.target.String(); got != c.want {
			t.Errorf("String() = %q, want %q", got, c.want)
		}
		if c.target.Provider == "file" || c.target.Provider == "sqlite" {
			continue
		}
		if got := c.target.Redact("x " + c.target.SavePath + " p4ss"); strings.Contains(got, "p4ss") {
			t.Errorf("Redact left the password: %q", got)
		}
	}
}

// TestNothingToHide: where a save path has no password, messages show its
// addresses, and no stars.
func TestNothingToHide(t *testing.T) {
	for _, c := range []struct{ provider, savePath string }{
		{"redis", "127.0.0.1:1"},
		{"redis", "127.0.0.1:1,100,,0"},
		{"redis", "redis://127.0.0.1:1/0"},
		{"goredis", "redis+cluster://127.0.0.1:1"},
		{"mysql", "shop@tcp(127.0.0.1:1)/shop"},
		{"postgres", "postgres://shop@127.0.0.1:1/shop"},
		{"postgres", "host=127.0.0.1 port=1 user=shop dbname=shop"},
	} {
		for _, command := range []string{"stats", "doctor"} {
			r := ctl(t, command, "--provider", c.provider, "--save-path", c.savePath)
			if text := r.stdout + r.stderr; strings.Contains(text, "***") || !strings.Contains(text, "127.0.0.1:1") {
				t.Errorf("%s of %s: code %d, no address, or stars:\n%s", command, c.savePath, r.code, text)
			}
		}
	}
}

// TestStatsNumbers: what is a number is one in JSON, and what is a version is a
// string.
func TestStatsNumbers(t *testing.T) {
	eachSite(t, func(t *testing.T, s site) {
		var report struct {
			Facts []struct {
				Name  string
				Value any
			}
		}
		if err := json.Unmarshal([]byte(must(t, s.args("stats", "--json")...)), &report); err != nil {
			t.Fatal(err)
		}
		numbers := 0
		for _, f := range report.Facts {
			_, isNumber := f.Value.(float64)
			if words := strings.Contains(f.Name, "version") || strings.Contains(f.Name, "policy"); isNumber == words {
				t.Errorf("%s is %T", f.Name, f.Value)
			}
			if isNumber {
				numbers++
			}
		}
		if numbers < 2 {
			t.Errorf("stats has %d numbers: %v", numbers, report.Facts)
		}
	})
}
