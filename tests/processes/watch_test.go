package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chisession/session"
)

// endings are what ends a session that a request in the other process watches.
var endings = []struct {
	name string
	end  func(c *child, token, id string)
}{
	{"logout", func(c *child, token, _ string) { c.ok(token, "/logout") }},
	{"revoke", func(c *child, _, id string) { c.ok("", "/revoke?id="+id) }},
	{"renew", func(c *child, token, _ string) { c.ok(token, "/renew") }},
	{"another user", func(c *child, token, _ string) { c.ok(token, "/login?value=bob") }},
	{"no user", func(c *child, token, _ string) { c.ok(token, "/login?value=") }},
}

// TestDone: a request that watches its session in one process is told of its end
// in another; and one whose session is only used there is not.
func TestDone(t *testing.T) {
	forEach(t, slices.Concat(stores, moreStores), func(t *testing.T, a, b *child) {
		stays := a.login("ada")
		staying := a.begin(stays, "/watch", "")
		a.ok("", "/gate/"+staying.gate+"/open")
		watching := make([]*slow, len(endings))
		tokens, ids := make([]string, len(endings)), make([]string, len(endings))
		for i := range endings {
			tokens[i] = a.login("ada")
			ids[i] = a.ok(tokens[i], "/get").ID
			watching[i] = a.begin(tokens[i], "/watch", "")
		}
		var longest time.Duration
		for i, ending := range endings {
			b.ok(stays, "/set?key=b&value=2")
			ending.end(b, tokens[i], ids[i])
			began := time.Now()
			got := watching[i].finish() // which fails after a minute
			longest = max(longest, time.Since(began))
			if got.status != http.StatusOK || got.ID != ids[i] {
				t.Errorf("%s: the watching request got %d %s for %v, want %s", ending.name, got.status, got.Error, got.ID, ids[i])
			}
		}
		t.Logf("told %v after the end at the latest", longest)
		select {
		case got := <-staying.result:
			t.Errorf("a session that lives on was said to have ended: %+v", got)
		default:
		}
		b.ok(stays, "/logout")
		<-staying.result
	})
}

// BenchmarkWatched keeps 10,000 sessions watched for a while in which nothing
// happens to them, and reports what share of a core this process needs for it, in
// percent.
func BenchmarkWatched(b *testing.B) {
	for _, store := range slices.Concat([]sharedStore{{"memory", func(testing.TB) string { return "" }}}, stores, moreStores) {
		b.Run(store.name, func(b *testing.B) {
			m, err := session.New(session.Config{Provider: store.name, SavePath: store.savePath(b), SweepEvery: -1})
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			const sessions = 10_000
			release, few := make(chan struct{}), make(chan struct{}, 8) // that are being stored
			watch := m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				s := session.FromContext(r)
				s.Set("n", 1)
				if err := s.Save(); err != nil {
					b.Error(err)
				}
				done := s.Done()
				<-few
				select {
				case <-done:
					b.Error("Done is closed")
				case <-release:
				}
			}))
			var all sync.WaitGroup
			for range sessions {
				few <- struct{}{}
				all.Go(func() {
					watch.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "https://example.org/", nil))
				})
			}
			for b.Loop() {
				time.Sleep(3 * time.Second) // the first passes
				used, began := cpu(b), time.Now()
				time.Sleep(15 * time.Second)
				b.ReportMetric(100*float64(cpu(b)-used)/float64(time.Since(began)), "%core")
			}
			close(release)
			all.Wait()
		})
	}
}

// cpu returns the time that this process has used of all cores.
func cpu(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
