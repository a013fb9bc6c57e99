// Package sqlcall is how the SQL backends that have a server make a call: so many
// at a time, and again where that helps and is right.
package sqlcall

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// Retries is how often a statement is run again, unless what went wrong has
	// a number of its own.
	Retries = 3

	// Contests is how often a statement is run again that the server undid in
	// favour of another's. Some of a crowd at one row lose more than three times,
	// and what they need is a while.
	Contests = 8

	// RetryWithin is how long after the beginning of a call a statement may be
	// run again; so a call has an end. ContestWithin is the same for one that
	// lost: of a deadlock PostgreSQL tells after a second (deadlock_timeout).
	RetryWithin   = time.Second
	ContestWithin = 2 * time.Second

	wait = time.Second // for a free connection
)

// A Repeat says what may be done about a connection that broke in the middle of
// a statement, when nobody knows whether the server ran it.
type Repeat bool

const (
	Once  Repeat = false // tell the caller, who looks
	Again Repeat = true  // run it again: twice is as good as once
)

// A Verdict says whether the same statement may succeed if it is run again.
type Verdict int

const (
	No      Verdict = iota // it would fail the same, or must not run twice
	Undone                 // it may: this one changed nothing
	Unknown                // it may: this one was done, or not
)

// Do runs f, which makes one statement, until it succeeds, and returns its last
// error. After each one judge says whether to run it again, and how often at the
// most. f is told whether an earlier try may have done the work.
func Do(ctx context.Context, began time.Time, f func(unsure bool) error, judge func(error) (v Verdict, retries int)) error {
	unsure := false
	for try := 0; ; try++ {
		err := f(unsure)
		if err == nil {
			return nil
		}
		verdict, retries := judge(err)
		within := RetryWithin
		if retries == Contests {
			within = ContestWithin
		}
		if verdict == No || try >= retries || time.Since(began) > within || !pause(ctx, try) {
			return err
		}
		unsure = unsure || verdict == Unknown
	}
}

// pause waits a random while that grows with the tries, up to the fourth, so that
// those who were in each other's way are not again. It reports whether ctx still
// lives.
func pause(ctx context.Context, try int) bool {
	timer := time.NewTimer(rand.N(10 * time.Millisecond << min(try, Retries)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Slots has a place for each connection of a pool. A pool itself would have its
// callers wait for ever: behind a server that hangs, each of a thousand requests
// for all those before it. A nil Slots has places for all.
type Slots chan struct{}

// ErrBusy is the error when no connection became free in time.
var ErrBusy = errors.New("all connections of the pool are busy")

// Enter takes a place, for which it waits a second at the most; Leave gives it
// back.
func (s Slots) Enter(ctx context.Context) error {
	if s == nil {
		return nil
	}
	select {
	case s <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case s <- struct{}{}:
		return nil
	case <-timer.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Leave gives back the place that Enter took.
func (s Slots) Leave() {
	if s != nil {
		<-s
	}
}
