package watch

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/stored"
)

const (
	// Every is the longest pause between two passes over all watches; each is
	// shorter by a random part, up to a sixth, so that several processes spread.
	Every = 1500 * time.Millisecond

	// batch is how many records the store is asked about at once.
	batch = backend.MaxCompared

	// loaders is how many records are loaded at once, at the most.
	loaders = 4
)

// run makes passes until stop is closed.
func (p *Poller) run(stop <-chan struct{}) {
	pass := pass{Poller: p, stop: stop}
	timer := time.NewTimer(pause())
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		pass.report(pass.run())
		timer.Reset(pause())
	}
}

func pause() time.Duration { return Every - rand.N(Every/6) }

// A pass looks once at all sessions. Its slices are used again by the next one.
type pass struct {
	*Poller
	stop    <-chan struct{}
	watches []*Watch
	asked   []*Watch          // of the present batch
	known   []backend.Version // of these
	failing bool              // the last pass could not look at all of them

	mu     sync.Mutex    // guards the rest, as some calls are made at once
	wasted time.Duration // on calls that failed, by this pass
	first  error         // of these
}

// run looks at all sessions, and returns the first error of the store's. A record
// that cannot be had keeps no other from being looked at, unless the calls that
// failed have taken as long as one may: each of the others could take as long.
func (p *pass) run() error {
	defer func() { // so that they do not keep sessions that are over
		clear(p.watches)
		clear(p.asked)
	}()
	p.wasted, p.first = 0, nil
	p.watches = p.all(p.watches[:0])
	for left := p.watches; len(left) > 0 && !p.over(); {
		n := min(batch, len(left))
		p.look(left[:n])
		left = left[n:]
	}
	return p.first
}

// over reports whether the pass makes no more calls.
func (p *pass) over() bool {
	select {
	case <-p.stop:
		return true
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wasted >= p.Timeout
}

// look finds out which of some sessions have ended. Most often the store says of
// all of them at once that nothing has changed; the others are loaded.
func (p *pass) look(watches []*Watch) {
	doubtful := p.gather(watches)
	if p.Store.Can.Comparer == nil {
		doubtful = append(doubtful, p.asked...)
	} else if len(p.known) > 0 {
		doubtful = append(doubtful, p.of(p.changed())...)
	}
	p.loadAll(doubtful)
}

// gather fills asked and known with what the store is to be asked about, and
// returns those that must be loaded whatever it says, as their time has come.
func (p *pass) gather(watches []*Watch) (due []*Watch) {
	p.asked, p.known = p.asked[:0], p.known[:0]
	now := stored.Now()
	for _, w := range watches {
		switch {
		case !w.of.Stored(&w.copy):
		case p.Store.Due(&w.copy, now):
			due = append(due, w)
		default:
			p.asked = append(p.asked, w)
			p.known = append(p.known, backend.Version{ID: w.copy.Cred.ID(), Version: w.copy.Version})
		}
	}
	return due
}

// changed asks the store which of known have changed.
func (p *pass) changed() (ids []uuid.UUID) {
	p.try(func(ctx context.Context) (err error) {
		ids, err = p.Store.Can.Comparer.Changed(ctx, p.known)
		return err
	})
	return ids
}

// of returns those of the watches asked about that have one of ids.
func (p *pass) of(ids []uuid.UUID) (found []*Watch) {
	if len(ids) == 0 {
		return nil
	}
	set := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	for _, w := range p.asked {
		if set[w.copy.Cred.ID()] {
			found = append(found, w)
		}
	}
	return found
}

// loadAll loads the records of watches, some at a time.
func (p *pass) loadAll(watches []*Watch) {
	left := make(chan *Watch, len(watches))
	for _, w := range watches {
		left <- w
	}
	close(left)
	var group sync.WaitGroup
	for range min(loaders, len(watches)) {
		group.Go(func() {
			for w := range left {
				if p.over() {
					return
				}
				p.load(w)
			}
		})
	}
	group.Wait()
}

// load finds out if the session of w has ended. That the store fails proves
// nothing.
func (p *pass) load(w *Watch) {
	p.try(func(ctx context.Context) error {
		var newest stored.Copy
		_, err := p.Store.Load(ctx, &w.copy.Cred, &newest)
		switch {
		case err == nil:
			w.copy = newest
		case stored.LostBy(err) != nil:
			w.of.Ended(&w.copy)
			return nil
		}
		return err
	})
}

// try makes one call of the store, and notes its failure.
func (p *pass) try(call func(context.Context) error) {
	start := time.Now()
	err := p.safely(call)
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wasted += time.Since(start)
	if p.first == nil {
		p.first = err
	}
}

// safely makes a call within the time-out, and makes an error of a panic.
func (p *pass) safely(call func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the store panicked: %v", r)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), p.Timeout)
	defer cancel()
	return call(ctx)
}

// report tells of an outage when it begins and when it is over, and counts each
// pass that failed.
func (p *pass) report(err error) {
	if err != nil {
		p.Failed(err)
	}
	ctx := context.Background()
	switch {
	case err != nil && !p.failing:
		p.Logger.LogAttrs(ctx, slog.LevelWarn, "session: watched sessions cannot be looked up, so their ends are told late", slog.Any("error", err))
	case err == nil && p.failing:
		p.Logger.LogAttrs(ctx, slog.LevelInfo, "session: watched sessions can be looked up again")
	}
	p.failing = err != nil
}
