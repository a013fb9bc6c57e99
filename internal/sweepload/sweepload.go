// Package sweepload measures what a sweep of many expired records costs those
// who make requests meanwhile. The tests of the SQL backends use it.
package sweepload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/gc"
)

const (
	// phase is how long the sweep runs, and rests, in turns: both sides see
	// the same other business of the machine.
	phase = 500 * time.Millisecond

	// every is how often each caller makes a request. The calls come in
	// time, however long those before them took, or a server that stalls
	// would be asked less.
	every = 4 * time.Millisecond
)

// A Store is what can be measured.
type Store interface {
	backend.Store
	backend.Sweeper
}

// A Result is what was measured: times of calls, in order of length.
type Result struct {
	Quiet   []time.Duration // of requests while nothing was swept
	Swept   []time.Duration // of requests while the sweep ran
	Batches []time.Duration // of the sweep's statements, each of Batch records
	Batch   int
	Removed int
}

// Measure sweeps the store until nothing is left, while callers load live
// records, one for each caller, and update them every fourth time. batch is how
// many records one statement of the store removes.
func Measure(s Store, batch int, live []backend.Record) (Result, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var sweeping atomic.Bool
	var wg sync.WaitGroup
	errs := make(chan error, len(live))
	times := make([][2][]time.Duration, len(live))
	for i, rec := range live {
		wg.Go(func() {
			if err := request(ctx, s, rec, &sweeping, &times[i]); err != nil {
				errs <- err
			}
		})
	}
	r := Result{Batch: batch}
	err := r.sweep(ctx, s, &sweeping)
	cancel()
	wg.Wait()
	close(errs)
	for e := range errs {
		return r, e
	}
	for i := range times {
		r.Quiet, r.Swept = append(r.Quiet, times[i][0]...), append(r.Swept, times[i][1]...)
	}
	for _, all := range [][]time.Duration{r.Quiet, r.Swept, r.Batches} {
		slices.Sort(all)
	}
	return r, err
}

// request makes requests until ctx ends, and notes how long they took.
func request(ctx context.Context, s Store, rec backend.Record, sweeping *atomic.Bool, times *[2][]time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case due := <-tick.C:
			side := 0
			if sweeping.Load() {
				side = 1
			}
			var err error
			if n%4 == 3 {
				if err = s.Update(context.Background(), rec); err == nil {
					rec.Version++
				}
			} else {
				_, err = s.Load(context.Background(), rec.ID)
			}
			if err != nil {
				return err
			}
			times[side] = append(times[side], time.Since(due))
		}
	}
}

// sweep has the collector sweep, in phases, until nothing is left.
func (r *Result) sweep(ctx context.Context, s Store, sweeping *atomic.Bool) error {
	for {
		time.Sleep(phase) // nobody sweeps
		sweeping.Store(true)
		during, cancel := context.WithTimeout(ctx, phase)
		_, err := gc.Sweep(during, timed{s, r})
		over := during.Err() == nil
		cancel()
		sweeping.Store(false)
		if over || err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// timed notes how long the calls of a store's collector take. The end of a phase
// does not end them.
type timed struct {
	s Store
	r *Result
}

// Sweep implements [backend.Sweeper].
func (t timed) Sweep(ctx context.Context, limit int) (int, error) {
	began := time.Now()
	n, err := t.s.Sweep(context.WithoutCancel(ctx), limit)
	t.r.Removed += n
	if n > 0 {
		t.r.Batches = append(t.r.Batches, time.Since(began)*time.Duration(t.r.Batch)/time.Duration(n))
	}
	return n, err
}

// Ratio returns how many times the p99 of the requests beside the sweep is that
// of the others.
func (r Result) Ratio() float64 { return float64(At(r.Swept, 0.99)) / float64(At(r.Quiet, 0.99)) }

func (r Result) String() string {
	return fmt.Sprintf("%d records swept: p99 of %d requests %v, of %d quiet ones %v, ratio %.2f (p50 %v and %v); %d records in %v (p50), %v (p95)",
		r.Removed, len(r.Swept), At(r.Swept, 0.99), len(r.Quiet), At(r.Quiet, 0.99), r.Ratio(), At(r.Swept, 0.5), At(r.Quiet, 0.5),
		r.Batch, At(r.Batches, 0.5), At(r.Batches, 0.95))
}

// At returns the quantile q of sorted times, to the microsecond.
func At(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))].Round(time.Microsecond)
}
