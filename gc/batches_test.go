package gc_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session/gc"
)

// TestJitter: fifty collectors that start at once do not sweep at
// once, the first time and later.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every, instances = time.Hour, 50
		var mu sync.Mutex
		at := map[int][]time.Duration{}
		start := time.Now()
		for i := range instances {
			c := gc.Start(sweepFunc(func(context.Context, int) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				at[i] = append(at[i], time.Since(start))
				return 0, nil
			}), gc.Options{Every: every, Logger: slog.New(slog.DiscardHandler)})
			defer c.Stop()
		}
		time.Sleep(3 * every)
		mu.Lock()
		defer mu.Unlock()
		for round := range 2 {
			earliest, latest := time.Duration(1<<62), time.Duration(0)
			for i := range instances {
				if len(at[i]) < 3 {
					t.Fatalf("collector %d swept %d times in three intervals", i, len(at[i]))
				}
				pause := at[i][round]
				if round > 0 {
					pause -= at[i][round-1]
				}
				if pause > every || pause < every*3/4 {
					t.Errorf("a pause of %v, want an hour less up to a quarter", pause)
				}
				earliest, latest = min(earliest, pause), max(latest, pause)
			}
			if latest-earliest < every/8 {
				t.Errorf("sweep %d: all instances within %v, want them spread over a quarter of an hour", round, latest-earliest)
			}
		}
	})
}

// TestBatchesEnd: each batch has a limit and a deadline, so that a
// store that hangs does not end the collecting.
func TestBatchesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := gc.Start(sweepFunc(func(ctx context.Context, limit int) (int, error) {
			calls++
			if limit != gc.Batch || gc.Batch > 10_000 {
				t.Errorf("a batch of %d, want %d", limit, gc.Batch)
			}
			deadline, ok := ctx.Deadline()
			if left := time.Until(deadline); !ok || left > time.Minute {
				t.Errorf("a batch has %v (a deadline: %v), want less than a minute", left, ok)
			}
			<-ctx.Done() // it hangs, as long as it may
			return 0, ctx.Err()
		}), gc.Options{Every: time.Minute, Logger: slog.New(slog.DiscardHandler)})
		time.Sleep(10 * time.Minute)
		c.Stop()
		if calls < 5 {
			t.Errorf("%d batches in 10 minutes of a store that hangs, want at least 5", calls)
		}
	})
}
