package postgres

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// A timedConn is a connection of our own pool: nothing that is read or written
// on it takes longer than ioTimeout, whatever the context. So a call needs no
// context with a deadline to have an end, which would cost it a timer and a
// goroutine, a few per cent of a load.
type timedConn struct {
	net.Conn

	// limit is the deadline that pgx set, in nanoseconds since 1970; 0: none.
	// It sets one in the past to end a call whose context has ended.
	limit atomic.Int64
}

func (c *timedConn) Read(b []byte) (int, error) {
	if err := c.within(c.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *timedConn) Write(b []byte) (int, error) {
	if err := c.within(c.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// within sets a deadline ioTimeout from now, unless pgx's is earlier.
func (c *timedConn) within(set func(time.Time) error) error {
	deadline := time.Now().Add(ioTimeout)
	if err := set(deadline); err != nil {
		return err
	}
	// It is looked at after ours is set, as pgx sets its from a goroutine:
	// one that comes from now on is set by SetDeadline, after ours.
	if limit := c.limit.Load(); limit != 0 && limit < deadline.UnixNano() {
		return set(time.Unix(0, limit))
	}
	return nil
}

// SetDeadline implements [net.Conn].
func (c *timedConn) SetDeadline(t time.Time) error {
	if t.IsZero() {
		c.limit.Store(0)
	} else {
		c.limit.Store(t.UnixNano())
	}
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
