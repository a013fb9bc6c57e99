package clusters

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

const (
	enough    = 50          // logouts, before a failure and after it
	patience  = time.Minute // until there were so many
	workers   = 8
	usersEach = 10
	leftAlone = time.Second     // until something is done with a session
	maxCall   = 3 * time.Second // what the backends promise of every call
)

// perWorker is the time between two calls of a worker: shorter where many runs are
// counted.
var perWorker = func() time.Duration {
	if runs == 1 {
		return 10 * time.Millisecond
	}
	return 3 * time.Millisecond
}()

// A load is users who log in and out, and what they were told. Only what the store
// has answered with success counts, afterwards.
type load struct {
	store backend.Store
	stop  chan struct{}
	end   sync.Once // closes stop
	wg    sync.WaitGroup

	mu        sync.Mutex // guards what follows
	logins    map[uuid.UUID]backend.Record
	ended     map[uuid.UUID]string // with the user
	alone     int                  // calls that were refused as no replica followed
	began     time.Time
	refuse    int           // all others that failed
	slow      time.Duration // the longest call
	failed    time.Time     // when the last of those failed, before the machine came back
	mended    bool          // it is back, or coming
	returning int           // calls that failed since
	stalled   time.Duration // for which the machine had no time for us
	longest   time.Duration // of these, at once
	errs      map[string]int
}

func startLoad(t *testing.T, store backend.Store) *load {
	l := &load{began: time.Now(), store: store, stop: make(chan struct{}), logins: map[uuid.UUID]backend.Record{}, ended: map[uuid.UUID]string{}, errs: map[string]int{}}
	for i := range workers {
		l.wg.Go(func() { l.work(i) })
	}
	l.wg.Go(l.watch)
	t.Cleanup(l.done)
	return l
}

// watch measures how much of the time the machine had for others only: that is not
// the stores' fault.
func (l *load) watch() {
	const step = 20 * time.Millisecond
	for {
		start := time.Now()
		select {
		case <-l.stop:
			return
		case <-time.After(step):
		}
		if late := time.Since(start) - step; late > step {
			l.note(func() { l.stalled, l.longest = l.stalled+late, max(l.longest, late) })
		}
	}
}

// sizes returns how many sessions there are, and how many have been ended.
func (l *load) sizes() (live, ended int) {
	l.note(func() { live, ended = len(l.logins), len(l.ended) })
	return live, ended
}

// await waits until there are so many sessions, and so many more have been ended:
// with fewer, a test would prove nothing. How long that takes is the machine's
// affair.
func (l *load) await(live, more int) error {
	_, before := l.sizes()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		has, ended := l.sizes()
		switch {
		case has >= live && ended >= before+more:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d sessions and %d more logouts after %v, want %d and %d: that is no load", has, ended-before, patience, live, more)
		}
	}
}

// done ends it. It is idempotent.
func (l *load) done() {
	l.end.Do(func() { close(l.stop) })
	l.wg.Wait()
}

// work is one worker: in turn a session is made, and the oldest one that was made
// and is as it was is read, renewed or ended. So some of those that are ended when
// the machine fails are on every server.
func (l *load) work(i int) {
	tick := time.NewTicker(perWorker)
	defer tick.Stop()
	var made []aged
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		rec := backend.Record{
			ID: uuid.Must(uuid.NewV7()), User: fmt.Sprintf("user-%d-%d", i, rand.IntN(usersEach)), Confirm: true,
			Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond), Data: []byte("first token"),
		}
		if l.call(func(ctx context.Context) error { return l.store.Create(ctx, rec) }) {
			l.note(func() { l.logins[rec.ID] = rec })
			rec.Version = 1
			made = append(made, aged{rec, time.Now()})
		}
		if len(made) > 0 && time.Since(made[0].at) > leftAlone {
			l.useOne(made[0].rec)
			made = made[1:]
		}
	}
}

// An aged record is one that was made then.
type aged struct {
	rec backend.Record
	at  time.Time
}

// useOne reads, renews or ends a session that was made before.
func (l *load) useOne(rec backend.Record) {
	switch kind := rand.IntN(3); {
	case kind == 0:
		l.call(func(ctx context.Context) error { _, err := l.store.Load(ctx, rec.ID); return err })
	case kind == 1:
		rec.Data = []byte("second token")
		ok := l.call(func(ctx context.Context) error { return l.store.Update(ctx, rec) })
		l.note(func() {
			if !ok {
				rec.Data = nil // either is right
			}
			l.logins[rec.ID] = rec
		})
	case kind == 2:
		ok := l.call(func(ctx context.Context) error { return l.store.Delete(ctx, rec.ID) })
		l.note(func() {
			delete(l.logins, rec.ID) // gone or not, if it was refused
			if ok {
				l.ended[rec.ID] = rec.User
			}
		})
	}
}

func (l *load) note(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}

// call makes a call and reports whether it succeeded.
func (l *load) call(fn func(context.Context) error) bool {
	ctx, cancel := context.WithTimeout(context.Background(), maxCall)
	defer cancel()
	start := time.Now()
	err := fn(ctx)
	l.note(func() {
		l.slow = max(l.slow, time.Since(start))
		if errors.Is(err, backend.ErrNotReplicated) {
			l.alone++
		} else if err != nil && !errors.Is(err, backend.ErrNotFound) { // what was lost is counted afterwards
			l.refuse++
			if l.mended {
				l.returning++
			} else {
				l.failed = time.Now()
			}
			if len(l.errs) < 20 {
				l.errs[fmt.Sprintf("%.1f s: ", time.Since(l.began).Seconds())+kind(err)]++
			}
		}
	})
	return err == nil
}

// kind shortens an error to what it is about.
func kind(err error) string {
	for err != nil {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	text := err.Error()
	return text[:min(len(text), 60)]
}

// A toll is what a failover cost.
type toll struct {
	logins, logouts        int // that were answered with success
	lost, reverted, undone int // logins, renewals and logouts that are not so any more
	outsideIndex           int
	unconfirmed, refused   int
	returning              int // of those refused: when the machine came back
	back, slowest          time.Duration
}

func (a toll) clean() bool {
	return a.lost == 0 && a.reverted == 0 && a.undone == 0 && a.outsideIndex == 0
}

func (a toll) String() string {
	return fmt.Sprintf("%d of %d logouts undone, %d of %d sessions lost, %d renewals reverted, %d live sessions outside their index; refused: %d without a replica, %d others (%d when the machine came back), back after %v, slowest call %v",
		a.undone, a.logouts, a.lost, a.logins, a.reverted, a.outsideIndex, a.unconfirmed, a.refused, a.returning, a.back.Round(10*time.Millisecond), a.slowest.Round(10*time.Millisecond))
}

// count looks what is left of all that was answered with success. failed is when
// the machine failed.
func (l *load) count(store backend.Store, failed time.Time) (toll, error) {
	a := toll{logins: len(l.logins), logouts: len(l.ended), unconfirmed: l.alone, refused: l.refuse, returning: l.returning, slowest: l.slow}
	if l.failed.After(failed) {
		a.back = l.failed.Sub(failed)
	}
	listed := map[uuid.UUID]bool{}
	for i := range workers {
		for j := range usersEach {
			recs, err := store.(backend.UserIndex).ByUser(ctx, fmt.Sprintf("user-%d-%d", i, j))
			if err != nil {
				return a, err
			}
			for _, rec := range recs {
				listed[rec.ID] = true
			}
		}
	}
	for id, want := range l.logins {
		rec, err := store.Load(ctx, id)
		switch {
		case errors.Is(err, backend.ErrNotFound):
			a.lost++
			continue
		case err != nil:
			return a, err
		case want.Data != nil && string(rec.Data) != string(want.Data):
			a.reverted++
		}
		if !listed[id] {
			a.outsideIndex++
		}
	}
	for id := range l.ended {
		_, err := store.Load(ctx, id)
		if err == nil {
			a.undone++
		} else if !errors.Is(err, backend.ErrNotFound) {
			return a, err
		}
	}
	return a, nil
}
