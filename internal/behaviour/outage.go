package behaviour

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// A Server is a process of one's own that keeps sessions, to be killed and
// frozen.
type Server interface {
	Kill9() error
	Restart() error
	Freeze() error
	Thaw() error
}

// An Outage is a server that keeps what it acknowledged across a kill -9, and
// where its sessions are.
type Outage struct {
	Server   Server
	Name     string // of the backend
	SavePath string
}

// RunOutages runs the cases in which the store's server is killed or frozen
// under load, and comes back. start is asked for a server of each case's own.
func RunOutages(t *testing.T, start func(t *testing.T) Outage) {
	t.Run("killed", func(t *testing.T) { start(t).underLoad(t, Outage.killed) })
	t.Run("frozen", func(t *testing.T) { start(t).underLoad(t, Outage.frozen) })
	t.Run("a request ends at StoreTimeout", func(t *testing.T) { start(t).storeTimeout(t) })
}

// killed keeps the server dead for a second, with during in it.
func (o Outage) killed(t *testing.T, during func()) {
	if err := o.Server.Kill9(); err != nil {
		t.Error(err)
	}
	during()
	elapse(time.Second)
	if err := o.Server.Restart(); err != nil {
		t.Error(err)
	}
}

func (o Outage) frozen(t *testing.T, during func()) {
	if err := o.Server.Freeze(); err != nil {
		t.Error(err)
	}
	during()
	if err := o.Server.Thaw(); err != nil {
		t.Error(err)
	}
}

// storeTimeout: a request that meets a frozen server ends at StoreTimeout, when
// the store is opened by name as well.
func (o Outage) storeTimeout(t *testing.T) {
	const timeout = 400 * time.Millisecond
	a := newApp(t, session.Config{Provider: o.Name, SavePath: o.SavePath, StoreTimeout: timeout})
	a.basics()
	b := a.browser(t)
	b.getPatiently("/set?k=a&v=kept").want(t, http.StatusOK, "set")
	o.frozen(t, func() {
		for range 3 { // the first one's connection may be another's
			took := least(2*timeout, func() {
				if got := b.get("/get?k=a"); got.status != http.StatusServiceUnavailable {
					t.Errorf("with a frozen server: status %d, want 503", got.status)
				}
			})
			if took > 2*timeout {
				t.Errorf("with a frozen server a request takes %v at least, want %v", took, timeout)
			}
		}
	})
	b.getPatiently("/get?k=a").want(t, http.StatusOK, "kept")
}

// underLoad has eight browsers count while something happens to the server.
// During it they get errors, never a lie; after it they go on by themselves,
// and nothing that was acknowledged is lost.
func (o Outage) underLoad(t *testing.T, happen func(o Outage, t *testing.T, during func())) {
	store, err := backend.Open(o.Name, o.SavePath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeStore(store); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	a := newStage(t, session.Config{Store: store}, nil)
	guests := make([]*guest, 8)
	for i := range guests {
		guests[i] = &guest{browser: a.browser(t)}
		guests[i].get("/login").want200(t)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, g := range guests {
		wg.Go(func() { g.countUntil(t, stop) })
	}
	oneMore(t, "success at the start", (*guest).successes, guests...)
	happen(o, t, func() { oneMore(t, "error in the outage", (*guest).failures, guests...) })
	back := time.Now()
	oneMore(t, "success after the outage", (*guest).successes, guests[0])
	t.Logf("the first guest's success came %v after the server", time.Since(back))
	oneMore(t, "success after the outage", (*guest).successes, guests...)
	close(stop)
	wg.Wait()
	for _, g := range guests {
		g.check(t)
	}
}

// A guest counts, request after request, and knows what was acknowledged.
type guest struct {
	*browser
	sent, acked int
	failed      atomic.Int64
	succeeded   atomic.Int64
}

func (g *guest) successes() int64 { return g.succeeded.Load() }
func (g *guest) failures() int64  { return g.failed.Load() }

// oneMore waits until each guest has got one more of what count counts.
func oneMore(t *testing.T, what string, count func(*guest) int64, guests ...*guest) {
	t.Helper()
	want := map[*guest]int64{}
	for _, g := range guests {
		want[g] = count(g) + 1
	}
	deadline := time.Now().Add(patience)
	for _, g := range guests {
		for count(g) < want[g] {
			if elapse(5 * time.Millisecond); time.Now().After(deadline) {
				t.Fatalf("no %s within %v", what, patience)
			}
		}
	}
}

func (g *guest) countUntil(t *testing.T, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			g.count(t)
		}
	}
}

// respondsWithin is how long a request may take when the server does not answer:
// one wait for the store, and as much as a busy machine needs. That it is not two is
// what storeTimeout sees.
const respondsWithin = 30 * time.Second

// adaAlone finds the user, and not three digits of a session's ID.
var adaAlone = regexp.MustCompile(`\bada\b`)

// count adds one to the session's counter. The response is the right one, or an
// error; it never speaks of another session, or of none.
func (g *guest) count(t *testing.T) {
	g.sent++
	start := time.Now()
	got := g.get("/update")
	if took := time.Since(start); took > respondsWithin {
		t.Errorf("a response took %v, want less than %v", took, respondsWithin)
	}
	got.wantNoCookie(t)
	var id string
	var n int
	switch got.status {
	case http.StatusOK:
		if _, err := fmt.Sscanf(got.body, `%s "ada" n=%d`, &id, &n); err != nil || n <= g.acked || n > g.sent {
			t.Errorf("response %q, acknowledged were %d, sent %d", got.body, g.acked, g.sent)
		}
		g.acked = n
		g.succeeded.Add(1)
	case http.StatusUnprocessableEntity, http.StatusServiceUnavailable: // the error of Update, or that of the middleware
		if adaAlone.MatchString(got.body) || strings.Contains(got.body, session.ErrDestroyed.Error()) {
			t.Errorf("response %d %q in an outage", got.status, got.body)
		}
		g.failed.Add(1)
		elapse(time.Millisecond) // a refused connection is quick; leave some processor to the server
	default:
		t.Errorf("response %d %q, want 200 or an error of the store", got.status, got.body)
	}
}

// check: every acknowledged write is there.
func (g *guest) check(t *testing.T) {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(g.state(), `"ada" n=%d`, &n); err != nil || n < g.acked || n > g.sent {
		t.Errorf("after the outage the session is %s, acknowledged were %d, sent %d", g.state(), g.acked, g.sent)
	}
}
