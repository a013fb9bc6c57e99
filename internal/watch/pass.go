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
	failing bool              // the last pass could not be finished
}

// run looks at all sessions, and returns the first error of the store's: the
// others are looked at all the same, unless that would take a time-out each.
func (p *pass) run() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the store panicked: %v", r)
		}
		clear(p.watches) // so that they do not keep sessions that are over
		clear(p.asked)
	}()
	p.watches = p.all(p.watches[:0])
	for left := p.watches; len(left) > 0 && !p.stopped(); {
		n := min(batch, len(left))
		if err := p.look(left[:n]); err != nil {
			return err
		}
		left = left[n:]
	}
	return nil
}

func (p *pass) stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// look finds out which of some sessions have ended. Most often the store says of
// all of them at once that nothing has changed; the others are loaded.
func (p *pass) look(watches []*Watch) error {
	doubtful := p.gather(watches)
	if p.Store.Can.Comparer == nil {
		doubtful = append(doubtful, p.asked...)
	} else if len(p.known) > 0 {
		changed, err := p.changed()
		if err != nil {
			return err
		}
		doubtful = append(doubtful, p.of(changed)...)
	}
	return p.loadAll(doubtful)
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

func (p *pass) changed() (ids []uuid.UUID, err error) {
	err = p.call(context.Background(), func(ctx context.Context) (err error) {
		ids, err = p.Store.Can.Comparer.Changed(ctx, p.known)
		return err
	})
	return ids, err
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

// loadAll loads the records of watches, some at a time. After an error no other
// one is begun: it may have taken a time-out.
func (p *pass) loadAll(watches []*Watch) error {
	if len(watches) == 0 {
		return nil
	}
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		first error
	)
	next := func() (w *Watch) {
		mu.Lock()
		defer mu.Unlock()
		if first == nil && len(watches) > 0 && !p.stopped() {
			w, watches = watches[0], watches[1:]
		}
		return w
	}
	for range min(loaders, len(watches)) {
		group.Go(func() {
			for w := next(); w != nil; w = next() {
				if err := p.load(w); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	return first
}

// load finds out if the session of w has ended. That the store fails proves
// nothing.
func (p *pass) load(w *Watch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the store panicked: %v", r)
		}
	}()
	var newest stored.Copy
	err = p.call(context.Background(), func(ctx context.Context) (err error) {
		newest, _, err = p.Store.Load(ctx, &w.copy.Cred)
		return err
	})
	switch {
	case err == nil:
		w.copy = newest
	case stored.LostBy(err) != nil:
		w.of.Ended(&w.copy)
		return nil
	}
	return err
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
