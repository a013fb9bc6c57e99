package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session/cookie"
)

// A child is a server process. It ends when the test does, and by itself when
// the test binary does, as its standard input closes.
type child struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	base   string
	client *http.Client
	ctl    *http.Client
	log    logBuffer
	killed bool
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	return len(p), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

// start starts a server on a backend. A change may alter how its process runs.
func start(t testing.TB, opts options, change ...func(*exec.Cmd)) *child {
	t.Helper()
	c, err := tryStart(t, opts, change...)
	if err != nil {
		t.Fatalf("start a server on %s: %v", opts.Provider, err)
	}
	return c
}

func tryStart(t testing.TB, opts options, change ...func(*exec.Cmd)) (*child, error) {
	raw, err := json.Marshal(opts)
	if err != nil {
		return nil, err
	}
	c := &child{t: t, name: opts.Provider, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), envServer+"="+string(raw))
	c.cmd.Stderr = &c.log
	c.cmd.Dir = os.TempDir() // any user can be there
	for _, f := range change {
		f(c.cmd)
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 30 * time.Second}
	c.ctl = &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	t.Cleanup(c.kill)
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.kill()
		return nil, fmt.Errorf("it said %w\n%s", err, c.log.String())
	}
	c.base = "http://" + strings.TrimSpace(addr)
	return c, nil
}

// kill is kill -9. It returns when the process is gone.
func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill() // it may have ended by itself
		_ = c.cmd.Wait()         // "signal: killed" is no news
	}
	c.done()
}

// end asks the process to end, and waits.
func (c *child) end() {
	c.t.Helper()
	c.client.CloseIdleConnections()
	c.ctl.CloseIdleConnections()
	c.stdin.Close()
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("the server ended with %v:\n%s", err, c.log.String())
	}
	c.done()
}

// done looks through the log of a process that is gone.
func (c *child) done() {
	if c.killed {
		return
	}
	c.killed = true
	c.client.CloseIdleConnections()
	c.ctl.CloseIdleConnections()
	text := c.log.String()
	canaries.hear("the log of a server on "+c.name+" in "+c.t.Name(), text)
	for _, bad := range []string{"DATA RACE", "UNPLANNED", "fatal error", "superfluous", "panic:"} {
		if strings.Contains(text, bad) {
			c.t.Errorf("the server's log has %q in it:\n%s", bad, around(text, bad))
		}
	}
}

// logged reports how many lines of the log hold all of the texts.
func (c *child) logged(texts ...string) int {
	n := 0
line:
	for line := range strings.Lines(c.log.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue line
			}
		}
		n++
	}
	return n
}

// measures asks the server about itself.
func (c *child) measures() (m measures) {
	c.t.Helper()
	resp, err := c.ctl.Get(c.base + "/measures?count=1")
	if err != nil {
		c.t.Fatalf("GET /measures: %v", err)
	}
	defer resp.Body.Close()
	must(c.t, "read /measures", json.NewDecoder(resp.Body).Decode(&m))
	return m
}

// idle waits until the server has closed what the clients closed, and returns
// its measures when they have not moved for a while.
func (c *child) idle() measures {
	c.t.Helper()
	c.client.CloseIdleConnections()
	last, since := c.measures(), time.Now()
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		m := c.measures()
		if m.Goroutines != last.Goroutines || m.Descriptors != last.Descriptors {
			since = time.Now()
		}
		last = m
		if time.Since(since) > 100*time.Millisecond {
			break
		}
	}
	return last
}

// flat checks that the server has not more goroutines and descriptors than
// before, but for a pool of connections that may be fuller by slack.
func (c *child) flat(before measures, slack int) measures {
	c.t.Helper()
	after := c.idle()
	more := func() bool {
		return after.Goroutines > before.Goroutines+2*slack || after.Descriptors > before.Descriptors+slack
	}
	for deadline := time.Now().Add(20 * time.Second); more() && time.Now().Before(deadline); {
		after = c.idle()
	}
	if more() {
		c.t.Errorf("the server has %d goroutines (before: %d) and %d descriptors (before: %d)",
			after.Goroutines, before.Goroutines, after.Descriptors, before.Descriptors)
	}
	return after
}

// A response is what a server said.
type response struct {
	state
	status    int
	body      string
	token     string // the token that it set
	removed   bool   // it removed the cookie
	took      time.Duration
	retryHint string
}

// get asks for path with a token, "" for none.
func (c *child) get(token, path string) (a response, err error) {
	r, err := http.NewRequest("GET", c.base+path, nil)
	if err != nil {
		return a, err
	}
	if token != "" {
		r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: token})
	}
	return c.do(r)
}

func (c *child) do(r *http.Request) (a response, err error) {
	began := time.Now()
	resp, err := c.client.Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	a.status, a.body, a.took = resp.StatusCode, string(body), time.Since(began)
	a.retryHint = resp.Header.Get("Retry-After")
	for _, set := range resp.Cookies() {
		if set.Name == cookie.DefaultName {
			a.token, a.removed = set.Value, set.MaxAge < 0
			if a.token != "" {
				canaries.token(a.token)
			}
		}
	}
	if a.status != http.StatusOK {
		canaries.hear("an error response of a server on "+c.name+" in "+c.t.Name(), a.body)
	}
	if strings.HasPrefix(a.body, "{") {
		err = json.Unmarshal(body, &a.state)
	}
	return a, err
}

// ok is get for what must succeed.
func (c *child) ok(token, path string) response {
	c.t.Helper()
	a, err := c.get(token, path)
	if err != nil || a.status != http.StatusOK {
		c.t.Errorf("GET %s: %d %.200q, %v; want 200", cut(path), a.status, a.body, err)
	}
	return a
}

// refused is get for what must be the library's own error response: a 503 with
// a status text and nothing else.
func (c *child) refused(token, path string) response {
	c.t.Helper()
	a, err := c.get(token, path)
	if err != nil {
		c.t.Errorf("GET %s: %v", cut(path), err)
		return a
	}
	a.isRefusal(c.t, path)
	return a
}

func (a response) isRefusal(t testing.TB, path string) {
	t.Helper()
	if a.status != http.StatusServiceUnavailable || a.body != "Service Unavailable\n" || a.token != "" || a.retryHint != "1" {
		t.Errorf("GET %s: %d %.200q, a cookie: %v, Retry-After %q; want a bare 503", cut(path), a.status, a.body, a.token != "", a.retryHint)
	}
}

func cut(path string) string { return path[:min(len(path), 60)] }
