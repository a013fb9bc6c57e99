package postgres

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// rearm is how much longer than ioTimeout a deadline may be: one that is set for
// that much more serves all reads and writes meanwhile, and to set one is some per
// cent of a load.
const rearm = 250 * time.Millisecond

// A timedConn is a connection of our own pool: nothing that is read or written
// on it takes longer than ioTimeout and rearm, whatever the context. So a call
// needs no context with a deadline to have an end, which would cost it a timer and
// a goroutine, a few per cent of a load.
type timedConn struct {
	net.Conn

	mu    sync.Mutex // guards what follows, and that the connection has the deadline it says
	ours  time.Time  // the deadline that we set, zero if it is pgx's
	limit time.Time  // the one that pgx set, if any: in the past, to end a call whose context has ended
}

func (c *timedConn) Read(b []byte) (int, error) {
	if err := c.within(ioTimeout); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *timedConn) Write(b []byte) (int, error) {
	if err := c.within(ioTimeout); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// within sees to a deadline of at least d from now, unless pgx's is earlier.
func (c *timedConn) within(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.ours.Sub(now) >= d {
		return nil
	}
	deadline := now.Add(d + rearm)
	if !c.limit.IsZero() && c.limit.Before(deadline) {
		return c.set(c.limit, time.Time{})
	}
	return c.set(deadline, deadline)
}

// SetDeadline implements [net.Conn]. pgx calls it from a goroutine, too, while
// another one reads.
func (c *timedConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = t
	return c.set(t, time.Time{})
}

// set sets the connection's deadline, of which ours is what we vouch for; c.mu is
// held.
func (c *timedConn) set(t, ours time.Time) error {
	c.ours = ours
	return c.Conn.SetDeadline(t)
}

// recently is how long a connection is taken for alive that was used just now.
// Under load all are, and so none of them costs a look, which is some per cent
// of a load.
const recently = time.Millisecond

// shouldPing tells the pool whether to ask a connection if it lives before it
// lends it, which is a round trip. By default it asks after a second; a look
// at what the kernel has received tells as much, at once: nothing, if all is
// well, and the server's farewell or the end of the stream if not.
func shouldPing(_ context.Context, p pgxpool.ShouldPingParams) bool {
	if p.IdleDuration < recently {
		return false
	}
	conn := p.Conn.PgConn().Conn()
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = tls.NetConn()
	}
	if timed, ok := conn.(*timedConn); ok {
		if quiet, ok := quiet(timed.Conn); ok {
			return !quiet
		}
	}
	return p.IdleDuration > time.Second
}
