package faults

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session/backend/backendtest"
)

var (
	connectionsCut = row{network, "every connection cut, while idle and under load, 20 times",
		"idle: invisible to users; under load: the truth or 503; no write lost or done twice; flat"}
	networkGone = row{network, "the database unreachable: connections refused, then swallowed",
		"503 within the store's time-outs; first success within 1 s of the network; flat"}
	repliesLost = row{network, "every second reply of an Update lost on the wire, connection cut (8 × 50 increments)",
		"no increment done twice: acknowledged ≤ stored ≤ 400; the caller of every other one was told"}
	allRepliesLost = row{network, "every reply of an Update lost on the wire (8 × 50 increments)", "the same; by one client alone, all are acknowledged and stored"}
	faultLost      = row{network, "every reply of Update lost once, by backendtest.Fault (8 × 50 increments)", "the same"}
	faultLostAlone = row{network, "the same, by one client (50 increments)", "exactly 50, all acknowledged"}
	faultCreate    = row{network, "every reply of Create lost", "one session, one cookie; no 503"}
	faultDelete    = row{network, "every reply of DeleteVersion lost", "logged out, cookie removed; no 503"}
)

func TestConnectionsCut(t *testing.T) {
	on(t, connectionsCut, cheap(servers), func(t *testing.T, k kind, note noter) {
		p, via := k.through(t, k.fresh(t))
		c := start(t, options{Provider: k.name, SavePath: via})
		w := gather(t, c, 8)
		w.work(c)
		w.until("responses", &w.served, 100)
		w.stop()
		before := c.idle()
		for range pick(20, 2) { // while idle
			if p.cut() == 0 {
				t.Fatal("there was nothing to cut")
			}
			waitFor(t, "the cut to arrive", func() bool { return c.measures().Descriptors <= before.Descriptors })
			for _, b := range w.browsers {
				b.there(c)
			}
		}
		if w.refused.Load() > 0 || c.measures().Stats.Errors > 0 {
			t.Errorf("users saw %d refusals of connections cut while idle", w.refused.Load())
		}
		cuts := 0
		w.work(c)
		for range pick(20, 2) { // under load
			w.until("writes", &w.stored, 30)
			cuts += p.cut()
		}
		w.until("writes", &w.stored, 30)
		w.stop()
		w.there(c)
		after := c.flat(before, len(w.browsers))
		c.end()
		note("%d connections cut under load: %d requests served, %d refused; goroutines %d → %d, descriptors %d → %d",
			cuts, w.served.Load(), w.refused.Load(), before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors)
	})
}

func TestNetworkGone(t *testing.T) {
	on(t, networkGone, cheap(servers), func(t *testing.T, k kind, note noter) {
		p, via := k.through(t, k.fresh(t))
		c := start(t, options{Provider: k.name, SavePath: via})
		w := gather(t, c, 8)
		w.work(c)
		w.until("responses", &w.served, 100)
		w.stop()
		before := c.idle()
		var recovery time.Duration
		for _, gone := range []*atomic.Bool{&p.refuse, &p.hole}[:pick(2, 1)] {
			w.work(c)
			gone.Store(true)
			if gone == &p.refuse {
				p.cut()
			}
			w.untilRefused()
			served := w.served.Load()
			w.until("refusals", &w.refused, 16)
			if n := w.served.Load() - served; n > 0 {
				t.Errorf("%d requests were served without a network", n)
			}
			gone.Store(false)
			p.cut()
			recovery = max(recovery, w.until("responses", &w.served, 1))
			w.until("writes", &w.stored, 30)
			w.stop()
			w.there(c)
		}
		if recovery > soon {
			t.Errorf("the first success came %v after the network", recovery)
		}
		if slowest := time.Duration(w.slowest.Load()); slowest > maxWait {
			t.Errorf("a request took %v", slowest)
		}
		after := c.flat(before, len(w.browsers))
		c.end()
		note("%d refusals, slowest response %v, first success after %v; goroutines %d → %d, descriptors %d → %d",
			w.refused.Load(), time.Duration(w.slowest.Load()).Round(time.Millisecond), recovery.Round(time.Millisecond),
			before.Goroutines, after.Goroutines, before.Descriptors, after.Descriptors)
	})
}

// increments has clients add one to a session's counter, each rounds times,
// and checks that what was acknowledged and what was stored agree.
func increments(t *testing.T, c *child, clients, rounds int) (acked, told, stored int) {
	t.Helper()
	b := login(t, c)
	var good, bad atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				switch a, err := c.get(b.token, "/increment"); {
				case err != nil:
					t.Errorf("increment: %v", err)
				case a.status == 200 && a.User == b.user:
					good.Add(1)
				case a.status == 503 && a.token == "":
					bad.Add(1)
				default:
					t.Errorf("increment: %d %s", a.status, a.body)
				}
			}
		})
	}
	wg.Wait()
	acked, told, stored = int(good.Load()), int(bad.Load()), c.ok(b.token, "/get").N
	if acked > stored || stored > acked+told || stored > clients*rounds {
		t.Errorf("%d increments were acknowledged, %d refused, %d stored", acked, told, stored)
	}
	return acked, told, stored
}

func TestLostOnTheWire(t *testing.T) {
	for _, lost := range []struct {
		row   row
		which func(n int64) bool
	}{
		{repliesLost, func(n int64) bool { return n%2 == 0 }},
		{allRepliesLost, func(int64) bool { return true }},
	}[:pick(2, 1)] {
		on(t, lost.row, cheap(servers), func(t *testing.T, k kind, note noter) {
			p, via := k.through(t, k.fresh(t))
			c := start(t, options{Provider: k.name, SavePath: via})
			b := login(t, c)
			var n atomic.Int64
			lose := func() bool { return lost.which(n.Add(1)) }
			p.lose.Store(&lose)
			// One by one first: nothing is in doubt.
			for range 20 {
				c.ok(b.token, "/increment")
			}
			p.lose.Store(nil)
			if got := c.ok(b.token, "/get").N; got != 20 || p.lost.Load() < 10 {
				t.Errorf("20 increments one by one, %d replies lost: %d stored", p.lost.Load(), got)
			}
			before := p.lost.Load()
			p.lose.Store(&lose)
			acked, told, stored := increments(t, c, 8, pick(50, 10))
			p.lose.Store(nil)
			if p.lost.Load()-before < int64(pick(100, 20)) {
				t.Errorf("only %d replies were lost", p.lost.Load()-before)
			}
			c.end()
			note("%d replies lost: %d acknowledged, %d callers told, %d stored", p.lost.Load(), acked, told, stored)
		})
	}
}

// TestLostReply loses every successful Update's reply in the server process
// itself, on every backend.
func TestLostReply(t *testing.T) {
	on(t, faultLost, cheap(all), func(t *testing.T, k kind, note noter) {
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t), Lose: backendtest.OpUpdate})
		acked, told, stored := increments(t, c, 8, pick(50, 10))
		c.end()
		note("%d acknowledged, %d callers told, %d stored", acked, told, stored)
	})
	on(t, faultLostAlone, cheap(all), func(t *testing.T, k kind, note noter) {
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t), Lose: backendtest.OpUpdate})
		if acked, told, stored := increments(t, c, 1, 50); acked != 50 || stored != 50 {
			t.Errorf("%d acknowledged, %d told, %d stored; want 50, 0, 50", acked, told, stored)
		}
		c.end()
	})
	on(t, faultCreate, cheap(all), func(t *testing.T, k kind, note noter) {
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t), Lose: backendtest.OpCreate})
		for range 10 {
			a := c.ok("", "/set?value="+mark)
			if got := c.ok(a.token, "/get"); got.Value != mark || got.ID != a.ID {
				t.Errorf("created %s, read %+v", a.ID, got.state)
			}
		}
		if m := c.measures(); m.Count != -1 && m.Count != 10 || m.Stats.Creates != 10 {
			t.Errorf("%d records, %d counted as created; want 10", m.Count, m.Stats.Creates)
		}
		c.end()
	})
	on(t, faultDelete, cheap(all), func(t *testing.T, k kind, note noter) {
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t), Lose: backendtest.OpDeleteVersion})
		for range 10 {
			b := login(t, c)
			if !c.ok(b.token, "/logout").removed {
				t.Error("the cookie was not removed")
			}
			if a := c.ok(b.token, "/get"); !a.New || a.User != "" {
				t.Errorf("after the logout: %+v", a.state)
			}
		}
		c.end()
	})
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}

var scriptsFlushed = row{storeRefuses, "SCRIPT FLUSH under load, 20 times (NOSCRIPT)", "invisible to users: 200 only"}

func TestScriptFlush(t *testing.T) {
	on(t, scriptsFlushed, []kind{redisAlone}, func(t *testing.T, k kind, note noter) {
		c := start(t, options{Provider: k.name, SavePath: k.fresh(t)})
		w := gather(t, c, 8)
		w.work(c)
		for range pick(20, 5) {
			w.until("writes", &w.stored, 20)
			_, err := alone.Do("SCRIPT", "FLUSH")
			must(t, "SCRIPT FLUSH", err)
		}
		w.until("writes", &w.stored, 20)
		w.stop()
		w.there(c)
		if n := w.refused.Load(); n > 0 {
			t.Errorf("%d requests were refused:\n%s", n, c.log.String())
		}
		c.end()
		note("%d requests served, none refused", w.served.Load())
	})
}
