package faults

import (
	"os"
	"testing"
	"time"

	"github.com/chisession/session"
)

// maxWait is how long a request may take in an outage: loading and storing
// are two waits of 3 s at the most, and the machine may be busy.
const maxWait = 7 * time.Second

var (
	daemonKilled = row{databaseServer, "kill -9 under load, back after a second, five times",
		"while it is down 503 only, at once; first success within 1 s of its return; every acknowledged write there; goroutines and descriptors flat, no connection left at the end"}
	daemonRestarted = row{databaseServer, "orderly restart under load",
		"the same"}
	daemonFrozen = row{databaseServer, "frozen (SIGSTOP) under load for 4 s",
		"503 within the store's time-outs, never a hang; first success within 1 s of the thaw; no write done twice or lost; flat"}
	shutdownFrozen = row{databaseServer, "frozen while http.Server.Shutdown waits for requests that store",
		"the requests get their 503, the process ends by itself, within the store's time-outs"}
	anonymousOutage = row{databaseServer, "killed, with OnOutage: OutageAnonymous",
		"reading: 200, as nobody, and the handler is told so; writing, login and logout: 503; no cookie set or removed; afterwards every session is there"}
	sweepOutage = row{databaseServer, "killed while the collector sweeps every 50 ms",
		"its errors are logged, the process lives; after the return what has expired goes"}
	daemonAbsent = row{databaseServer, "down when the process starts, or restarts",
		"New fails with an error that names the backend and has no password"}
)

// outage is a server that goes away under load, and comes back.
func outage(t *testing.T, r row, rounds int, down func(d daemon) error, lasts time.Duration, up func(d daemon) error) {
	on(t, r, cheap(servers), func(t *testing.T, k kind, note noter) {
		d := k.daemon(t)
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t)})
		w := gather(t, c, 8)
		w.work(c)
		w.until("responses", &w.served, 200)
		w.stop()
		before := c.idle()
		w.work(c)
		w.slowest.Store(0)
		var recovery time.Duration
		for range rounds {
			w.until("writes", &w.stored, int64(pick(200, 50)))
			must(t, "down", down(d))
			w.untilRefused()
			served, from := w.served.Load(), time.Now()
			w.until("refusals", &w.refused, 16)
			if time.Since(from) < lasts {
				time.Sleep(lasts - time.Since(from))
			}
			if n := w.served.Load() - served; n > 0 {
				t.Errorf("%d requests were served while the server was down", n)
			}
			must(t, "up", up(d))
			recovery = max(recovery, w.until("responses", &w.served, 1))
		}
		w.until("writes", &w.stored, int64(pick(200, 50)))
		w.stop()
		if recovery > soon {
			t.Errorf("the first success came %v after the server", recovery)
		}
		if slowest := time.Duration(w.slowest.Load()); slowest > maxWait {
			t.Errorf("a request took %v", slowest)
		}
		w.there(c)
		after := c.flat(before, len(w.browsers))
		if after.Stats.Errors == 0 || c.logged(`"level":"ERROR"`, "session: request failed") == 0 {
			t.Errorf("%d errors are counted, %d lines logged", after.Stats.Errors, c.logged("session: request failed"))
		}
		if after.Stats.Creates != 8 || after.Stats.Rejected != 0 || after.Stats.Unreadable != 0 {
			t.Errorf("sessions were lost or made: %+v", after.Stats)
		}
		c.end()
		waitFor(t, "the server to have no connection left", func() bool { return k.connections(t) == 0 })
		note("%d acknowledged writes, %d refusals, slowest response %v, first success after %v; goroutines %d → %d, descriptors %d → %d",
			w.stored.Load(), w.refused.Load(), time.Duration(w.slowest.Load()).Round(time.Millisecond), recovery.Round(time.Millisecond),
			before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors)
	})
}

func TestDaemon(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		outage(t, daemonKilled, pick(5, 1), daemon.Kill9, time.Duration(pick(1000, 50))*time.Millisecond, daemon.Restart)
	})
	if !full {
		return // the others wait for time-outs
	}
	t.Run("restarted", func(t *testing.T) {
		outage(t, daemonRestarted, 1, daemon.Halt, 0, daemon.Restart)
	})
	t.Run("frozen", func(t *testing.T) {
		outage(t, daemonFrozen, 1, daemon.Freeze, 4*time.Second, daemon.Thaw)
	})
	t.Run("absent", func(t *testing.T) {
		on(t, daemonAbsent, cheap(servers), func(t *testing.T, k kind, note noter) {
			opts := options{Provider: k.name, SavePath: k.fresh(t)}
			d := k.daemon(t)
			must(t, "kill", d.Kill9())
			defer func() { must(t, "restart", d.Restart()) }()
			began := time.Now()
			_, err := tryStart(t, opts) // its log is searched for the password
			if err == nil {
				t.Fatal("New succeeded without a server")
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			note("refused after %v", time.Since(began).Round(time.Millisecond))
		})
	})
}

func TestShutdownFrozen(t *testing.T) {
	kinds := servers
	if !full {
		kinds = []kind{redis}
	}
	on(t, shutdownFrozen, kinds, func(t *testing.T, k kind, note noter) {
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t)})
		w := gather(t, c, 8)
		before := c.measures().Stats.Loads
		for _, b := range w.browsers {
			w.wg.Go(func() {
				b.sent++
				a, err := c.get(b.token, "/slow?for=2s&value="+b.value(b.sent))
				if err != nil {
					t.Errorf("a slow request got no response: %v", err)
					return
				}
				a.isRefusal(t, "/slow")
			})
		}
		waitFor(t, "the requests to be under way", func() bool { return c.measures().Stats.Loads >= before+8 })
		d := k.daemon(t)
		must(t, "freeze", d.Freeze())
		defer func() { must(t, "thaw", d.Thaw()) }()
		took := timed(func() {
			c.stdin.Close()
			w.wg.Wait()
			c.end()
		})
		if took > maxWait+2*time.Second {
			t.Errorf("the process took %v to end", took)
		}
		note("the process ended after %v", took.Round(time.Millisecond))
	})
}

func TestAnonymousOutage(t *testing.T) {
	on(t, anonymousOutage, cheap(servers), func(t *testing.T, k kind, note noter) {
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t), OnOutage: session.OutageAnonymous})
		w := gather(t, c, 4)
		d := k.daemon(t)
		must(t, "kill", d.Kill9())
		reads := 0
		for range 5 {
			for _, b := range w.browsers {
				a := c.ok(b.token, "/get")
				if !a.Outage || a.User != "" || a.Keys != 0 || a.token != "" || a.removed {
					t.Errorf("reading in the outage: %+v, a cookie: %v", a.state, a.token != "" || a.removed)
				}
				reads++
				for _, path := range []string{"/set?value=" + b.value(0), "/login?user=eve", "/logout", "/renew"} {
					if a := c.refused(b.token, path); a.removed {
						t.Errorf("GET %s: the cookie is removed", path)
					}
				}
			}
		}
		must(t, "restart", d.Restart())
		w.there(c)
		if m := c.measures().Stats; m.Unavailable != uint64(5*reads) || m.Rejected != 0 {
			t.Errorf("%d requests are counted as unavailable, want %d: %+v", m.Unavailable, 5*reads, m)
		}
		c.end()
	})
}

func TestSweepOutage(t *testing.T) {
	if !full {
		testSweepRefused(t, file, 20)
		return
	}
	testSweepRefused(t, file, 100)
	t.Run("killed", func(t *testing.T) { // Redis sweeps by itself
		on(t, sweepOutage, []kind{mysql}, func(t *testing.T, k kind, note noter) {
			savePath := k.fresh(t)
			d := k.daemon(t)
			sweepThrough(t, k, savePath, 100, func() { must(t, "kill", d.Kill9()) }, func() { must(t, "restart", d.Restart()) }, note)
		})
	})
}

var sweepRefused = row{storeRefuses, "the directory moved away while the collector sweeps every 50 ms",
	"its errors are logged, the process lives; afterwards what has expired goes"}

func testSweepRefused(t *testing.T, k kind, sessions int) {
	t.Run("moved", func(t *testing.T) {
		on(t, sweepRefused, []kind{k}, func(t *testing.T, k kind, note noter) {
			savePath := k.fresh(t)
			sweepThrough(t, k, savePath, sessions,
				func() { must(t, "move", os.Rename(savePath, savePath+".away")) },
				func() { must(t, "move back", os.Rename(savePath+".away", savePath)) }, note)
		})
	})
}

// sweepThrough has sessions expire while their store is away.
func sweepThrough(t *testing.T, k kind, savePath string, sessions int, down, up func(), note noter) {
	t.Helper()
	c := start(t, options{Provider: k.name, SavePath: savePath, IdleTimeout: time.Second, SweepEvery: 50 * time.Millisecond})
	for range sessions {
		c.ok("", "/set?value="+mark)
	}
	before := c.idle()
	down()
	waitFor(t, "a log line of the collector", func() bool { return c.logged("sweep") > 0 })
	began := time.Now()
	waitFor(t, "the sessions to expire", func() bool { return time.Since(began) > 1100*time.Millisecond })
	lines := c.logged("sweep")
	up()
	took := timed(func() { waitFor(t, "the records to go", func() bool { return k.records(t, savePath) == 0 }) })
	after := c.flat(before, 4)
	if after.Stats.Swept < uint64(sessions)/2 {
		t.Errorf("%d were swept of %d", after.Stats.Swept, sessions)
	}
	c.end()
	note("%d log lines in the outage; %d expired records gone %v after it", lines, sessions, took.Round(time.Millisecond))
}
