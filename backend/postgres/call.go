package postgres

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/chisession/session/backend"
)

const (
	maxRetries  = 3
	maxContests = 8           // retries of statements that the server undid, as others changed their row
	retryWithin = time.Second // from the beginning of a call; so a call has an end
	poolWait    = time.Second // for a free connection
)

// repeat says what may be done about a connection that broke in the middle of
// a statement, when nobody knows whether the server ran it.
type repeat bool

const (
	once  repeat = false // tell the caller, who looks
	again repeat = true  // run it again: twice is as good as once
)

// call runs f, which makes one statement, and runs it again where that helps
// and is right. unsure tells f whether an earlier try may have done the work.
// ctx goes to the driver as it is: one that can be cancelled costs a goroutine
// for every statement, one that cannot does not.
func (s *Store) call(ctx context.Context, op string, rep repeat, f func(unsure bool) error) error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	start := time.Now()
	if err := s.enter(ctx); err != nil {
		return s.failure(ctx, op, err, time.Since(start))
	}
	defer s.leave()
	unsure := false
	for try := 0; ; try++ {
		err := f(unsure)
		if err == nil {
			return nil
		}
		does := retryable(err, rep)
		if try >= tries(err) || does == no || ctx.Err() != nil || time.Since(start) > retryWithin || !pause(ctx, try) {
			return s.failure(ctx, op, err, time.Since(start))
		}
		unsure = unsure || does == unknown
	}
}

// tries is how often a statement may be run again after err. Where an account or
// a database has set the isolation to serializable or repeatable read, of several
// updates of a row all but the first are undone, each time: some of a crowd lose
// more than three times, and what they need is a while.
func tries(err error) int {
	if sqlState(err) == stateSerialization {
		return maxContests
	}
	return maxRetries
}

// enter waits for a connection of our own pool to be free. The pool would wait
// for ever: behind a server that hangs, each of a thousand requests for all
// those before it.
func (s *Store) enter(ctx context.Context) error {
	if s.slots == nil {
		return nil
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(poolWait)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() {
	if s.slots != nil {
		<-s.slots
	}
}

// pause waits a random while that grows with the tries, so that those who
// were in each other's way are not again. It reports whether ctx still lives.
func pause(ctx context.Context, try int) bool {
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(10*time.Millisecond) << min(try, maxRetries))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
