package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/sentinel"
)

const (
	dialTimeout = 1500 * time.Millisecond
	keepAlive   = 30 * time.Second
)

var errStale = errors.New("stale connection")

// A dialer makes the connections of a pool of our own. It exists so that a
// call has one deadline for all it does, and a dead connection is found
// before a write is entrusted to it.
type dialer struct {
	target     target
	watch      *sentinel.Watch // nil: the server is at target.addr
	slots      slots
	generation atomic.Uint64
}

func newDialer(t target) *dialer {
	d := &dialer{target: t, slots: make(slots, t.poolSize)}
	if p := t.sentinels; p != nil {
		d.watch = sentinel.New(sentinel.Config{
			Addrs: p.Addrs, Name: p.Name, User: p.SentinelUser, Password: p.SentinelPassword, TLS: p.TLS,
			Moved: func(string) { d.retire() },
		})
	}
	return d
}

// close ends what dials.
func (d *dialer) close() error {
	if d.watch == nil {
		return nil
	}
	return d.watch.Close()
}

// doubt says that a call met no primary that answers.
func (d *dialer) doubt() {
	if d.watch != nil {
		d.watch.Doubt()
	}
}

// connect makes a network connection, and returns its address.
func (d *dialer) connect(ctx context.Context) (net.Conn, string, error) {
	if d.watch != nil {
		return d.watch.Dial(ctx)
	}
	raw, err := (&net.Dialer{KeepAlive: keepAlive}).DialContext(ctx, d.target.network, d.target.addr)
	return raw, d.target.addr, err
}

// retire has every connection made until now closed instead of used again.
func (d *dialer) retire() { d.generation.Add(1) }

// dial connects, authenticates and selects the database, within dialTimeout
// and the call's own time.
func (d *dialer) dial(ctx context.Context) (redis.Conn, error) {
	generation := d.generation.Load()
	born := time.Now()
	deadline := born.Add(dialTimeout)
	if call, ok := ctx.(*due); ok { // the deadline without a timer, for the many calls that dial nothing
		ctx = call.Context
		if call.deadline.Before(deadline) {
			deadline = call.deadline
		}
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	raw, addr, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	c, err := d.greet(ctx, raw, addr, deadline)
	if err != nil {
		_ = raw.Close() // a handshake that failed has closed it, most often
		return nil, fmt.Errorf("connect to %s: %w", d.target, err)
	}
	c.generation, c.born = generation, born
	return c, nil
}

// greet makes a Redis connection of a network connection.
func (d *dialer) greet(ctx context.Context, raw net.Conn, addr string, deadline time.Time) (*conn, error) {
	probe, err := newProbe(raw)
	if err != nil {
		return nil, err
	}
	if raw, err = redisengine.Secure(ctx, raw, addr, d.target.tls); err != nil {
		return nil, err
	}
	timed := &timedConn{Conn: raw}
	c := &conn{Conn: redis.NewConn(timed, 0, 0), net: timed, probe: probe}
	for _, command := range d.target.greeting() {
		if err := c.Send(command[0].(string), command[1:]...); err != nil {
			return nil, err
		}
	}
	replies, err := redis.Values(c.DoWithTimeout(time.Until(deadline), ""))
	if err != nil && !errors.Is(err, redis.ErrNil) { // nothing to say is nil
		return nil, err
	}
	for _, reply := range replies {
		if err, ok := reply.(redis.Error); ok {
			return nil, err
		}
	}
	return c, nil
}

const (
	// freshFor is how long a connection that was given back is taken for
	// alive. One that dies within that time is found out by its next call,
	// as one that dies during a call is.
	freshFor = 100 * time.Millisecond

	// maxAge is when a connection is replaced.
	maxAge = time.Hour
)

// test is the pool's TestOnBorrowContext. It costs no round trip, and for a
// connection that was in use a moment ago no system call.
func (d *dialer) test(ctx context.Context, c redis.Conn, returned time.Time) error {
	own, ok := c.(*conn)
	if !ok || own.generation != d.generation.Load() {
		return errStale
	}
	call, ok := ctx.(*due)
	if !ok || call.began.Sub(own.born) > maxAge {
		return errStale
	}
	if call.began.Sub(returned) > freshFor && !own.probe.alive() {
		return errStale
	}
	return nil
}

// conn is a redigo connection under one deadline for a whole call, writing
// and reading together.
type conn struct {
	redis.Conn
	net        *timedConn
	probe      *probe
	generation uint64
	born       time.Time
}

// Send implements [redis.Conn]. It may write, so it needs a deadline, too.
func (c *conn) Send(command string, args ...any) error {
	if err := c.net.within(callTimeout); err != nil {
		return err
	}
	return c.Conn.Send(command, args...)
}

// DoWithTimeout implements [redis.ConnWithTimeout].
func (c *conn) DoWithTimeout(timeout time.Duration, command string, args ...any) (any, error) {
	if err := c.net.within(timeout); err != nil {
		return nil, err
	}
	return c.Conn.Do(command, args...)
}

// ReceiveWithTimeout implements [redis.ConnWithTimeout].
func (c *conn) ReceiveWithTimeout(timeout time.Duration) (any, error) {
	if err := c.net.within(timeout); err != nil {
		return nil, err
	}
	return c.Receive()
}

// DoContext implements [redis.ConnWithContext]. For a due it is Do with that
// deadline, and no goroutine.
func (c *conn) DoContext(ctx context.Context, command string, args ...any) (any, error) {
	d, ok := ctx.(*due)
	if !ok {
		return redis.DoContext(c.Conn, ctx, command, args...)
	}
	if err := c.net.limit(d.deadline, d.exact); err != nil {
		return nil, err
	}
	return c.Conn.Do(command, args...)
}

// ReceiveContext implements [redis.ConnWithContext].
func (c *conn) ReceiveContext(ctx context.Context) (any, error) {
	return redis.ReceiveContext(c.Conn, ctx)
}

// timedConn is a network connection whose deadline is set by limit alone:
// redigo's own setting, twice a command, is ignored.
type timedConn struct {
	net.Conn
	until time.Time // the deadline that is set
}

// slack is by how much a call may overrun callTimeout, so that one deadline
// serves all calls of that time, and is not set for each.
const slack = 100 * time.Millisecond

// limit sets the deadline, or one up to slack later unless it must be exact.
func (c *timedConn) limit(deadline time.Time, exact bool) error {
	if !exact {
		if over := c.until.Sub(deadline); over >= 0 && over <= slack {
			return nil
		}
		deadline = deadline.Add(slack)
	}
	c.until = deadline
	return c.Conn.SetDeadline(deadline)
}

func (c *timedConn) within(timeout time.Duration) error {
	return c.limit(time.Now().Add(timeout), timeout < callTimeout)
}

func (*timedConn) SetReadDeadline(time.Time) error  { return nil }
func (*timedConn) SetWriteDeadline(time.Time) error { return nil }

// A probe looks, without waiting, whether the server has closed a connection.
type probe struct {
	raw   syscall.RawConn
	look  func(fd uintptr)
	state bool
}

func newProbe(c net.Conn) (*probe, error) {
	p := &probe{}
	p.look = func(fd uintptr) { p.state = quiet(fd) }
	if c, ok := c.(syscall.Conn); ok {
		raw, err := c.SyscallConn()
		if err != nil {
			return nil, err
		}
		p.raw = raw
	}
	return p, nil
}

// alive reports whether an idle connection is open and silent, as it should
// be: bytes that nobody asked for are a farewell, or an answer to somebody
// else's question.
func (p *probe) alive() bool {
	if p.raw == nil {
		return true
	}
	return p.raw.Control(p.look) == nil && p.state
}

// slots bounds how many connections are in use. Unlike a redigo pool that
// waits, it waits without a context with a deadline for every call.
type slots chan struct{}

func (s slots) acquire(d *due) error {
	select {
	case s <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(d.deadline))
	defer timer.Stop()
	select {
	case s <- struct{}{}:
		return nil
	case <-d.Done():
		return fmt.Errorf("all %d connections are busy: %w", cap(s), d.Err())
	case <-timer.C:
		return fmt.Errorf("all %d connections are busy: %w", cap(s), os.ErrDeadlineExceeded)
	}
}

func (s slots) release() { <-s }
