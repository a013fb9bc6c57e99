package mysql

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/chisession/session/backend"
)

const (
	maxRetries  = 3
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
// and is right. ctx goes to the driver as it is: one that can be cancelled
// costs a goroutine's turn on every statement, one that cannot does not.
func (s *Store) call(ctx context.Context, op string, rep repeat, f func() error) error {
	if s.closed.Load() {
		return backend.ErrClosed
	}
	start := time.Now()
	if err := s.enter(ctx); err != nil {
		return s.failure(op, err, time.Since(start))
	}
	defer s.leave()
	for try := 0; ; try++ {
		began := time.Now()
		err := f()
		if err == nil {
			return nil
		}
		if s.hosts.several() && useless(err, time.Since(began)) {
			s.hosts.leave(began)
		}
		if try == maxRetries || !retryable(err, rep) || time.Since(start) > retryWithin || !pause(ctx, try) {
			if ctxErr := ctx.Err(); ctxErr != nil {
				err = ctxErr
			}
			return s.failure(op, err, time.Since(start))
		}
	}
}

// enter waits for a connection of our own pool to be free. database/sql would
// wait for ever: behind a server that hangs, each of a thousand requests for
// all those before it.
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
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(10*time.Millisecond) << try)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
