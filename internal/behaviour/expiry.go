package behaviour

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// expiryCases are about the idle and the absolute timeout.
var expiryCases = []behaviour{
	each("an expired session is gone, swept or not", expired),
	each("activity moves the expiry", activity),
	each("the expiry never goes back", neverBackwards),
	each("reads do not write", readsDoNotWrite),
	each("a slow request counts from its end", slowRequest),
	once("a slow request counts from its end, to the millisecond", slowRequestExactly),
	each("a touch to the same expiry succeeds", sameExpiry),
	each("the absolute timeout ends a session", absoluteTimeout),
	each("the absolute timeout passes during a request", absolutePasses),
	once("the absolute timeout passes while the user is active", absoluteWhileActive),
	each("the idle timeout ends a session at most TouchEvery early", idleByRecord),
	once("the idle timeout ends a session at most TouchEvery early, to the millisecond", idleExactly),
	once("a second login moves the idle timeout alone", loginAgain),
	each("a shortened idle timeout holds", shortenedHolds),
	each("a shortened idle timeout ends requests under way", shortenedEndsRequests),
	each("a shortened idle timeout is moved by an Update", shortenedCosts),
	once("an old timeout ends nothing", oldTimeout),
	once("a response of hours is activity by Save", streamKeptAlive),
}

func expired(t *testing.T, k Kind) {
	for _, sweep := range []bool{false, true} {
		a := newApp(t, session.Config{Store: k.open(t), SweepEvery: -1})
		a.basics()
		b := a.browser(t)
		b.get("/set?k=old&v=secret")
		old := b.token()
		rec := a.record(t, old)
		rec.Expires = time.Now().Add(60 * time.Millisecond).Truncate(time.Millisecond)
		a.plant(t, rec)
		eventually(t, "the record has expired", func() bool {
			_, err := a.store.Load(context.Background(), rec.ID)
			return errors.Is(err, backend.ErrNotFound)
		})
		if time.Now().Before(rec.Expires) {
			t.Errorf("it ended %v early", time.Until(rec.Expires))
		}
		if sweep {
			if _, err := a.Sweep(context.Background()); err != nil {
				t.Errorf("Sweep: %v", err)
			}
		}
		got := b.get("/get?k=old")
		got.want(t, 200, "<nil>")
		got.wantNoCookie(t)
		b.get("/set?k=new&v=1").want(t, 200, "set")
		if idOf(t, b.token()) == idOf(t, old) {
			t.Error("the new session has the ID of the expired one")
		}
		b.get("/get?k=old").want(t, 200, "<nil>")
		b.get("/get?k=new").want(t, 200, "1")
	}
}

func activity(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t), TouchEvery: 10 * time.Minute})
	a.basics()
	a.handle("/poll", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		session.FromContext(r).NoTouch()
		fmt.Fprint(w, s.Get("a"))
	})
	a.handle("/poll/write", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		session.FromContext(r).NoTouch()
		s.Set("a", r.FormValue("v"))
	})
	a.handle("/stream", func(w http.ResponseWriter, _ *http.Request, _ *session.Session) {
		io.WriteString(w, "begun")
	})
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	token := b.token()
	a.wantLeft(t, "new", token, time.Hour)
	const m = time.Minute
	for _, tt := range []struct {
		path  string
		age   time.Duration // since the last request
		calls string
		left  time.Duration
	}{
		{"/get?k=a", 0, "Load", 60 * m},
		{"/get?k=a", 9 * m, "Load", 51 * m},
		{"/get?k=a", 2 * m, "Load Touch", 60 * m},
		{"/get?k=a", 0, "Load", 60 * m},
		{"/ignore", 11 * m, "Load Touch", 60 * m}, // the browser was active
		{"/stream", 11 * m, "Load Touch", 60 * m},
		{"/poll", 11 * m, "Load", 49 * m},
		{"/poll", 30 * m, "Load", 19 * m},
		{"/poll/write?v=2", 1 * m, "Load Update", 18 * m},
		{"/get?k=a", 0, "Load Touch", 60 * m},
		{"/set?k=a&v=3", 5 * m, "Load Update", 60 * m},
		{"/set?k=a&v=3", 5 * m, "Load", 55 * m}, // an equal value is no write
		{"/renew", 1 * m, "Load Update", 60 * m},
	} {
		a.age(t, token, tt.age)
		a.calls.Reset()
		if got := b.get(tt.path); got.status != 200 {
			t.Errorf("%s: status %d", tt.path, got.status)
		}
		a.wantCalls(t, tt.calls)
		token = b.token()
		a.wantLeft(t, fmt.Sprintf("%s after %v", tt.path, tt.age), token, tt.left)
	}
	// Many at once: one or more touch, none harms.
	a.age(t, token, 20*m)
	a.calls.Reset()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { b.get("/get?k=a").want(t, 200, "3") })
	}
	group.Wait()
	if n := a.calls.Calls(backendtest.OpTouch); n < 1 || n > 8 {
		t.Errorf("%d touches by 8 requests", n)
	}
	a.wantLeft(t, "8 at once", token, time.Hour)
	a.calls.Reset()
	b.get("/get?k=a")
	a.wantCalls(t, "Load")
}

// neverBackwards holds a request's touch, and then its write, until somebody
// else has moved the expiry further.
func neverBackwards(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t), AbsoluteTimeout: 48 * time.Hour, TouchEvery: 10 * time.Minute})
	a.basics()
	b := a.browser(t)
	for _, tt := range []struct {
		op   backendtest.Op
		path string
	}{{backendtest.OpTouch, "/get?k=a"}, {backendtest.OpUpdate, "/set?k=a&v=2"}} {
		b.get("/set?k=a&v=1")
		a.age(t, b.token(), 20*time.Minute)
		further := time.Now().Add(3 * time.Hour).Truncate(time.Millisecond)
		a.calls.On(tt.op, 1, func(ctx context.Context, call backendtest.Call) error {
			return a.store.Touch(ctx, call.ID, further)
		})
		if got := b.get(tt.path); got.status != 200 {
			t.Errorf("%s: status %d", tt.path, got.status)
		}
		if got := a.record(t, b.token()).Expires; !got.Equal(further) {
			t.Errorf("%s moved the expiry from %v to %v", tt.op, further, got)
		}
		b.get("/destroy")
	}
	// What one request is told to shorten, a late touch does not undo by
	// more than its own idle timeout; and the shorter one is the base then.
	a.handle("/short", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetIdleTimeout(5 * time.Minute) })
	b.get("/set?k=a&v=1")
	b.get("/short")
	a.wantLeft(t, "shortened", b.token(), 5*time.Minute)
	b.get("/set?k=a&v=2")
	a.wantLeft(t, "written after that", b.token(), 5*time.Minute)
}

// readsDoNotWrite: of 100 reads one touches at the most, and none
// writes.
func readsDoNotWrite(t *testing.T, k Kind) {
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
}

func slowRequest(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t), TouchEvery: time.Millisecond})
	a.basics()
	var end time.Time
	a.handle("/slow", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		<-time.After(40 * time.Millisecond) // it is slow
		if v := r.FormValue("v"); v != "" {
			s.Set("a", v)
		}
		end = time.Now().Truncate(time.Millisecond)
	})
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	for _, path := range []string{"/slow", "/slow?v=2"} {
		b.get(path).want(t, 200, "")
		if got := a.record(t, b.token()).Expires.Sub(end); got < time.Hour || got > time.Hour+30*time.Second {
			t.Errorf("%s: the session lives for %v from the end of the request, want an hour", path, got)
		}
	}
}

func slowRequestExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Store: Memory.open(t)})
		a.basics()
		a.handle("/slow", func(_ http.ResponseWriter, _ *http.Request, _ *session.Session) { time.Sleep(20 * time.Minute) })
		a.handle("/stream", func(w http.ResponseWriter, _ *http.Request, _ *session.Session) {
			for range 20 {
				io.WriteString(w, "event")
				time.Sleep(time.Minute)
			}
		})
		b := a.direct(t)
		b.get("/set?k=a&v=1")
		for _, path := range []string{"/slow", "/stream"} {
			a.calls.Reset()
			b.get(path)
			if got := time.Until(a.record(t, b.token()).Expires); got != time.Hour {
				t.Errorf("%s: at its end the session has %v left, want an hour", path, got)
			}
		}
	})
}

func sameExpiry(t *testing.T, k Kind) {
	store := k.open(t)
	a := newApp(t, session.Config{Store: store})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	rec := a.record(t, b.token())
	for _, by := range []time.Duration{0, 0, -time.Minute, -2 * time.Hour} {
		if err := store.Touch(t.Context(), rec.ID, rec.Expires.Add(by)); err != nil {
			t.Errorf("Touch by %v: %v, want nil", by, err)
		}
	}
	if now := a.record(t, b.token()); !now.Expires.Equal(rec.Expires) || now.Version != rec.Version {
		t.Errorf("after it the record expires at %v, version %d; want %v, %d", now.Expires, now.Version, rec.Expires, rec.Version)
	}
	// Two requests touch in the same millisecond: the other one was first.
	a.age(t, b.token(), 10*time.Minute)
	a.calls.Reset()
	a.calls.On(backendtest.OpTouch, 1, func(ctx context.Context, call backendtest.Call) error {
		return store.Touch(ctx, call.ID, call.Expires)
	})
	b.get("/get?k=a").want(t, 200, "1")
	a.wantCalls(t, "Load Touch")
	b.get("/get?k=a").want(t, 200, "1")
	if text := a.log.String(); text != "" {
		t.Errorf("there is something in the log: %s", text)
	}
}

func absoluteTimeout(t *testing.T, k Kind) {
	store := k.open(t)
	a := newApp(t, session.Config{Store: store, IdleTimeout: time.Hour, AbsoluteTimeout: time.Hour})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=a&v=old")
	id := idOf(t, b.token())
	for _, path := range []string{"/renew", "/set?k=a&v=older", "/get?k=a", "/renew"} { // none of them extends it
		b.get(path)
		if got, want := a.record(t, b.token()).Expires, created(id).Add(time.Hour); !got.Equal(want) {
			t.Errorf("%s: the session ends %v after its creation, want %v", path, got.Sub(created(id)), time.Hour)
		}
	}
	// For a manager with a shorter absolute timeout, it has passed already;
	// the record is still there, as if it had been active all the time.
	var destroyed []string
	var rejected rejections
	strict := newApp(t, session.Config{Store: store, IdleTimeout: 2 * time.Millisecond, AbsoluteTimeout: 2 * time.Millisecond, TouchEvery: time.Millisecond,
		On: func(ctx context.Context, e session.Event) {
			rejected.on(ctx, e)
			if e.Kind == session.EventEnded {
				destroyed = append(destroyed, e.ID+" "+string(e.Reason))
			}
		}})
	strict.basics()
	eventually(t, "2 ms have passed", func() bool { return time.Since(created(id)) > 2*time.Millisecond })
	other := strict.browser(t)
	other.setToken(b.token())
	got := other.get("/get?k=a")
	got.want(t, 200, "<nil>")
	got.wantNoCookie(t)
	if n := strict.calls.Calls(backendtest.OpLoad); n != 1 || strict.calls.Calls(backendtest.OpAny) > 3 {
		t.Errorf("%d loads, %d calls", n, strict.calls.Calls(backendtest.OpAny))
	}
	rejected.want(t, id.String(), session.ReasonAbsolute, 1)
	if len(destroyed) != 1 || destroyed[0] != id.String()+" absolute" {
		t.Errorf("Config.On was told of the ends %q", destroyed)
	}
	if _, err := store.Load(t.Context(), id); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("the old record: %v, want ErrNotFound", err)
	}
	b.get("/set?k=a&v=new").want(t, 200, "set")
	if idOf(t, b.token()) == id {
		t.Error("the new session has the old ID")
	}
	b.get("/get?k=a").want(t, 200, "new")
}

func absolutePasses(t *testing.T, k Kind) {
	for _, path := range []string{"/slow", "/slow?renew=1"} {
		inTime(t, 400*time.Millisecond, func(limit time.Duration) bool { return passesIn(t, k, path, limit) })
	}
}

// passesIn: the absolute timeout passes while the session is used by a request to
// path. It returns false if it had passed before that.
func passesIn(t *testing.T, k Kind, path string, limit time.Duration) (inTime bool) {
	a := newApp(t, session.Config{Store: k.open(t), IdleTimeout: limit, AbsoluteTimeout: limit, TouchEvery: limit / 4})
	a.basics()
	a.handle("/slow", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if inTime = !s.IsNew(); !inTime {
			return
		}
		<-time.After(time.Until(s.CreatedAt().Add(limit + 5*time.Millisecond)))
		s.Set("a", "late")
		if r.FormValue("renew") != "" {
			s.Renew()
		}
		io.WriteString(w, "done")
	})
	b := a.browser(t)
	b.get("/set?k=a&v=old")
	if b.token() == "" {
		return false
	}
	id := idOf(t, b.token())
	got := b.get(path)
	if !inTime {
		return false
	}
	got.want(t, 200, "done")
	got.wantNoCookie(t)
	if _, err := a.store.Load(t.Context(), id); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("%s: the record: %v, want ErrNotFound", path, err)
	}
	b.get("/get?k=a").want(t, 200, "<nil>")
	if n := a.Stats().Dropped; n != 1 {
		t.Errorf("%s: %d dropped requests are counted, want 1", path, n)
	}
	return true
}

func absoluteWhileActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Store: Memory.open(t), SweepEvery: -1})
		a.basics()
		a.handle("/shorten", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("a", 3)
			s.SetAbsoluteTimeout(time.Hour)
			if err := s.Save(); !errors.Is(err, session.ErrDestroyed) {
				t.Errorf("Save of a session of two hours, with an absolute timeout of one: %v, want ErrDestroyed", err)
			}
		})
		b := a.direct(t)
		b.get("/set?k=a&v=1")
		start, id := time.Now(), idOf(t, b.token())
		for n := 0; time.Since(start) < 24*time.Hour-time.Millisecond; n++ {
			b.get([]string{"/get?k=a", "/set?k=b&v=" + fmt.Sprint(n), "/renew"}[n%3])
			b.get("/get?k=a").want(t, 200, "1")
			if late := a.record(t, b.token()).Expires.Sub(start) - 24*time.Hour; late > 0 {
				t.Fatalf("after %v the record expires %v after the absolute timeout", time.Since(start), late)
			}
			time.Sleep(min(13*time.Minute, 24*time.Hour-time.Millisecond-time.Since(start)))
		}
		b.get("/get?k=a").want(t, 200, "1")
		time.Sleep(time.Millisecond)
		b.get("/get?k=a").want(t, 200, "<nil>")
		b.get("/set?k=a&v=2")
		if idOf(t, b.token()) == id {
			t.Error("the new session has the old ID")
		}
		if n, err := a.Sweep(t.Context()); err != nil || a.records(t) != 1 {
			t.Errorf("Sweep: %d, %v; %d records, want 1", n, err, a.records(t))
		}
		for range 8 {
			time.Sleep(15 * time.Minute)
			b.get("/get?k=a").want(t, 200, "2")
		}
		b.get("/shorten")
		b.get("/get?k=a").want(t, 200, "<nil>")
	})
}

// idleByRecord: after any request, whatever came before, the record ends at
// most TouchEvery before the idle timeout would, and never after it.
func idleByRecord(t *testing.T, k Kind) {
	const every = 10 * time.Minute
	a := newApp(t, session.Config{Store: k.open(t), TouchEvery: every, AbsoluteTimeout: 1000 * time.Hour})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=a&v=0")
	random := rand.New(rand.NewPCG(46, 46))
	for n := range 60 {
		before := time.Until(a.record(t, b.token()).Expires)
		age := time.Duration(random.Int64N(int64(before - 30*time.Second)))
		if random.IntN(3) > 0 {
			age = age % every
		}
		a.age(t, b.token(), age)
		b.get([]string{"/get?k=a", "/ignore", fmt.Sprint("/set?k=a&v=", n), "/renew"}[random.IntN(4)])
		if left := time.Until(a.record(t, b.token()).Expires); left > time.Hour || left < time.Hour-every-30*time.Second {
			t.Fatalf("after a request that came %v after the one before, the session has %v left, want an hour or up to %v less", age, left, every)
		}
	}
}

// idleExactly has browsers come back after any time: within the idle timeout
// less TouchEvery all are known, from the idle timeout on none is.
func idleExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle, every = time.Hour, 3 * time.Minute // the default of an hour's timeout, a minute, would do as well
		a := newApp(t, session.Config{Store: Memory.open(t), IdleTimeout: idle, TouchEvery: every, SweepEvery: -1, AbsoluteTimeout: 10_000 * time.Hour})
		a.basics()
		b := a.direct(t)
		random := rand.New(rand.NewPCG(1, 46))
		edges := []time.Duration{0, time.Millisecond, every - time.Millisecond, every, every + time.Millisecond, idle - every - time.Millisecond, idle - every,
			idle - 1, idle, idle + time.Millisecond, 3 * idle}
		b.get("/set?k=a&v=1")
		known, gone := 0, 0
		for range 3000 {
			gap := edges[random.IntN(len(edges))]
			if random.IntN(2) == 0 {
				gap = time.Duration(random.Int64N(int64(idle + every))).Truncate(time.Millisecond)
			}
			time.Sleep(gap)
			got := b.get("/get?k=a").body
			switch {
			case gap <= idle-every && got != "1":
				t.Fatalf("gone after %v", gap)
			case gap >= idle && got != "<nil>":
				t.Fatalf("still there after %v", gap)
			case got == "1":
				known++
			default:
				gone++
				b.get("/set?k=a&v=1")
			}
		}
		if known < 100 || gone < 100 {
			t.Errorf("known %d times, gone %d times: that proves little", known, gone)
		}
		if lines := a.log.lines("ERROR", ""); len(lines) > 0 || strings.Contains(a.log.String(), "WARN") {
			t.Errorf("in the log: %s", a.log)
		}
	})
}

// loginAgain: logging in again moves the idle timeout, and not the
// absolute one; Destroy and SetUser begin both anew.
func loginAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{SweepEvery: -1, IdleTimeout: time.Hour, AbsoluteTimeout: 2 * time.Hour})
		login := func(s *session.Session) { s.SetUser("ada") }
		_, token := visit(m, "", login)
		created := time.Now()
		left := func(want time.Duration) {
			t.Helper()
			visit(m, token, func(s *session.Session) {
				if got := time.Until(s.ExpiresAt()); got != want {
					t.Errorf("%v after the first login the session has %v left, want %v", time.Since(created), got, want)
				}
			})
		}
		left(time.Hour)
		time.Sleep(50 * time.Minute)
		_, token = visit(m, token, login)
		left(time.Hour)
		time.Sleep(50 * time.Minute)
		_, token = visit(m, token, login)
		left(20 * time.Minute)
		_, token = visit(m, token, func(s *session.Session) { s.Destroy(); s.SetUser("ada") })
		left(time.Hour)
		m.Close()
	})
}

// shortenedHolds: "this is a public computer" says one request,
// while another, which loaded the session before, is under way and notes the
// user's activity by the long timeout that it knows. The short one holds.
func shortenedHolds(t *testing.T, k Kind) {
	for _, tt := range []shortening{
		{name: "of the manager", begin: "/login", path: "/public", expires: true},
		{name: "of its own", begin: "/long", path: "/public"},
		{name: "by Save", begin: "/long", path: "/now"},
		{name: "back to the manager's", begin: "/long", path: "/back", longest: time.Hour},
		{name: "by the next user", begin: "/long", path: "/bob", longest: time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, slowly := range []string{"handler", "touch"} {
				inTime(t, 1500*time.Millisecond, func(short time.Duration) bool { return tt.holds(t, k, slowly, short) })
			}
		})
	}
}

// A shortening is a request to path that gives the session another idle timeout.
type shortening struct {
	name, begin, path string
	longest           time.Duration // what the session has left then, at the most; 0: the short timeout
	expires           bool          // wait for its end
}

// holds shortens the timeout under a request that is slow in its handler or with its
// touch. It returns false if short had passed before anybody could look.
func (tt shortening) holds(t *testing.T, k Kind, slowly string, short time.Duration) bool {
	more := map[string]deed{
		"long": func(s *session.Session) error {
			s.Set("a", 1)
			s.SetUser("ada")
			s.SetIdleTimeout(240 * time.Hour)
			return nil
		},
		"back":   func(s *session.Session) error { s.SetIdleTimeout(0); return nil },
		"public": func(s *session.Session) error { s.SetIdleTimeout(short); return nil },
		"bob":    func(s *session.Session) error { s.SetUser("bob"); return nil },
		"now":    func(s *session.Session) error { s.SetIdleTimeout(short); return s.Save() },
	}
	cfg := session.Config{Store: k.open(t), TouchEvery: time.Millisecond}
	a, other := newStage(t, cfg, more), newStage(t, cfg, more)
	b, old := a.browser(t), other.browser(t)
	b.get(tt.begin).want200(t)
	old.setToken(b.token())
	a.age(t, b.token(), 2*time.Minute) // so that a touch is due
	var began time.Time
	shorten := func() {
		began = time.Now()
		b.get(tt.path).want200(t)
	}
	var got response
	if slowly == "handler" {
		slow := old.hold("/show")
		shorten()
		got = slow.finish()
	} else { // it has decided to touch, and by how much
		g := other.calls.Gate(backendtest.OpTouch, backendtest.AtCall)
		slow := old.hold("/show").let()
		reach(t, g)
		shorten()
		g.Release()
		got = <-slow
	}
	user := "ada"
	if tt.path == "/bob" {
		user = "bob"
	}
	longest := cmp.Or(tt.longest, short)
	infos, err := a.Sessions(t.Context(), user)
	if time.Since(began) > short/2 {
		return false
	}
	got.want200(t)
	if err != nil || len(infos) != 1 || time.Until(infos[0].ExpiresAt) > longest {
		t.Fatalf("%s: the sessions are %+v, %v; want one that expires within %v", slowly, infos, err, longest)
	}
	if !tt.expires {
		return true
	}
	until(began.Add(short / 2))
	again := time.Now()
	moved := b.get("/show") // activity moves it on, by the short one
	lives := time.Now()
	infos, err = a.Sessions(t.Context(), user)
	if left := short * 6 / 10; time.Since(began) > short || time.Since(again) > short-left {
		return false
	} else if moved.want200(t); err != nil || len(infos) != 1 || time.Until(infos[0].ExpiresAt) < left {
		t.Fatalf("%s: after a request the sessions are %+v, %v", slowly, infos, err)
	}
	until(lives.Add(short + 100*time.Millisecond))
	if infos, err = a.Sessions(t.Context(), user); err != nil || len(infos) != 0 {
		t.Errorf("%s: when the time is over the sessions are %+v, %v; want none", slowly, infos, err)
	}
	b.wantState("none")
	other.browser(t).get("/show").want200(t)
	return true
}

// shortenedEndsRequests: a request that loaded the session in
// time and stores after its end finds that it has ended.
func shortenedEndsRequests(t *testing.T, k Kind) {
	for _, deed := range []string{"set", "update", "save", "renew"} {
		inTime(t, 600*time.Millisecond, func(short time.Duration) bool { return shortenedEnds(t, k, deed, short) })
	}
}

// shortenedEnds returns false if the session had ended before the request loaded it.
func shortenedEnds(t *testing.T, k Kind, late string, short time.Duration) bool {
	cfg := session.Config{Store: k.open(t), TouchEvery: time.Millisecond}
	more := map[string]deed{"public": func(s *session.Session) error { s.SetIdleTimeout(short); return nil }}
	a, other := newStage(t, cfg, more), newStage(t, cfg, more)
	b, old := a.browser(t), other.browser(t)
	b.get("/start").want200(t)
	old.setToken(b.token())
	id := b.id()
	stale := old.hold("/show")
	began := time.Now()
	b.get("/public").want200(t)
	stale.finish().want200(t) // and the store has it for an hour, again
	slow := b.hold("/" + late)
	if time.Since(began) > short {
		slow.finish()
		return false
	}
	elapse(short + 100*time.Millisecond)
	if got := slow.finish().wantNoCookie(t); got.status != endedStatus(late) {
		t.Errorf("%s: status %d, want %d", late, got.status, endedStatus(late))
	}
	b.wantState("none")
	a.gone(t, id)
	return true
}

// shortenedCosts: while nobody shortens anything, activity is a
// Touch; afterwards it is an Update.
func shortenedCosts(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
		"public": func(s *session.Session) error { s.SetIdleTimeout(10 * time.Minute); return nil },
		"home":   func(s *session.Session) error { s.SetIdleTimeout(time.Hour); return nil },
	})
	b := a.browser(t)
	b.get("/start").want200(t)
	for _, tt := range []struct{ path, calls string }{
		{"/show", "Load Touch"}, {"/public", "Load Update"}, {"/home", "Load Update"},
	} {
		a.age(t, b.token(), 2*time.Minute)
		a.calls.Reset()
		b.get(tt.path).want200(t)
		a.wantCalls(t, tt.calls)
	}
	rec := a.record(t, b.token())
	a.calls.Reset()
	b.get("/show").want200(t)
	a.wantCalls(t, "Load") // the hour's twentieth has not passed
	if again := a.record(t, b.token()); again.Version != rec.Version {
		t.Error("a read has stored the session")
	}
}

// oldTimeout: a request that loaded the session before another one gave it
// a longer life may not end it by what it still believes.
func oldTimeout(t *testing.T) {
	stage := func(t *testing.T) (*app, *browser) {
		a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: -1, IdleTimeout: time.Hour, AbsoluteTimeout: time.Hour}, nil)
		b := a.direct(t)
		b.get("/start").want200(t)
		return a, b
	}
	for _, name := range []string{"set", "update", "save", "logout"} {
		t.Run("renewed/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, b := stage(t)
				time.Sleep(time.Hour - time.Second)
				slow := b.twin().hold("/" + name)
				b.get("/remember").want200(t)
				b.get("/login").want200(t)
				time.Sleep(2 * time.Second)
				slow.finish().wantNoCookie(t)
				b.wantState(`"ada" a=1 cart=tea`)
			})
		})
	}
	t.Run("longer/set", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, b := stage(t)
			time.Sleep(time.Hour - time.Second)
			slow := b.twin().hold("/set")
			b.get("/remember").want200(t)
			time.Sleep(2 * time.Second)
			slow.finish().want200(t)
			b.wantState(`"" a=1 cart=tea late=true`)
		})
	})
}

// streamKeptAlive: a response that takes hours is activity when Save
// is called in it, and costs no more store calls than other activity.
func streamKeptAlive(t *testing.T) {
	for _, save := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			store := newMemory(t)
			a := newApp(t, session.Config{Store: store})
			a.basics()
			a.handle("/events", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
				w.WriteHeader(http.StatusOK)
				for range 3 * 60 * 2 {
					time.Sleep(30 * time.Second)
					fmt.Fprint(w, ": still there\n\n")
					if save {
						if err := s.Save(); err != nil {
							t.Error(err)
						}
					}
				}
			})
			b := a.direct(t)
			b.get("/set?k=a&v=1")
			a.calls.Reset()
			b.get("/events")
			if touches := a.calls.Calls(backendtest.OpTouch); save && (touches < 170 || touches > 181) {
				t.Errorf("%d touches in three hours, want one a minute", touches)
			}
			want := map[bool]string{true: "1", false: "<nil>"}[save]
			if got := b.get("/get?k=a"); got.body != want {
				t.Errorf("after a stream of three hours with Save %v, the value is %q, want %q", save, got.body, want)
			}
		})
	}
}
