package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/leak"
	"github.com/chisession/session/internal/testserver"
)

var update = flag.Bool("update", false, "write the golden files anew")

// stops end what tests have started.
var stops []func() error

func TestMain(m *testing.M) {
	flag.Parse()
	for _, name := range []string{"SESSIONCTL_CONFIG", "SESSIONCTL_PROVIDER", "SESSIONCTL_SAVE_PATH", "BEEGO_RUNMODE"} {
		_ = os.Unsetenv(name) // a developer's must not change what is tested
	}
	code := m.Run()
	var err error
	for _, stop := range stops {
		err = errors.Join(err, stop())
	}
	if code == 0 {
		err = errors.Join(err, leak.Find())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// mariaDB is started by the first test that needs it.
var mariaDB = sync.OnceValues(func() (*testserver.MariaDB, error) {
	m, err := testserver.StartMariaDB(testserver.MariaDBOptions{})
	if err == nil {
		stops = append(stops, m.Stop)
	}
	return m, err
})

func startMariaDB(t *testing.T) *testserver.MariaDB {
	t.Helper()
	m, err := mariaDB()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// database makes an empty database and returns its name.
func database(t *testing.T, m *testserver.MariaDB) string {
	t.Helper()
	name, err := m.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.DropDatabase(name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// postgresServer is started by the first test that needs it.
var postgresServer = sync.OnceValues(func() (*testserver.Postgres, error) {
	p, err := testserver.StartPostgres(testserver.PostgresOptions{})
	if err == nil {
		stops = append(stops, p.Stop)
	}
	return p, err
})

func startPostgres(t *testing.T) *testserver.Postgres {
	t.Helper()
	p, err := postgresServer()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// postgresDatabase makes an empty database and returns its name.
func postgresDatabase(t *testing.T, p *testserver.Postgres) string {
	t.Helper()
	name, err := p.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.DropDatabase(name); err != nil {
			t.Error(err)
		}
	})
	return name
}

func startRedis(t *testing.T, opts testserver.RedisOptions) *testserver.Redis {
	t.Helper()
	r, err := testserver.StartRedis(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// goodRedis is as it should be.
func goodRedis(t *testing.T) *testserver.Redis {
	t.Helper()
	return startRedis(t, testserver.RedisOptions{Password: "hunter2-redis", Durable: true,
		Args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "noeviction"}})
}

// A result is what a run of the program did.
type result struct {
	code           int
	stdout, stderr string
}

// ctl runs the program.
func ctl(t *testing.T, args ...string) result {
	t.Helper()
	return ctlWith(t, &app{now: time.Now}, args...)
}

func ctlWith(t *testing.T, a *app, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a.stdout, a.stderr = &stdout, &stderr
	code := a.run(t.Context(), args)
	return result{code, stdout.String(), stderr.String()}
}

// must is ctl for what must go well.
func must(t *testing.T, args ...string) string {
	t.Helper()
	r := ctl(t, args...)
	if r.code != exitOK {
		t.Fatalf("sessionctl %v: exit code %d, want 0\n%s%s", args, r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// golden compares text with a file in testdata, after swapping what differs
// from run to run.
func golden(t *testing.T, name, text string, swap ...string) {
	t.Helper()
	text = strings.NewReplacer(swap...).Replace(text)
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("output differs from %s (go test -update writes it)\n got:\n%s\nwant:\n%s", path, text, want)
	}
}

// The secrets of the sessions that login makes.
const (
	secretValue = "a value that nobody may see"
	secretLabel = "Firefox\x1b[31m, Lisbon"
)

// login stores a session of user, as an application does, and returns its ID
// and token.
func login(t *testing.T, store backend.Store, user string) (id, token string) {
	t.Helper()
	m, err := session.New(session.Config{Store: store, SweepEvery: -1, NoSeal: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.Start(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	s.Set("secret", secretValue)
	s.SetUser(user)
	s.SetLabel(secretLabel)
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	id, token = s.ID(), s.Token()
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	return id, token
}

// lacks fails if the output has one of the secrets.
func (r result) lacks(t *testing.T, secrets ...string) {
	t.Helper()
	for _, secret := range slices.Concat(secrets, []string{secretValue, "\x1b"}) {
		if strings.Contains(r.stdout+r.stderr, secret) {
			t.Errorf("the output has a secret (%q):\n%s%s", secret, r.stdout, r.stderr)
		}
	}
}
