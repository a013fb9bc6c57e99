package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/testserver"
)

// envServer has the test binary be the server: so the children run the code
// that is tested, with the race detector if the tests do.
const envServer = "TWOPROC_SERVER"

var (
	mariaDB     = lazy[*testserver.MariaDB]{start: func() (*testserver.MariaDB, error) { return testserver.StartMariaDB(testserver.MariaDBOptions{}) }}
	redisServer = lazy[*testserver.Redis]{start: func() (*testserver.Redis, error) { return testserver.StartRedis(testserver.RedisOptions{}) }}

	postgresServer = lazy[*testserver.Postgres]{start: func() (*testserver.Postgres, error) {
		return testserver.StartPostgres(testserver.PostgresOptions{})
	}}
)

func TestMain(m *testing.M) {
	if os.Getenv(envServer) != "" {
		main()
		return
	}
	code := m.Run()
	for _, stop := range []func() error{mariaDB.stop, redisServer.stop, postgresServer.stop} {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// lazy is a server that the first test that needs it starts.
type lazy[T interface{ Stop() error }] struct {
	start   func() (T, error)
	started bool
	server  T
	err     error
}

func (l *lazy[T]) get(t testing.TB) T {
	t.Helper()
	if !l.started {
		l.server, l.err = l.start()
		l.started = true
	}
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.server
}

func (l *lazy[T]) stop() error {
	if !l.started || l.err != nil {
		return nil
	}
	return l.server.Stop()
}

// A sharedStore is a backend that two processes can share. Each test gets a place
// of its own.
type sharedStore struct {
	name     string
	savePath func(t testing.TB) string
}

// stores are those on which every test runs.
var stores = []sharedStore{
	{"file", func(t testing.TB) string { return t.TempDir() + "/sessions" }},
	{"mysql", func(t testing.TB) string {
		server := mariaDB.get(t)
		name, err := server.CreateDatabase()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.DropDatabase(name); err != nil {
				t.Error(err)
			}
		})
		return server.DSN(name)
	}},
	{"redis", onRedis},
}

// moreStores are the other backends, which differ from those in what they look up,
// and not in what sessions make of it.
var moreStores = []sharedStore{
	{"goredis", onRedis},
	{"rueidis", onRedis},
	{"postgres", func(t testing.TB) string {
		server := postgresServer.get(t)
		name, err := server.CreateDatabase()
		if err != nil {
			t.Fatal(err)
		}
		return server.DSN(name)
	}},
	{"sqlite", func(t testing.TB) string { return t.TempDir() + "/sessions.db" }},
}

func onRedis(t testing.TB) string {
	return fmt.Sprintf("%s?prefix=%d-%d:", redisServer.get(t).URL(), os.Getpid(), unique.Add(1))
}

var unique atomic.Int64

// forEachStore runs a test with two processes on each of the stores.
func forEachStore(t *testing.T, run func(t *testing.T, a, b *child), args ...string) {
	forEach(t, stores, run, args...)
}

func forEach(t *testing.T, stores []sharedStore, run func(t *testing.T, a, b *child), args ...string) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			place := append([]string{"-provider", store.name, "-save-path", store.savePath(t)}, args...)
			run(t, startChild(t, place...), startChild(t, place...))
		})
	}
}

// A child is a server process. It is killed when the test ends, and ends by
// itself when the test binary does, as its standard input closes.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	base  string
	http  *http.Client
	log   *strings.Builder // complete once the process has ended
}

func startChild(t *testing.T, args ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), envServer+"=1")
	c := &child{t: t, cmd: cmd, log: &strings.Builder{}, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute}}
	cmd.Stderr = c.log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.kill()
		t.Fatalf("the server did not start (%v):\n%s", err, c.log)
	}
	c.base = "http://" + strings.TrimSpace(addr)
	return c
}

// kill ends the process at once, as kill -9 does, and waits until it is gone.
func (c *child) kill() {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.cmd.Process.Kill() // it may have ended by itself
	_ = c.cmd.Wait()         // "signal: killed" is no news
	c.http.CloseIdleConnections()
	if text := c.log.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
		c.t.Errorf("the server said:\n%s", text)
	}
}

// end asks the process to end, and waits.
func (c *child) end() {
	c.t.Helper()
	c.http.CloseIdleConnections()
	c.stdin.Close()
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("the server ended with %v:\n%s", err, c.log)
	}
}

// A reply is what a process said.
type reply struct {
	state
	status int
	cookie string // the token that it set
	remove bool   // it removed the cookie
}

// get asks for path with a token, "" for none.
func (c *child) get(token, path string) reply {
	c.t.Helper()
	a, err := c.try(token, path)
	if err != nil {
		c.t.Errorf("GET %s: %v", path, err)
	}
	return a
}

func (c *child) try(token, path string) (a reply, _ error) {
	r, err := http.NewRequest("GET", c.base+path, nil)
	if err != nil {
		return a, err
	}
	if token != "" {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a.status = resp.StatusCode
	for _, set := range resp.Cookies() {
		if set.Name == cookie.DefaultName {
			a.cookie, a.remove = set.Value, set.MaxAge < 0
		}
	}
	if strings.HasPrefix(string(body), "{") {
		return a, json.Unmarshal(body, &a.state)
	}
	a.Error = string(body)
	return a, nil
}

// ok is get for what must succeed.
func (c *child) ok(token, path string) reply {
	c.t.Helper()
	a := c.get(token, path)
	if a.status != http.StatusOK {
		c.t.Errorf("GET %s: %d %s, want 200", path, a.status, a.Error)
	}
	return a
}

// login starts a session of user with a value in it and returns its token.
func (c *child) login(user string) string {
	c.t.Helper()
	token := c.ok("", "/set?key=a&value=1").cookie
	return c.ok(token, "/login?value="+url.QueryEscape(user)).cookie
}

// A slow request waits in its handler.
type slow struct {
	child  *child
	gate   string
	result chan reply
}

// begin sends a request that waits, and returns once it does: the session is
// loaded. when is "before" the act, or "after" it, before the answer.
func (c *child) begin(token, path, when string) *slow {
	c.t.Helper()
	s := &slow{c, fmt.Sprintf("g%d", unique.Add(1)), make(chan reply, 1)}
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	go func() { s.result <- c.get(token, path+mark+"gate="+s.gate+"&when="+when) }()
	c.ok("", "/gate/"+s.gate+"/reached")
	return s
}

// finish lets it go on and returns its answer.
func (s *slow) finish() reply {
	s.child.t.Helper()
	s.child.ok("", "/gate/"+s.gate+"/open")
	return <-s.result
}
