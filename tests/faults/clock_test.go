package faults

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

const clocks = "Clocks"

var (
	clockForward = row{clocks, "the stored expiry moved two hours back (the clock jumped ahead)",
		"anonymous and 200, at once, sweep or not; the old values are never seen; a new login works"}
	clockBack = row{clocks, "the stored expiry moved a year ahead (the clock was set back)",
		"the session lives, its expiry is not moved back; the absolute timeout ends it all the same"}
	serverZone = row{clocks, "the server's time_zone changed under load (+13:00, −12:00)", "nothing happens"}
	serverSkew = row{clocks, "two processes on connections whose server clock is 30 minutes ahead, and behind",
		"both serve the session; the expiry is never moved back"}
)

// shift moves the stored expiry of a session, as a clock that jumps would.
func shift(t *testing.T, s backend.Store, id string, by time.Duration) time.Time {
	t.Helper()
	key, err := uuid.Parse(id)
	must(t, "parse an ID", err)
	rec, err := s.Load(context.Background(), key)
	must(t, "load", err)
	rec.Expires, rec.Shorten = rec.Expires.Add(by), true
	must(t, "update", s.Update(context.Background(), rec))
	return rec.Expires
}

func TestClockAhead(t *testing.T) {
	on(t, clockForward, cheap(lasting), func(t *testing.T, k kind, note noter) {
		savePath := k.fresh(t)
		c := start(t, options{Provider: k.name, SavePath: savePath})
		b, other := login(t, c), login(t, c)
		shift(t, open(t, k, savePath), c.ok(b.token, "/get").ID, -2*time.Hour)
		for range 3 {
			if a := c.ok(b.token, "/get"); !a.New || a.User != "" || a.Keys != 0 || a.token != "" || a.removed {
				t.Errorf("the expired session: %+v", a.state)
			}
		}
		if a := c.ok(b.token, "/login?user="+b.user); a.token == "" || a.Keys != 0 {
			t.Errorf("a new login: %+v", a.state)
		}
		other.there(c)
		c.end()
	})
}

func TestClockBack(t *testing.T) {
	on(t, clockBack, cheap(lasting), func(t *testing.T, k kind, note noter) {
		absolute := time.Duration(pick(3000, 1000)) * time.Millisecond
		for !setBack(t, k, absolute) { // the machine is busy
			if absolute *= 4; absolute > time.Minute {
				t.Fatalf("less than %v is not enough", absolute)
			}
		}
	})
}

// setBack returns false if the absolute timeout had passed before all was done that
// comes before its end.
func setBack(t *testing.T, k kind, absolute time.Duration) bool {
	t.Helper()
	savePath := k.fresh(t)
	s := open(t, k, savePath)
	c := start(t, options{Provider: k.name, SavePath: savePath, IdleTimeout: absolute / 2, AbsoluteTimeout: absolute, TouchEvery: time.Millisecond})
	defer c.end()
	began := time.Now()
	b := login(t, c)
	made := time.Now()
	id := c.ok(b.token, "/get").ID
	if time.Since(began) > absolute/2 {
		return false
	}
	expires := shift(t, s, id, 365*24*time.Hour)
	read, readErr := c.get(b.token, "/get")
	written, writeErr := c.get(b.token, "/set?value="+b.value(1))
	rec, err := s.Load(context.Background(), uuid.MustParse(id))
	if time.Since(began) > absolute {
		return false
	}
	must(t, "read", readErr)
	must(t, "write", writeErr)
	must(t, "load", err)
	if !b.truth(read, 0, 0) || !b.truth(written, 1, 1) {
		t.Errorf("read: status %d, write: status %d", read.status, written.status)
	}
	if rec.Expires.Before(expires) {
		t.Errorf("the expiry was moved back from %v to %v", expires, rec.Expires)
	}
	waitFor(t, "the absolute timeout", func() bool { return time.Since(made) > absolute })
	if a := c.ok(b.token, "/get"); !a.New || a.Keys != 0 {
		t.Errorf("after the absolute timeout: %+v", a.state)
	}
	if _, err := s.Load(context.Background(), uuid.MustParse(id)); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("its record is still there: %v", err)
	}
	return true
}

func TestServerClock(t *testing.T) {
	if !full {
		testOwnClock(t) // needs no server
		return
	}
	t.Run("processes", testOwnClock)
	t.Run("zone", func(t *testing.T) {
		on(t, serverZone, []kind{mysql}, func(t *testing.T, k kind, note noter) {
			c := start(t, options{Provider: k.name, SavePath: k.fresh(t), TouchEvery: time.Millisecond})
			w := gather(t, c, 8)
			defer admin(t, "SET GLOBAL time_zone = 'SYSTEM'")
			w.work(c)
			for _, zone := range []string{"+13:00", "-12:00", "SYSTEM"} {
				w.until("writes", &w.stored, 50)
				admin(t, "SET GLOBAL time_zone = '"+zone+"'")
				killConnections(t)
			}
			w.until("writes", &w.stored, 50)
			w.stop()
			w.there(c)
			if n := c.measures().Stats.Rejected; n > 0 {
				t.Errorf("%d tokens were rejected", n)
			}
			c.end()
		})
	})
	t.Run("skew", func(t *testing.T) {
		on(t, serverSkew, []kind{mysql}, func(t *testing.T, k kind, note noter) {
			savePath := k.fresh(t)
			right := start(t, options{Provider: k.name, SavePath: savePath, TouchEvery: time.Millisecond})
			for _, skew := range []time.Duration{30 * time.Minute, -30 * time.Minute} {
				wrong := start(t, options{Provider: k.name, SavePath: savePath + fmt.Sprintf("?timestamp=%d", time.Now().Add(skew).Unix()), TouchEvery: time.Millisecond})
				for _, c := range [][2]*child{{right, wrong}, {wrong, right}} {
					b := login(t, c[0])
					id := uuid.MustParse(c[0].ok(b.token, "/get").ID)
					s := open(t, k, savePath)
					var expires time.Time
					for range 10 {
						for _, c := range c {
							b.there(c)
							b.write(c)
							rec, err := s.Load(context.Background(), id)
							must(t, "load", err)
							if rec.Expires.Before(expires) {
								t.Errorf("the expiry was moved back from %v to %v", expires, rec.Expires)
							}
							expires = rec.Expires
						}
					}
				}
				wrong.end()
			}
			right.end()
		})
	})
}
