package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
)

// callTimeout is how long a call may take on a pool of our own, waiting for a
// connection, dialling and trying again included. What is left of the 3 seconds
// that we promise is for slack and for a machine that is busy.
const callTimeout = 2200 * time.Millisecond

// A repeat says whether a call may be sent again after its connection was
// found dead: the first one may have been executed.
type repeat bool

const (
	once  repeat = false
	again repeat = true // idempotent
)

// A due is the context of one call and the instant by which it must be done.
type due struct {
	context.Context
	began    time.Time // on a pool of our own
	deadline time.Time // zero: what the caller's pool says
	exact    bool      // the deadline is the context's and not callTimeout
}

// A lease is a connection for the time of one call.
type lease struct {
	c   redis.Conn
	due *due
	own bool // c is a conn
}

// do sends a command and whatever was sent before, and returns the answer,
// or for the empty command all answers.
func (l lease) do(command string, args ...any) (any, error) {
	switch {
	case l.own: // through the pool's connection, which knows contexts, to ours, which knows a due
		return redis.DoContext(l.c, l.due, command, args...)
	case l.due.deadline.IsZero():
		return l.c.Do(command, args...)
	}
	left := time.Until(l.due.deadline)
	if left <= 0 {
		return nil, os.ErrDeadlineExceeded
	}
	return redis.DoWithTimeout(l.c, left, command, args...)
}

// run calls fn with a connection from the pool. Errors come back fit to be
// shown: without values and passwords, and with the context's if that was the
// reason.
func (s *Store) run(ctx context.Context, r repeat, fn func(lease) (any, error)) (any, error) {
	if s.closed.Load() {
		return nil, backend.ErrClosed
	}
	d := &due{Context: ctx}
	d.deadline, d.exact = ctx.Deadline()
	if s.own != nil {
		d.began = time.Now()
		if limit := d.began.Add(callTimeout); !d.exact || limit.Before(d.deadline) {
			d.deadline, d.exact = limit, false
		}
	}
	var reply any
	err := ctx.Err()
	switch {
	case err != nil:
	case s.own == nil && ctx.Done() != nil:
		reply, err = s.detached(d, r, fn)
	default:
		reply, err = s.attempts(d, r, fn)
	}
	if err != nil {
		return nil, clean(because(ctx, err))
	}
	return reply, nil
}

// because adds the context's error to a time-out that it caused. The
// connection's clock may be a moment ahead of the context's.
func because(ctx context.Context, err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// detached runs a call on a caller's pool in a goroutine of its own: a
// connection that somebody else dialled cannot be interrupted, so when the
// context ends first, the call is left to end by its own time-outs.
func (s *Store) detached(d *due, r repeat, fn func(lease) (any, error)) (any, error) {
	type outcome struct {
		reply any
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		reply, err := s.attempts(d, r, fn)
		done <- outcome{reply, err}
	}()
	select {
	case o := <-done:
		return o.reply, o.err
	case <-d.Done():
		return nil, d.Err()
	}
}

// attempts makes the call, and again on another connection if it may and its
// connection was dead. On our own pool all idle ones are then dropped, so the
// second is fresh; on a caller's, there are at most so many dead ones as idle
// ones.
func (s *Store) attempts(d *due, r repeat, fn func(lease) (any, error)) (any, error) {
	left := 1
	if s.own == nil && r == again {
		left = s.pool.IdleCount() + 1
	}
	for {
		c, err := s.get(d)
		if err != nil {
			return nil, err
		}
		reply, err := fn(lease{c, d, s.own != nil})
		s.put(c, err)
		if err == nil || r == once || left == 0 || !dead(err) {
			return reply, err
		}
		left--
	}
}

// get takes a connection out of the pool.
func (s *Store) get(d *due) (redis.Conn, error) {
	if s.own == nil {
		return s.pool.GetContext(d.Context)
	}
	if err := s.own.slots.acquire(d); err != nil {
		return nil, err
	}
	c, err := s.pool.GetContext(d) // see dialer.test and dialer.dial
	if err != nil {
		s.own.slots.release()
	}
	return c, err
}

// put gives a connection back, or closes it if err says that it is no good.
func (s *Store) put(c redis.Conn, err error) {
	if err != nil && (dead(err) || deposed(err)) {
		if s.own != nil {
			s.own.retire()
		}
		// Ends any redigo connection, unsent, so that its pool drops it.
		_, _ = redis.DoContext(c, expired, "PING")
	}
	_ = c.Close() // what it could say, the call's own error has said
	if s.own != nil {
		s.own.slots.release()
	}
}

// expired is a context whose time is over.
var expired = func() context.Context {
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	cancel()
	return ctx
}()

// dead reports whether err says that the connection had been cut.
func dead(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

// deposed reports whether the server at the other end is no longer the one to
// talk to: after a failover the address leads to another one.
func deposed(err error) bool { return refused(err, "READONLY", "MASTERDOWN", "NOAUTH") }

// wrongType reports whether the key holds something else than it should.
func wrongType(err error) bool { return refused(err, "WRONGTYPE") }

// clean cuts from a server's error what it quotes of a command it does not
// know: that may be a value.
func clean(err error) error {
	refusal, ok := errors.AsType[redis.Error](err)
	if !ok {
		return err
	}
	text, _, cut := strings.Cut(string(refusal), ", with args beginning with")
	if !cut {
		return err
	}
	return redis.Error(text)
}
