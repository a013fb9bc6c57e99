package rueidis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/redis/rueidis"

	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/sentinel"
)

const (
	pingEvery   = 500 * time.Millisecond // on a connection that is silent
	refresh     = time.Second            // of the map of slots
	maxAge      = time.Hour
	idleTimeout = 4 * time.Minute
)

// The limits of a client of our own.
type limits struct {
	call time.Duration // after which a call is not tried again
	try  time.Duration // of one try, and of dialling
}

// usual are what Open gives. What is left of the 3 seconds that we promise is for
// the last try, and for a machine that is busy.
var usual = limits{call: 2 * time.Second, try: 700 * time.Millisecond}

// dial makes a client for a place, and connects.
func dial(p redisengine.Place, lim limits) (*wire, error) {
	opts := rueidis.ClientOption{
		InitAddress: p.Addrs, Username: p.User, Password: p.Password, SelectDB: p.DB, TLSConfig: p.TLS,
		Dialer:           net.Dialer{Timeout: lim.try, KeepAlive: pingEvery},
		ConnWriteTimeout: lim.try, ConnLifetime: maxAge,
		BlockingPoolSize: p.PoolSize, BlockingPoolCleanup: idleTimeout, BlockingPoolMinSize: 1,
		DisableCache: true, DisableRetry: true, ClientSetInfo: rueidis.DisableClientSetInfo,
		ForceSingleClient: p.Kind != redisengine.Cluster,
		ClusterOption:     rueidis.ClusterOption{ShardsRefreshInterval: refresh, MaxMovedRedirections: 16},
	}
	w := &wire{limit: lim.call, try: lim.try}
	if p.Kind == redisengine.Sentinel {
		w.watch = sentinel.New(sentinel.Config{Addrs: p.Addrs, Name: p.Name, User: p.SentinelUser, Password: p.SentinelPassword, TLS: p.TLS})
		opts.InitAddress = p.Addrs[:1] // only a name: the watch knows where to
		opts.DialCtxFn = func(ctx context.Context, _ string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, 2*lim.try)
			defer cancel()
			return w.watch.DialTLS(ctx)
		}
	}
	client, err := rueidis.NewClient(opts)
	if err != nil {
		return nil, errors.Join(failure(err), w.close())
	}
	w.client = client
	if p.Kind == redisengine.Cluster && client.Mode() != rueidis.ClientModeCluster { // rueidis takes what there is
		return nil, errors.Join(errors.New("this server is in no cluster: write redis://"), w.close())
	}
	return w, nil
}

// close closes a client of our own, and what dials for it.
func (w *wire) close() error {
	if w.client != nil {
		w.client.Close()
	}
	if w.watch == nil {
		return nil
	}
	return w.watch.Close()
}
