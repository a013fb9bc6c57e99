package gc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session/gc"
)

// sweepFunc is a store that only sweeps.
type sweepFunc func(ctx context.Context, limit int) (int, error)

func (f sweepFunc) Sweep(ctx context.Context, limit int) (int, error) { return f(ctx, limit) }

func TestSweepGoesOnUntilABatchIsNotFull(t *testing.T) {
	left, calls := 2*gc.Batch+7, 0
	n, err := gc.Sweep(t.Context(), sweepFunc(func(_ context.Context, limit int) (int, error) {
		calls++
		n := min(limit, left)
		left -= n
		return n, nil
	}))
	if err != nil || n != 2*gc.Batch+7 || calls != 3 {
		t.Errorf("Sweep = %d, %v in %d batches, want %d in 3", n, err, calls, 2*gc.Batch+7)
	}
}

func TestSweepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n, err := gc.Sweep(ctx, sweepFunc(func(context.Context, int) (int, error) {
		cancel()
		return gc.Batch, nil
	}))
	if !errors.Is(err, context.Canceled) || n != gc.Batch {
		t.Errorf("Sweep = %d, %v, want one batch and context.Canceled", n, err)
	}
}

// An error or a panic of the store is logged, and the next round runs.
func TestCollectorSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var swept atomic.Int64
		calls := 0
		c := gc.Start(sweepFunc(func(context.Context, int) (int, error) {
			calls++
			switch {
			case calls == 1:
				return 0, errors.New("no answer")
			case calls == 2:
				panic("store panicked")
			}
			return 3, nil
		}), gc.Options{Every: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil)), Swept: func(n int) { swept.Add(int64(n)) }})
		time.Sleep(10 * time.Minute)
		c.Stop()
		if calls < 10 || swept.Load() != int64(3*(calls-2)) {
			t.Errorf("%d sweeps in 10 minutes removed %d, want at least 10, 3 each but for the first two", calls, swept.Load())
		}
		for _, want := range []string{"no answer", "store panicked"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log does not say %q: %s", want, &log)
			}
		}
	})
}

// Stop waits for a sweep under way, and cancels it.
func TestStopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		c := gc.Start(sweepFunc(func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			ended = true
			return 0, ctx.Err()
		}), gc.Options{Every: time.Second, Logger: slog.New(slog.DiscardHandler)})
		time.Sleep(2 * time.Second)
		c.Stop()
		c.Stop()
		if !ended {
			t.Error("Stop returned before the sweep ended")
		}
	})
}
