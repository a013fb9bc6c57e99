package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
)

// callTimeout is how long a call may take on a pool of our own, waiting for a
// connection, dialling and trying again included. What is left of the 3 seconds
// that we promise is for slack and for a machine that is busy.
const callTimeout = 2200 * time.Millisecond

// A wire carries the engine's commands over a pool of connections.
type wire struct {
	pool *redis.Pool
	own  *dialer // nil if the pool is the caller's
}

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

// call makes the call of one command, with the WAIT behind it.
func (l lease) call(cmd redisengine.Command) (any, error) {
	if cmd.Replicas == 0 {
		return l.do(cmd.Words[0].(string), cmd.Words[1:]...)
	}
	reply, err := l.each([]redisengine.Command{cmd, {Words: cmd.Behind()}})
	if err != nil {
		return nil, err
	}
	replies, err := redis.Values(reply, nil)
	if err != nil || len(replies) != 2 {
		return nil, fmt.Errorf("%d replies to two commands: %w", len(replies), err)
	}
	if refused, ok := replies[0].(redis.Error); ok {
		return nil, refused
	}
	return replies[0], cmd.Confirmed(plain(replies[1]))
}

// Do implements [redisengine.Wire].
func (w *wire) Do(ctx context.Context, cmd redisengine.Command) (any, error) {
	d := w.due(ctx)
	reply, err := any(nil), ctx.Err()
	switch {
	case err != nil:
	case w.own == nil && ctx.Done() != nil:
		reply, err = w.detached(d, []redisengine.Command{cmd}, w.one)
	default:
		reply, err = w.attempts(d, cmd)
	}
	if errors.Is(err, backend.ErrNotReplicated) {
		return plain(reply), err
	}
	if err != nil {
		return nil, refusal(because(ctx, err))
	}
	return plain(reply), nil
}

// one is attempts for the one command in cmds.
func (w *wire) one(d *due, cmds []redisengine.Command) (any, error) { return w.attempts(d, cmds[0]) }

// Many implements [redisengine.Wire].
func (w *wire) Many(ctx context.Context, cmds []redisengine.Command) ([]any, error) {
	d := w.due(ctx)
	reply, err := any(nil), ctx.Err()
	switch {
	case err != nil:
	case w.own == nil && ctx.Done() != nil:
		reply, err = w.detached(d, cmds, w.batch)
	default:
		reply, err = w.batch(d, cmds)
	}
	if err != nil {
		return nil, refusal(because(ctx, err))
	}
	replies, _ := plain(reply).([]any)
	return replies, nil
}

// Primaries implements [redisengine.Wire].
func (w *wire) Primaries(ctx context.Context, fn func(redisengine.Ask) error) error {
	return fn(func(words ...any) (any, error) { return w.Do(ctx, redisengine.Command{Words: words, Again: true}) })
}

// Mode implements [redisengine.Wire].
func (w *wire) Mode(ctx context.Context) (string, error) {
	reply, err := w.Do(ctx, redisengine.Command{Words: []any{"HELLO"}, Again: true})
	fields, _ := reply.([]any)
	for i := 0; i+1 < len(fields); i += 2 {
		if name, _ := fields[i].([]byte); string(name) == "mode" {
			mode, _ := fields[i+1].([]byte)
			return string(mode), err
		}
	}
	return "", err
}

// due returns by when a call with this context must be done.
func (w *wire) due(ctx context.Context) *due {
	d := &due{Context: ctx}
	d.deadline, d.exact = ctx.Deadline()
	if w.own != nil {
		d.began = time.Now()
		if limit := d.began.Add(callTimeout); !d.exact || limit.Before(d.deadline) {
			d.deadline, d.exact = limit, false
		}
	}
	return d
}

// replyOK is the status that nearly all are, made once.
var replyOK any = []byte("OK")

// plain makes a reply what the engine takes: redigo's statuses are strings.
func plain(reply any) any {
	switch reply := reply.(type) {
	case string:
		if reply == "OK" {
			return replyOK
		}
		return []byte(reply)
	case redis.Error:
		return redisengine.Refuse(string(reply))
	case []any:
		for i := range reply {
			reply[i] = plain(reply[i])
		}
	}
	return reply
}

// refusal makes a server's error what the engine takes. It is all that is left
// of err: a server's refusal has no other cause.
func refusal(err error) error {
	if text, ok := errors.AsType[redis.Error](err); ok {
		return redisengine.Refuse(string(text))
	}
	return err
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

// detached runs calls on a caller's pool in a goroutine of its own: a
// connection that somebody else dialled cannot be interrupted, so when the
// context ends first, the call is left to end by its own time-outs.
func (w *wire) detached(d *due, cmds []redisengine.Command, call func(*due, []redisengine.Command) (any, error)) (any, error) {
	type outcome struct {
		reply any
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		reply, err := call(d, cmds)
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
func (w *wire) attempts(d *due, cmd redisengine.Command) (any, error) {
	for left := w.chances(cmd.Again); ; left-- {
		c, err := w.get(d)
		if err != nil {
			return nil, err
		}
		reply, err := lease{c, d, w.own != nil}.call(cmd)
		w.put(c, err)
		if err == nil || left <= 0 || !dead(err) {
			return reply, err
		}
	}
}

// batch is attempts for several commands that may be sent again.
func (w *wire) batch(d *due, cmds []redisengine.Command) (any, error) {
	for left := w.chances(true); ; left-- {
		c, err := w.get(d)
		if err != nil {
			return nil, err
		}
		reply, err := lease{c, d, w.own != nil}.each(cmds)
		w.put(c, err)
		if err == nil || left <= 0 || !dead(err) {
			return reply, err
		}
	}
}

// chances returns how often a call may be made again.
func (w *wire) chances(again bool) int {
	switch {
	case !again:
		return 0
	case w.own == nil:
		return w.pool.IdleCount() + 1
	}
	return 1
}

// each sends commands in one write and returns their replies, the server's
// errors among them.
func (l lease) each(cmds []redisengine.Command) (any, error) {
	for _, cmd := range cmds {
		if err := l.c.Send(cmd.Words[0].(string), cmd.Words[1:]...); err != nil {
			return nil, err
		}
	}
	return l.do("")
}

// get takes a connection out of the pool.
func (w *wire) get(d *due) (redis.Conn, error) {
	if w.own == nil {
		return w.pool.GetContext(d.Context)
	}
	if err := w.own.slots.acquire(d); err != nil {
		return nil, err
	}
	c, err := w.pool.GetContext(d) // see dialer.test and dialer.dial
	if err != nil {
		w.own.slots.release()
	}
	return c, err
}

// put gives a connection back, or closes it if err says that it is no good.
func (w *wire) put(c redis.Conn, err error) {
	if w.own != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		w.own.doubt()
	}
	if err != nil && (dead(err) || deposed(err)) {
		if w.own != nil {
			w.own.doubt()
			w.own.retire()
		}
		// Ends any redigo connection, unsent, so that its pool drops it.
		_, _ = redis.DoContext(c, expired, "PING")
	}
	_ = c.Close() // what it could say, the call's own error has said
	if w.own != nil {
		w.own.slots.release()
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
func deposed(err error) bool {
	return redisengine.Refused(refusal(err), "READONLY", "MASTERDOWN", "NOAUTH")
}
