package session_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
)

// An outage is a server of one's own, to be killed.
type outage struct {
	server interface {
		Kill9() error
		Restart() error
		Freeze() error
		Thaw() error
		Stop() error
	}
	savePath string
}

// outages start a server that keeps what it acknowledged across a kill -9.
var outages = map[string]func(t *testing.T) outage{
	"mysql": func(t *testing.T) outage {
		server, err := testserver.StartMariaDB(testserver.MariaDBOptions{})
		if err != nil {
			t.Fatal(err)
		}
		name, err := server.CreateDatabase()
		if err != nil {
			t.Fatal(err)
		}
		return outage{server, server.DSN(name)}
	},
	"redis": func(t *testing.T) outage {
		server, err := testserver.StartRedis(testserver.RedisOptions{Durable: true})
		if err != nil {
			t.Fatal(err)
		}
		return outage{server, server.URL()}
	},
}

// answersWithin is how long a request may take whose server does not answer:
// one wait for the store, and some for a busy machine.
const answersWithin = 5 * time.Second

// TestBehaviourJ74 is case 74 of BEHAVIOURS.md: the store's server is killed
// or frozen under load, and comes back.
func TestBehaviourJ74(t *testing.T) {
	for _, name := range sortedNames(outages) {
		t.Run("74_killed/"+name, func(t *testing.T) { testOutage(t, name, outage.killed) }) // RD-1, RD-2
		t.Run("74_frozen/"+name, func(t *testing.T) { testOutage(t, name, outage.frozen) }) // RD-4
	}
}

// killed keeps the server dead for a second, with during in it.
func (o outage) killed(t *testing.T, during func()) {
	if err := o.server.Kill9(); err != nil {
		t.Error(err)
	}
	during()
	elapse(time.Second)
	if err := o.server.Restart(); err != nil {
		t.Error(err)
	}
}

func (o outage) frozen(t *testing.T, during func()) {
	if err := o.server.Freeze(); err != nil {
		t.Error(err)
	}
	during()
	if err := o.server.Thaw(); err != nil {
		t.Error(err)
	}
}

// A guest counts, request after request, and knows what was acknowledged.
type guest struct {
	*browser
	sent, acked int
	failed      atomic.Int64
	succeeded   atomic.Int64
}

func testOutage(t *testing.T, name string, happen func(o outage, t *testing.T, during func())) {
	o := outages[name](t)
	t.Cleanup(func() {
		if err := o.server.Stop(); err != nil {
			t.Error(err)
		}
	})
	store, err := backend.Open(name, o.savePath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.(interface{ Close() error }).Close(); err != nil {
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
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					g.count(t)
				}
			}
		})
	}
	// more waits until each of the guests has got one more of what n counts.
	more := func(what string, n func(*guest) *atomic.Int64, of ...*guest) {
		t.Helper()
		want := map[*guest]int64{}
		for _, g := range of {
			want[g] = n(g).Load() + 1
		}
		deadline := time.Now().Add(30 * time.Second)
		for _, g := range of {
			for n(g).Load() < want[g] {
				if elapse(5 * time.Millisecond); time.Now().After(deadline) {
					t.Fatalf("no %s within 30 s", what)
				}
			}
		}
	}
	succeeded := func(g *guest) *atomic.Int64 { return &g.succeeded }
	failed := func(g *guest) *atomic.Int64 { return &g.failed }
	more("success at the start", succeeded, guests...)
	happen(o, t, func() { more("error in the outage", failed, guests...) })
	back := time.Now()
	more("success after the outage", succeeded, guests[0])
	t.Logf("the first guest's success came %v after the server", time.Since(back))
	more("success after the outage", succeeded, guests...)
	close(stop)
	wg.Wait()
	for _, g := range guests {
		g.check(t)
	}
}

// count adds one to the session's counter. The answer is the right one, or an
// error; it never speaks of another session, or of none.
func (g *guest) count(t *testing.T) {
	g.sent++
	start := time.Now()
	got := g.get("/update")
	if took := time.Since(start); took > answersWithin {
		t.Errorf("an answer took %v, want less than %v", took, answersWithin)
	}
	got.wantNoCookie(t)
	var id string
	var n int
	switch got.status {
	case 200:
		if _, err := fmt.Sscanf(got.body, `%s "ada" n=%d`, &id, &n); err != nil || n <= g.acked || n > g.sent {
			t.Errorf("answer %q, acknowledged were %d, sent %d", got.body, g.acked, g.sent)
		}
		g.acked = n
		g.succeeded.Add(1)
	case 422, 503: // the error of Update, or that of the middleware
		if strings.Contains(got.body, "ada") || strings.Contains(got.body, session.ErrDestroyed.Error()) {
			t.Errorf("answer %d %q in an outage", got.status, got.body)
		}
		g.failed.Add(1)
		elapse(time.Millisecond) // a refused connection is quick; leave some processor to the server
	default:
		t.Errorf("answer %d %q, want 200 or an error of the store", got.status, got.body)
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
