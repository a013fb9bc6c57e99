package faults

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session/backend"
)

var killProcess = row{serverProcess, "kill -9 in mid-write, under load, again and again",
	"the next process responds within 1 s: no stuck lock, no half state, every acknowledged write there, no key without a time to live, nothing readable in the store"}

func TestKillProcess(t *testing.T) {
	on(t, killProcess, cheap(lasting), func(t *testing.T, k kind, note noter) {
		opts := options{Provider: k.name, SavePath: k.fresh(t)}
		var w *crowd
		var slowest time.Duration
		kills := pick(100, 5)
		for round := range kills {
			c := start(t, opts)
			if w == nil {
				w = gather(t, c, 8)
				w.mortal = true
			}
			began := time.Now()
			w.browsers[round%8].there(c)
			if w.browsers[round%8].write(c); time.Since(began) > soon {
				t.Errorf("the first read and write after kill %d took %v", round, time.Since(began))
			}
			slowest = max(slowest, time.Since(began))
			w.there(c)
			if n := c.measures().Stats.Unreadable; n != 0 {
				t.Errorf("after %d kills %d records are unreadable", round, n)
			}
			w.work(c)
			w.until("writes", &w.stored, rand.Int64N(60)+1)
			c.kill()
			w.stop()
			if t.Failed() {
				t.Fatalf("after kill %d of %d", round+1, kills)
			}
		}
		c := start(t, opts)
		w.there(c)
		c.end()
		noKeyForEver(t, k, opts.SavePath)
		nothingReadable(t, k, opts.SavePath)
		note("%d kills, %d acknowledged writes, none lost; the first responses after a kill took at most %v", kills, w.stored.Load(), slowest.Round(time.Millisecond))
	})
}

// noKeyForEver: every key has a time to live.
func noKeyForEver(t *testing.T, k kind, savePath string) {
	t.Helper()
	if k.name != "redis" {
		return
	}
	_, prefix, _ := strings.Cut(savePath, "?prefix=")
	reply, err := redisServer.get(t).Do("KEYS", prefix+"*")
	must(t, "KEYS", err)
	for _, key := range reply.([]any) {
		ttl, err := redisServer.get(t).Do("PTTL", key)
		must(t, "PTTL", err)
		if ttl.(int64) < 0 {
			t.Errorf("the key %s has no time to live", key)
		}
	}
}

var loginKilled = row{serverProcess, "kill -9 in mid-login (renewal), under load",
	"the session is there with its old token, or the new one has taken its place: never broken"}

// TestKillLogin: a browser whose login got no response has the old token.
func TestKillLogin(t *testing.T) {
	on(t, loginKilled, cheap(lasting), func(t *testing.T, k kind, note noter) {
		opts := options{Provider: k.name, SavePath: k.fresh(t)}
		tokens := make([]string, 8)
		before, after := 0, 0
		for range pick(25, 3) {
			c := start(t, opts)
			for i, token := range tokens {
				if token == "" {
					tokens[i] = c.ok("", "/set?value="+mark).token
					continue
				}
				a := c.ok(token, "/get")
				if a.Value == mark && !a.New {
					before++ // the login was not stored, or its response came
				} else if a.New && a.Keys == 0 && a.User == "" {
					after++ // stored, and the response with the new token lost
					tokens[i] = c.ok("", "/set?value="+mark).token
					if tokens[i] == "" { // for 10 s the old token may start nothing: come without it
						t.Error("no new session")
					}
				} else {
					t.Errorf("half a login: %+v", a.state)
				}
			}
			var done atomic.Int64
			w := &crowd{t: t, mortal: true}
			w.stopped.Store(false)
			for i := range tokens {
				w.wg.Go(func() {
					for {
						a, err := c.get(tokens[i], "/login?user=ada")
						if err != nil {
							return
						}
						if a.status != 200 || a.token == "" || a.User != "ada" || a.Value != mark {
							t.Errorf("login: %d %s", a.status, a.body)
							return
						}
						if again := a.token; again != tokens[i] {
							tokens[i] = again
						}
						done.Add(1)
					}
				})
			}
			w.until("logins", &done, rand.Int64N(30)+1)
			c.kill()
			w.wg.Wait()
			if n := strings.Count(c.log.String(), "unreadable"); n > 0 {
				t.Fatalf("%d records are unreadable", n)
			}
		}
		note("of the logins under way at a kill, or before it, %d sessions were found at the token the browser had, %d renewed without its knowing", before, after)
	})
}

var closing = row{serverProcess, "Manager.Close under load",
	"it waits for the store calls under way; every response is the truth or 503; nothing is written afterwards, nothing leaks"}

// TestClose closes a server while requests and sweeps are under way.
func TestClose(t *testing.T) {
	on(t, closing, cheap(all), func(t *testing.T, k kind, note noter) {
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t), SweepEvery: 10 * time.Millisecond})
		before := c.idle()
		w := gather(t, c, 8)
		w.work(c)
		w.until("writes", &w.stored, 100)
		took := timed(func() { c.ctl.Get(c.base + "/close") })
		refused := w.refused.Load()
		w.untilRefused()
		served := w.served.Load()
		w.until("refusals", &w.refused, 50)
		w.stop()
		if w.served.Load() != served {
			t.Errorf("%d requests were served after Close", w.served.Load()-served)
		}
		// What a pool and a collector had before is gone, too.
		after := c.flat(before, 0)
		if after.Closed != "<nil>" {
			t.Errorf("Close: %s", after.Closed)
		}
		note("Close took %v; %d responses before it, %d refusals during and after; goroutines %d → %d, descriptors %d → %d",
			took.Round(time.Millisecond), served, w.refused.Load()-refused, before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors)
		c.end()
	})
}

var shutdown = row{serverProcess, "http.Server.Shutdown and Close under load, with slow requests",
	"the requests under way get their responses and are stored; the process ends by itself; the next one has all of it"}

// TestShutdown ends a process in the way that it should be.
func TestShutdown(t *testing.T) {
	on(t, shutdown, cheap(lasting), func(t *testing.T, k kind, note noter) {
		opts := options{Provider: k.name, SavePath: k.fresh(t)}
		c := start(t, opts)
		w := gather(t, c, 8)
		began := make(chan struct{}, len(w.browsers))
		for _, b := range w.browsers {
			w.wg.Go(func() {
				b.sent++
				began <- struct{}{}
				a, err := c.get(b.token, "/slow?for=300ms&value="+b.value(b.sent))
				if err != nil {
					t.Errorf("a slow request got no response: %v", err)
					return
				}
				if b.truth(a, b.sent, b.sent) {
					b.acked = b.sent
				}
			})
		}
		for range w.browsers {
			<-began
		}
		// All have been sent when the server counts their loads.
		for loads := c.measures().Stats.Loads; loads < 2*8; loads = c.measures().Stats.Loads {
			time.Sleep(time.Millisecond)
		}
		took := timed(func() {
			c.stdin.Close()
			w.wg.Wait()
			c.end()
		})
		next := start(t, opts)
		w.there(next)
		next.end()
		note("8 requests of 300 ms were under way; the process ended after %v", took.Round(time.Millisecond))
	})
}

func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// open opens the store at a save path in this process, to look and to change.
func open(t testing.TB, k kind, savePath string) backend.Store {
	t.Helper()
	s, err := backend.Open(k.name, savePath)
	must(t, "open the store", err)
	t.Cleanup(func() {
		if c, ok := s.(interface{ Close() error }); ok {
			if err := c.Close(); err != nil && !errors.Is(err, backend.ErrClosed) {
				t.Errorf("close the store: %v", err)
			}
		}
	})
	return s
}
