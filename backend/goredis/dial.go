package goredis

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/sentinel"
)

const (
	idleTimeout = 4 * time.Minute
	maxAge      = time.Hour
)

// The limits of a client of our own.
type limits struct {
	call time.Duration // of one call, all tries included
	dial time.Duration
	read time.Duration // of one try; WAIT comes on top
}

// usual are what Open gives. What is left of the 3 seconds that we promise is for a
// machine that is busy.
var usual = limits{call: 2200 * time.Millisecond, dial: time.Second, read: 700 * time.Millisecond}

// dial makes a client for a place. It connects when it is used.
func dial(p redisengine.Place, lim limits) (*wire, io.Closer) {
	read := lim.read
	if p.Options.Replicas > 0 {
		read += max(p.Options.ReplicaWait, 500*time.Millisecond)
	}
	d := &dials{dial: redis.NewDialer(&redis.Options{DialTimeout: lim.dial, TLSConfig: p.TLS})}
	if p.Kind == redisengine.Cluster {
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Dialer: d.connect, Addrs: p.Addrs, Username: p.User, Password: p.Password, TLSConfig: p.TLS,
			DialTimeout: lim.dial, ReadTimeout: read, WriteTimeout: read, ContextTimeoutEnabled: true,
			MaxRedirects: 8, MinRetryBackoff: 8 * time.Millisecond, MaxRetryBackoff: 128 * time.Millisecond,
			PoolSize: p.PoolSize, ConnMaxIdleTime: idleTimeout, ConnMaxLifetime: maxAge, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		w := newWire(client)
		w.limit, w.dials = lim.call, d
		return w, client
	}
	opts := &redis.Options{
		Dialer: d.connect, Addr: p.Addrs[0], Username: p.User, Password: p.Password, DB: p.DB, TLSConfig: p.TLS,
		DialTimeout: lim.dial, ReadTimeout: read, WriteTimeout: read, ContextTimeoutEnabled: true, MaxRetries: 2,
		PoolSize: p.PoolSize, ConnMaxIdleTime: idleTimeout, ConnMaxLifetime: maxAge, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	var watch *sentinel.Watch
	if p.Kind == redisengine.Sentinel {
		watch = sentinel.New(sentinel.Config{Addrs: p.Addrs, Name: p.Name, User: p.SentinelUser, Password: p.SentinelPassword, TLS: p.TLS})
		d.dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return watch.DialTLS(ctx) }
	}
	client := redis.NewClient(opts)
	w := newWire(client)
	w.limit, w.watch, w.dials = lim.call, watch, d
	return w, closer{client, watch}
}

// dials makes the connections of a client, and remembers why the last one failed:
// go-redis dials again and again, and when the time of the call is up, it tells of
// that alone.
type dials struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	last atomic.Pointer[failedDial]
}

// A failedDial is why a connection could not be made, and when.
type failedDial struct {
	err error
	at  time.Time
}

// connect makes a connection.
func (d *dials) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := d.dial(ctx, network, addr)
	if err != nil && ctx.Err() == nil {
		d.last.Store(&failedDial{err, time.Now()})
	}
	return conn, err
}

// failed returns why a connection could not be made since a moment, or nil.
func (d *dials) failed(since time.Time) error {
	if last := d.last.Load(); last != nil && !last.at.Before(since) {
		return last.err
	}
	return nil
}

// A closer closes a client and what dials for it.
type closer struct {
	client *redis.Client
	watch  *sentinel.Watch // or nil
}

func (c closer) Close() error {
	err := c.client.Close()
	if c.watch != nil {
		err = errors.Join(err, c.watch.Close())
	}
	return err
}
