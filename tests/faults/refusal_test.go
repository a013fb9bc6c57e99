package faults

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

// A refusal is a store that answers with an error, or not at all, to some or
// all of what it is asked; and what must come of it.
type refusal struct {
	row     row
	backend kind
	cause   string // in the log line of each refused request

	readable bool // sessions are read all the same
	logout   bool // sessions can be ended all the same

	opts options // of the server process, but for the place

	// user, if there is one, gives the place to another user, as whom the
	// server is to run.
	user func(t testing.TB, savePath string) func(*exec.Cmd)

	// arrange prepares it and returns how to break the store and to mend it.
	arrange func(t *testing.T, p place) (spoil, mend func())
}

// A place is where a server process keeps sessions.
type place struct {
	kind     kind
	savePath string
	c        *child
}

const storeRefuses = "The store answers, but refuses"

// as says what is expected, in the words of the table.
func (r refusal) as() string {
	s := "reading, writing, login and logout"
	switch {
	case r.readable && r.logout:
		s = "writing and login"
	case r.readable:
		s = "writing, login and logout"
	}
	s += ": a bare 503, no cookie set, the cause in the log, counted; "
	if r.readable {
		s += "reading: 200 with all values; "
	}
	return s + "within 1 s of the cure all is well, nobody logged out"
}

// TestServerRefuses has the database servers say no.
func TestServerRefuses(t *testing.T) {
	refuse(t, slices.Concat(redisRefusals, mysqlRefusals))
}

// refuse runs refusals.
func refuse(t *testing.T, cases []refusal) {
	for _, r := range cases {
		if !full && r.backend.name == "mysql" {
			continue
		}
		r.row.section, r.row.want = storeRefuses, r.as()
		t.Run(r.row.name, func(t *testing.T) {
			on(t, r.row, []kind{r.backend}, r.run)
		})
	}
}

func (r refusal) run(t *testing.T, k kind, note noter) {
	p := place{kind: k, savePath: k.fresh(t)}
	r.opts.Provider = k.name
	if r.opts.SavePath == "" {
		r.opts.SavePath = p.savePath
	}
	p.savePath = r.opts.SavePath
	if r.user != nil {
		p.c = start(t, r.opts, r.user(t, p.savePath))
	} else {
		p.c = start(t, r.opts)
	}
	c := p.c
	spoil, mend := r.arrange(t, p)
	b, leaver := login(t, c), login(t, c)
	before := c.idle()
	spoil()
	refusals, slowest := 0, time.Duration(0)
	refused := func(token, path string) response {
		t.Helper()
		refusals++
		a := c.refused(token, path)
		slowest = max(slowest, a.took)
		return a
	}
	for range 2 {
		if r.readable {
			b.there(c)
		} else {
			refused(b.token, "/get")
		}
		b.sent++
		refused(b.token, "/set?value="+b.value(b.sent))
		refused(b.token, "/login?user=eve")
		refused(b.token, "/renew")
		refused("", "/set?value="+b.value(0))
		if a := c.ok("", "/get"); !a.New || a.token != "" {
			t.Errorf("an anonymous request that needs no store: %+v", a)
		}
		if !r.logout {
			a := refused(leaver.token, "/logout")
			if a.removed != r.readable { // what could not be loaded cannot be removed
				t.Errorf("logout: the browser is told to forget its cookie: %v, want %v", a.removed, r.readable)
			}
		}
	}
	if r.logout {
		if !c.ok(leaver.token, "/logout").removed || !c.ok(leaver.token, "/get").New {
			t.Error("logout: the session is still there")
		}
	}
	if slowest > maxWait {
		t.Errorf("a request took %v", slowest)
	}
	logged := func() int { return c.logged("session: request failed", r.cause) }
	for deadline := time.Now().Add(20 * time.Second); logged() != refusals && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the log comes through a pipe
	}
	if n := logged(); n != refusals {
		t.Errorf("%d log lines have the cause %q, want %d:\n%s", n, r.cause, refusals, c.log.String())
	}
	mend()
	began := time.Now()
	for {
		ok, err := b.read(c)
		if ok || err != nil || time.Since(began) > 2*soon {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	recovery := time.Since(began)
	if recovery > soon {
		t.Errorf("the first success came %v after the cure", recovery)
	}
	b.there(c)
	if ok, err := b.write(c); !ok || err != nil {
		t.Errorf("a write after the cure: %v, %v", ok, err)
	}
	if !r.logout {
		leaver.there(c)
	}
	login(t, c)
	after := c.flat(before, 4)
	made := after.Stats.Creates - before.Stats.Creates
	if after.Stats.Errors-before.Stats.Errors < uint64(refusals) || after.Stats.Unreadable > 0 || made != 1 {
		t.Errorf("%d refusals, but the counters went from %+v to %+v", refusals, before.Stats, after.Stats)
	}
	c.end()
	note("%d refusals, the slowest after %v; first success after %v", refusals, slowest.Round(time.Millisecond), recovery.Round(time.Millisecond))
}
