package behaviour

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/gc"
)

// sweepCases are about who removes what has expired.
var sweepCases = []behaviour{
	each("expired records only", sweep),
	alone("several sweeps at once", sweepAtOnce),
	alone("a record touched meanwhile stays", sweepMeetsTouch),
	each("a sweep that fails", sweepFails),
	each("deleting what is missing is no error", deleteMissing),
	once("the manager sweeps by itself", collector),
	once("no request sweeps, or waits for a sweep", notOnARequest),
	once("what has expired is gone within one interval", withinOneInterval),
	once("Close waits for the sweep", closeWaits),
	once("requests after Close", closed),
}

// sweepable opens the store, and says whether somebody has to sweep it.
func sweepable(store backend.Store) bool {
	return backendtest.Capabilities(store)&backendtest.Sweeper != 0
}

// fill puts n records into the store that expire at the given time.
func fill(t *testing.T, store backend.Store, n int, expires time.Time) (ids []uuid.UUID) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		rec := backend.Record{ID: id, Expires: expires, User: fmt.Sprintf("u%d", i%7), Data: []byte("x")}
		wg.Go(func() {
			if err := store.Create(t.Context(), rec); err != nil {
				t.Errorf("Create: %v", err)
			}
		})
		if i%16 == 15 {
			wg.Wait()
		}
	}
	wg.Wait()
	return ids
}

// sweep: more expired records than one batch has, some with a timeout of
// their own, among sessions that live.
func sweep(t *testing.T, k Kind) {
	store := k.open(t)
	a := newStage(t, session.Config{Store: store, SweepEvery: -1}, endDeeds)
	live, short := a.browser(t), a.browser(t)
	live.get("/login").want200(t)
	live.get("/remember").want200(t)
	short.get("/start").want200(t)
	soon := time.Now().Add(300 * time.Millisecond).Truncate(time.Millisecond)
	expired := gc.Batch + 20
	if !sweepable(store) {
		expired = 5
	}
	fill(t, store, expired, soon)
	shortID := short.id()
	short.get("/idle").want200(t)
	until(soon.Add(2 * time.Millisecond))
	a.gone(t, shortID)
	n, err := a.Sweep(t.Context())
	if err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if want := expired + 1; sweepable(store) && n != want {
		t.Errorf("Sweep removed %d, want %d", n, want)
	}
	if got := a.Stats().Swept; got != uint64(n) {
		t.Errorf("Stats.Swept is %d, want %d", got, n)
	}
	if got := a.records(t); got != 1 {
		t.Errorf("%d records after it, want 1", got)
	}
	if n, err := a.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("a second Sweep: %d, %v, want 0, nil", n, err)
	}
	a.wantSessions(t, "u1")
	live.wantState(`"ada"`)
}

func sweepAtOnce(t *testing.T, k Kind) {
	store := k.open(t)
	here := newStage(t, session.Config{Store: store, SweepEvery: -1}, nil)
	there := newStage(t, session.Config{Store: store, SweepEvery: -1}, nil)
	const expired, living = 200, 20
	soon := time.Now().Add(200 * time.Millisecond).Truncate(time.Millisecond)
	fill(t, store, expired, soon)
	live := fill(t, store, living, soon.Add(time.Hour))
	until(soon.Add(2 * time.Millisecond))
	var wg sync.WaitGroup
	removed := make([]int, 6)
	for i := range removed {
		wg.Go(func() {
			var err error
			if removed[i], err = []*app{here, there}[i%2].Sweep(t.Context()); err != nil {
				t.Errorf("Sweep: %v", err)
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range removed {
		sum += n
	}
	if sweepable(store) && sum != expired {
		t.Errorf("the sweeps removed %v, together %d, want %d", removed, sum, expired)
	}
	for _, id := range live {
		if _, err := store.Load(t.Context(), id); err != nil {
			t.Fatalf("a live record after the sweep: %v", err)
		}
	}
}

// sweepMeetsTouch: records are touched in their last milliseconds while
// sweeps run. A touch that succeeded has saved its record.
func sweepMeetsTouch(t *testing.T, k Kind) {
	store := k.open(t)
	a := newStage(t, session.Config{Store: store, SweepEvery: -1}, nil)
	soon := time.Now().Add(200 * time.Millisecond).Truncate(time.Millisecond)
	ids := fill(t, store, 200, soon)
	stop := make(chan struct{})
	var sweeps sync.WaitGroup
	sweeps.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := a.Sweep(context.Background()); err != nil {
					t.Errorf("Sweep: %v", err)
					return
				}
			}
		}
	})
	saved := 0
	until(soon.Add(-20 * time.Millisecond))
	for _, id := range ids {
		switch err := store.Touch(t.Context(), id, soon.Add(time.Hour)); {
		case err == nil:
			saved++
			defer func() {
				if _, err := store.Load(context.Background(), id); err != nil {
					t.Errorf("a record that was touched: %v", err)
				}
			}()
		case !errors.Is(err, backend.ErrNotFound):
			t.Errorf("Touch: %v", err)
		}
	}
	until(soon.Add(20 * time.Millisecond))
	close(stop)
	sweeps.Wait()
	if _, err := a.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if got := a.records(t); got != saved {
		t.Errorf("%d records, want the %d that were touched", got, saved)
	}
}

func sweepFails(t *testing.T, k Kind) {
	store := k.open(t)
	a := newStage(t, session.Config{Store: store, SweepEvery: -1}, nil)
	a.calls.On(backendtest.OpSweep, backendtest.Always, backendtest.Fail(errTest))
	_, err := a.Sweep(t.Context())
	var failed *session.StoreError
	if sweepable(store) && (!errors.As(err, &failed) || failed.Op != "sweep" || !errors.Is(err, errTest)) {
		t.Errorf("Sweep: %v, want a StoreError of sweep with the store's", err)
	}
	if !sweepable(store) && err != nil {
		t.Errorf("Sweep: %v, want nil: the server sweeps by itself", err)
	}
}

func deleteMissing(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
	b := a.browser(t)
	b.get("/start").want200(t)
	id := b.id()
	for range 2 {
		if err := a.Revoke(t.Context(), id); err != nil {
			t.Errorf("Revoke: %v", err)
		}
		if err := a.store.Delete(t.Context(), mustID(id)); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
}

// collector: the manager sweeps by itself, goes on after a failure, and
// does not touch what has a longer timeout of its own.
func collector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory(t)
		a := newStage(t, session.Config{Store: store, SweepEvery: time.Minute, IdleTimeout: 10 * time.Minute}, nil)
		live := a.direct(t)
		live.get("/login").want200(t)
		live.get("/remember").want200(t)
		for range 5 {
			a.direct(t).get("/start").want200(t)
		}
		time.Sleep(9 * time.Minute)
		a.calls.On(backendtest.OpSweep, 2, backendtest.Fail(errTest))
		if n := a.Stats().Swept; n != 0 {
			t.Errorf("%d swept before they expired", n)
		}
		time.Sleep(5 * time.Minute)
		if n := a.Stats().Swept; n != 5 {
			t.Errorf("%d swept, want 5", n)
		}
		if n := len(a.log.lines("ERROR", "sweep failed")); n != 2 {
			t.Errorf("%d error lines for 2 failed sweeps", n)
		}
		live.wantState(`"ada"`)
		a.Manager.Close()
		sweeps := a.calls.Calls(backendtest.OpSweep)
		time.Sleep(time.Hour)
		if n := a.calls.Calls(backendtest.OpSweep); n != sweeps {
			t.Errorf("%d sweeps after Close", n-sweeps)
		}
	})
}

// notOnARequest: while a sweep hangs, requests are served; and no
// request sweeps.
func notOnARequest(t *testing.T) {
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

// withinOneInterval: by default, what has expired is gone within
// five minutes, without any request.
func withinOneInterval(t *testing.T) {
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

// closeWaits: a sweep is under way, in a store that does not look at its
// context.
func closeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: time.Minute}, nil)
		reached, open := make(chan struct{}), make(chan struct{})
		a.calls.On(backendtest.OpSweep, 1, func(context.Context, backendtest.Call) error {
			close(reached)
			<-open
			return nil
		})
		<-reached
		closed := make(chan error, 1)
		go func() { closed <- a.Manager.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned during a sweep")
		default:
		}
		close(open)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := a.Manager.Close(); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	})
}

// closed: requests after Close, and those that want to store after it.
func closed(t *testing.T) {
	for _, path := range []string{"/set", "/update", "/login", "/logout", "/save"} {
		store := newMemory(t)
		a := newStage(t, session.Config{Store: store}, nil)
		b := a.browser(t)
		b.get("/start").want200(t)
		before, err := store.Load(t.Context(), mustID(b.id()))
		if err != nil {
			t.Fatal(err)
		}
		slow := b.hold(path)
		if err := a.Manager.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if got := slow.finish(); got.status == 200 {
			t.Errorf("%s that began before Close: response %d, want an error", path, got.status)
		}
		after, err := store.Load(t.Context(), before.ID)
		if err != nil || after.Version != before.Version {
			t.Errorf("%s: stored after Close (error %v)", path, err)
		}
		if got := b.get("/show"); got.status != 503 {
			t.Errorf("a request after Close: response %d, want 503", got.status)
		}
	}
}
