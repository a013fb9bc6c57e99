package session_test

import (
	"context"
	"encoding/binary"
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

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// TestBehaviourE is section E of BEHAVIOURS.md: time. On each backend, time is
// made to have passed by dating records back; what has to be exact to the
// millisecond runs in a synctest bubble, on memory.
func TestBehaviourE(t *testing.T) {
	onEach(t, "42_activity_moves_the_expiry", activity) // TO-5
	onEach(t, "42_never_backwards", neverBackwards)
	onEach(t, "43_from_the_end_of_a_slow_request", slowRequest)
	t.Run("43_exactly/memory", slowRequestExactly) // TO-8
	onEach(t, "44_touch_of_the_same_expiry", sameExpiry)
	onEach(t, "45_absolute_timeout", absoluteTimeout)       // TO-2
	onEach(t, "45_passes_during_a_request", absolutePasses) // TO-8
	t.Run("45_while_active/memory", absoluteWhileActive)    // TO-2
	onEach(t, "46_idle_by_record", idleByRecord)            // TO-1
	t.Run("46_idle_exactly/memory", idleExactly)            // TO-1
}

// wantLeft fails the test unless the record of token expires in d, give or
// take the time that a test may take.
func (a *app) wantLeft(t testing.TB, what, token string, d time.Duration) {
	t.Helper()
	if left := time.Until(a.record(t, token).Expires); left > d || left < d-30*time.Second {
		t.Errorf("%s: the session has %v left, want %v", what, left, d)
	}
}

func activity(t *testing.T, k kind) {
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
func neverBackwards(t *testing.T, k kind) {
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

func slowRequest(t *testing.T, k kind) {
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
		a := newApp(t, session.Config{Store: kinds[0].open(t)})
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

func sameExpiry(t *testing.T, k kind) {
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

// created returns the time in a UUIDv7.
func created(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
}

func absoluteTimeout(t *testing.T, k kind) {
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
		Hooks: session.Hooks{Rejected: rejected.add, Destroyed: func(id string, reason session.Reason) { destroyed = append(destroyed, id+" "+string(reason)) }}})
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
		t.Errorf("Hooks.Destroyed got %q", destroyed)
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

func absolutePasses(t *testing.T, k kind) {
	const limit = 400 * time.Millisecond
	a := newApp(t, session.Config{Store: k.open(t), IdleTimeout: limit, AbsoluteTimeout: limit, TouchEvery: limit / 4})
	a.basics()
	a.handle("/slow", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		<-time.After(time.Until(s.CreatedAt().Add(limit + 5*time.Millisecond)))
		s.Set("a", "late")
		if r.FormValue("renew") != "" {
			s.Renew()
		}
		io.WriteString(w, "done")
	})
	for _, path := range []string{"/slow", "/slow?renew=1"} {
		b := a.browser(t)
		b.get("/set?k=a&v=old")
		id := idOf(t, b.token())
		got := b.get(path)
		got.want(t, 200, "done")
		got.wantNoCookie(t)
		if _, err := a.store.Load(t.Context(), id); !errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s: the record: %v, want ErrNotFound", path, err)
		}
		b.get("/get?k=a").want(t, 200, "<nil>")
	}
	if n := a.Stats().Dropped; n != 2 {
		t.Errorf("%d dropped requests are counted, want 2", n)
	}
}

func absoluteWhileActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Store: kinds[0].open(t), SweepEvery: -1})
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
func idleByRecord(t *testing.T, k kind) {
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
		if left := time.Until(a.record(t, b.token()).Expires); left > time.Hour || left < time.Hour-every-time.Second {
			t.Fatalf("after a request that came %v after the one before, the session has %v left, want an hour or up to %v less", age, left, every)
		}
	}
}

// idleExactly has browsers come back after any time: within the idle timeout
// less TouchEvery all are known, from the idle timeout on none is.
func idleExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const idle, every = time.Hour, 3 * time.Minute // the default of an hour's timeout, a minute, would do as well
		a := newApp(t, session.Config{Store: kinds[0].open(t), IdleTimeout: idle, TouchEvery: every, SweepEvery: -1, AbsoluteTimeout: 10_000 * time.Hour})
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
