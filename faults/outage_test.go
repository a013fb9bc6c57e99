package faults

import (
	"testing"
	"time"
)

// maxWait is how long a request may take in an outage: loading and storing
// are two waits of 3 s at the most, and the machine may be busy.
const maxWait = 7 * time.Second

var (
	daemonKilled = row{databaseServer, "kill -9 under load, back after a while, three times",
		"while it is down 503 only, at once; first success within 1 s of its return; every acknowledged write there; goroutines and descriptors flat"}
	daemonRestarted = row{databaseServer, "orderly restart under load",
		"the same"}
	daemonFrozen = row{databaseServer, "frozen (SIGSTOP) under load for 4 s",
		"503 within the store's time-outs, never a hang; first success within 1 s of the thaw; no write done twice or lost; flat"}
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
		w.until("answers", &w.served, 200)
		w.stop()
		before := c.idle()
		w.work(c)
		w.slowest.Store(0)
		var recovery time.Duration
		for range rounds {
			w.until("writes", &w.stored, 50)
			must(t, "down", down(d))
			// The last answers from before are out when refusals are many.
			w.until("refusals", &w.refused, 16)
			served, from := w.served.Load(), time.Now()
			w.until("refusals", &w.refused, 16)
			if time.Since(from) < lasts {
				time.Sleep(lasts - time.Since(from))
			}
			if n := w.served.Load() - served; n > 0 {
				t.Errorf("%d requests were served while the server was down", n)
			}
			must(t, "up", up(d))
			recovery = max(recovery, w.until("answers", &w.served, 1))
		}
		w.until("writes", &w.stored, 50)
		w.stop()
		if recovery > time.Second {
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
		note("%d acknowledged writes, %d refusals, slowest answer %v, first success after %v; goroutines %d → %d, descriptors %d → %d",
			w.stored.Load(), w.refused.Load(), time.Duration(w.slowest.Load()).Round(time.Millisecond), recovery.Round(time.Millisecond),
			before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors)
	})
}

// TestDaemon: RD-1 to RD-4, MY-1, MY-3, P7, BEHAVIOURS 74.
func TestDaemon(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		outage(t, daemonKilled, pick(3, 1), daemon.Kill9, time.Duration(pick(1000, 50))*time.Millisecond, daemon.Restart)
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
