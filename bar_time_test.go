package session_test

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
)

// Sections D and M of SECURITY-BAR: timeouts and the collector.

// TestBar_TO3_Defaults: a Config with nothing in it ends a session after an
// idle hour, and after 24 hours however active it is.
// Of SECURITY-BAR: TO-3.
func TestBar_TO3_Defaults(t *testing.T) {
	if session.DefaultIdleTimeout > time.Hour || session.DefaultAbsoluteTimeout > 24*time.Hour {
		t.Errorf("the defaults are %v and %v, want at most 1 h and 24 h", session.DefaultIdleTimeout, session.DefaultAbsoluteTimeout)
	}
	synctest.Test(t, func(t *testing.T) {
		m := barManager(t, session.Config{})
		alive := func(token string) (alive bool) {
			barRequest(m, token, func(s *session.Session) { alive = !s.IsNew() })
			return alive
		}
		_, idle := barRequest(m, "", setOne)
		_, active := barRequest(m, "", setOne)
		time.Sleep(time.Hour - time.Minute)
		if !alive(idle) || !alive(active) {
			t.Error("a session ended before an hour")
		}
		time.Sleep(time.Hour)
		if alive(idle) {
			t.Error("a session is alive after an hour without activity")
		}
		_, active = barRequest(m, "", setOne)
		for start := time.Now(); time.Since(start) < 24*time.Hour; time.Sleep(time.Minute) {
			if !alive(active) {
				t.Fatalf("an active session ended after %v", time.Since(start))
			}
		}
		if alive(active) {
			t.Error("an active session is alive after 24 hours")
		}
		m.Close()
	})
}

// TestBar_TO4_LoginAgain: logging in again moves the idle timeout, and not the
// absolute one (DESIGN §5); Destroy and SetUser begin both anew.
// Of SECURITY-BAR: TO-4.
func TestBar_TO4_LoginAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := barManager(t, session.Config{SweepEvery: -1, IdleTimeout: time.Hour, AbsoluteTimeout: 2 * time.Hour})
		login := func(s *session.Session) { s.SetUser("ada") }
		_, token := barRequest(m, "", login)
		created := time.Now()
		left := func(want time.Duration) {
			t.Helper()
			barRequest(m, token, func(s *session.Session) {
				if got := time.Until(s.ExpiresAt()); got != want {
					t.Errorf("%v after the first login the session has %v left, want %v", time.Since(created), got, want)
				}
			})
		}
		left(time.Hour)
		time.Sleep(50 * time.Minute)
		_, token = barRequest(m, token, login)
		left(time.Hour)
		time.Sleep(50 * time.Minute)
		_, token = barRequest(m, token, login)
		left(20 * time.Minute)
		_, token = barRequest(m, token, func(s *session.Session) { s.Destroy(); s.SetUser("ada") })
		left(time.Hour)
		m.Close()
	})
}

// TestBar_TO5_ReadsDoNotWrite: of 100 reads one touches at the most, and none
// writes.
// Of SECURITY-BAR: TO-5, CC-3.
func TestBar_TO5_ReadsDoNotWrite(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newApp(t, session.Config{Store: k.open(t)})
		a.basics()
		b := a.browser(t)
		b.get("/set?k=a&v=1")
		a.age(t, b.token(), 10*time.Minute)
		version := a.record(t, b.token()).Version
		a.calls.Reset()
		for range 100 {
			b.get("/get?k=a").want(t, 200, "1")
		}
		if touches, all := a.calls.Calls(backendtest.OpTouch), a.calls.Calls(backendtest.OpAny); touches != 1 || all != 101 {
			t.Errorf("100 reads made %d touches and %d calls, want 1 and 101", touches, all)
		}
		if now := a.record(t, b.token()).Version; now != version {
			t.Errorf("100 reads moved the version from %d to %d", version, now)
		}
	})
}

// TestBar_TO6_CookieDecidesNothing: a client that keeps a cookie beyond its
// Max-Age is served as long as the server says, and one whose cookie has
// longer to live not a moment longer.
// Of SECURITY-BAR: TO-6.
func TestBar_TO6_CookieDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, maxAge := range []time.Duration{time.Second, cookie.MaxAge} {
			m := barManager(t, session.Config{SweepEvery: -1, Cookie: cookie.Options{MaxAge: maxAge}})
			res, token := barRequest(m, "", setOne)
			if got := res.Cookies()[0].MaxAge; got != int(maxAge/time.Second) {
				t.Errorf("Max-Age is %d, want %v", got, maxAge)
			}
			for _, tt := range []struct {
				after time.Duration
				known bool
			}{{59 * time.Minute, true}, {61 * time.Minute, false}} {
				time.Sleep(tt.after)
				barRequest(m, token, func(s *session.Session) {
					if s.IsNew() == tt.known {
						t.Errorf("Max-Age %v, %v after the last request: known %v, want %v", maxAge, tt.after, !s.IsNew(), tt.known)
					}
				})
			}
			m.Close()
		}
	})
	if cookie.MaxAge > 400*24*time.Hour {
		t.Errorf("cookie.MaxAge is %v, want at most 400 days", cookie.MaxAge)
	}
}

// TestBar_TO9_Durations: what cannot be meant is an error of the constructor
// that names the field, and from a handler one of the request.
// Of SECURITY-BAR: TO-9, OP-1.
func TestBar_TO9_Durations(t *testing.T) {
	wrong := []time.Duration{-1, -time.Hour, math.MinInt64, 1, 3600, math.MaxInt64, 101 * 365 * 24 * time.Hour}
	for field, set := range map[string]func(*session.Config, time.Duration){
		"Config.IdleTimeout":     func(c *session.Config, d time.Duration) { c.IdleTimeout = d },
		"Config.AbsoluteTimeout": func(c *session.Config, d time.Duration) { c.AbsoluteTimeout = d },
		"Config.StoreTimeout":    func(c *session.Config, d time.Duration) { c.StoreTimeout = d },
	} {
		for _, d := range wrong {
			var cfg session.Config
			set(&cfg, d)
			if m, err := session.New(cfg); err == nil {
				m.Close()
				t.Errorf("New with %s %v: no error", field, d)
			} else if !strings.Contains(err.Error(), field) {
				t.Errorf("New with %s %v: %v", field, d, err)
			}
		}
	}
	for _, cfg := range []session.Config{
		{TouchEvery: -1}, {TouchEvery: time.Hour}, {TouchEvery: math.MaxInt64}, {SweepEvery: 1}, {IdleTimeout: 2 * time.Hour, AbsoluteTimeout: time.Hour},
		{Cookie: cookie.Options{MaxAge: -1}}, {Cookie: cookie.Options{MaxAge: math.MaxInt64}},
	} {
		if m, err := session.New(cfg); err == nil {
			m.Close()
			t.Errorf("New(%v, touch %v, sweep %v): no error", cfg, cfg.TouchEvery, cfg.SweepEvery)
		}
	}
	m := barManager(t, session.Config{})
	for _, d := range append(wrong, time.Microsecond) {
		for name, set := range map[string]func(*session.Session, time.Duration){
			"SetIdleTimeout": (*session.Session).SetIdleTimeout, "SetAbsoluteTimeout": (*session.Session).SetAbsoluteTimeout,
		} {
			res, token := barRequest(m, "", func(s *session.Session) { s.Set("a", 1); set(s, d) })
			if res.StatusCode != http.StatusInternalServerError || token != "" {
				t.Errorf("%s(%v): status %d, a cookie: %v; want 500 and none", name, d, res.StatusCode, token != "")
			}
		}
	}
}

// TestBar_GC6_NotOnARequest: while a sweep hangs, requests are served; and no
// request sweeps.
// Of SECURITY-BAR: GC-6.
func TestBar_GC6_NotOnARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: time.Minute}, nil)
		reached, open := make(chan struct{}), make(chan struct{})
		a.calls.On(backendtest.OpSweep, 1, func(context.Context, backendtest.Call) error {
			close(reached)
			<-open
			return nil
		})
		<-reached
		start := time.Now()
		for i := range 100 {
			b := a.direct(t)
			b.get("/start").want200(t)
			b.get([]string{"/show", "/set", "/renew", "/login", "/logout"}[i%5]).want200(t)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("200 requests took %v of a clock that only stands still if nobody waits", took)
		}
		if n := a.calls.Calls(backendtest.OpSweep); n != 1 {
			t.Errorf("%d sweeps, want the one that hangs", n)
		}
		close(open)
	})
}

// TestBar_GC7_WithinOneInterval: by default, what has expired is gone within
// five minutes, without any request.
// Of SECURITY-BAR: GC-7.
func TestBar_GC7_WithinOneInterval(t *testing.T) {
	if session.DefaultSweepEvery > 5*time.Minute {
		t.Errorf("DefaultSweepEvery is %v, want at most 5 min", session.DefaultSweepEvery)
	}
	synctest.Test(t, func(t *testing.T) {
		a := newStage(t, session.Config{Store: newMemory(t)}, nil)
		for range 20 {
			a.direct(t).get("/start").want200(t)
			time.Sleep(17 * time.Second)
		}
		last := time.Now().Add(-17 * time.Second)
		time.Sleep(time.Until(last.Add(time.Hour + session.DefaultSweepEvery)))
		synctest.Wait()
		if n := a.Stats().Swept; n != 20 {
			t.Errorf("%d of 20 expired sessions are swept one interval after the last expired", n)
		}
	})
}
