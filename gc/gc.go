// Package gc is the collector of expired sessions: it sweeps a store at
// intervals, in bounded batches, never on a request's time.
package gc

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/chisession/session/backend"
)

// Batch is how many records one step removes at the most, so that no store is
// held up for long.
const Batch = 1000

// stepTimeout bounds one batch; a store that hangs must not end the sweeping
// for ever.
const stepTimeout = 30 * time.Second

// Options configure a [Collector].
type Options struct {
	// Every is the longest pause between two sweeps; each is shorter by a
	// random part, up to a quarter, so that several instances spread.
	Every time.Duration

	// Logger gets what goes wrong; default slog.Default().
	Logger *slog.Logger

	// Swept, if set, is told how many records a sweep removed.
	Swept func(n int)
}

// A Collector sweeps one store until it is stopped.
type Collector struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// Start starts a collector; Stop ends it.
func Start(store backend.Sweeper, opts Options) *Collector {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Collector{cancel: cancel, done: make(chan struct{})}
	go c.run(ctx, store, opts)
	return c
}

// Stop ends the collector and waits until it has ended. It may be called more
// than once.
func (c *Collector) Stop() {
	c.cancel()
	<-c.done
}

func (c *Collector) run(ctx context.Context, store backend.Sweeper, opts Options) {
	defer close(c.done)
	timer := time.NewTimer(pause(opts.Every))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		n, err := Sweep(ctx, store)
		if n > 0 && opts.Swept != nil {
			opts.Swept(n)
		}
		if err != nil && ctx.Err() == nil {
			opts.Logger.LogAttrs(ctx, slog.LevelError, "session: sweep failed, the next one tries again",
				slog.Int("removed", n), slog.Any("error", err))
		}
		timer.Reset(pause(opts.Every))
	}
}

func pause(every time.Duration) time.Duration {
	return every - rand.N(every/4+1)
}

// Sweep removes all that has expired, batch after batch, and returns how much
// it was. It ends with ctx, between two batches. After each it rests for as long as
// that took, so that of a server that has nothing else to do half is left to those
// who make requests. A panic of the store is returned as an error.
func Sweep(ctx context.Context, store backend.Sweeper) (removed int, err error) {
	for ctx.Err() == nil {
		began := time.Now()
		n, err := step(ctx, store)
		removed += n
		if err != nil {
			return removed, err
		}
		if n < Batch {
			return removed, nil
		}
		rest(ctx, time.Since(began))
	}
	return removed, ctx.Err()
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func step(ctx context.Context, store backend.Sweeper) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("gc: the store panicked: %v", r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	return store.Sweep(ctx, Batch)
}
