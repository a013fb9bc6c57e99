package clusters

import (
	"errors"
	"sync"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// A lazy is servers that are started for the first test that needs them.
type lazy[T interface{ Stop() error }] struct {
	once  sync.Once
	value T
	err   error
	is    bool
	start func() (T, error)
	after func() error // to stop besides; nil: nothing
}

func (l *lazy[T]) get(t testing.TB) T {
	t.Helper()
	l.once.Do(func() {
		l.value, l.err = l.start()
		l.is = l.err == nil
	})
	must(t, "start the servers", l.err)
	return l.value
}

func (l *lazy[T]) stop() error {
	var err error
	if l.is {
		err = l.value.Stop()
	}
	if l.after != nil {
		err = errors.Join(err, l.after())
	}
	return err
}

// lab is the network that the Sentinels and their servers are in; nil where there
// can be none.
var lab *testserver.Lab

var sentinels = &lazy[*testserver.RedisSentinels]{
	start: func() (*testserver.RedisSentinels, error) {
		var hosts []testserver.Host
		l, err := testserver.StartLab(3)
		switch {
		case err == nil:
			lab, hosts = l, l.Hosts
		case !errors.Is(err, testserver.ErrNoLab):
			return nil, err
		}
		return testserver.StartRedisSentinels("", hosts)
	},
	after: func() error {
		if lab == nil {
			return nil
		}
		return lab.Stop()
	},
}

var cluster = &lazy[*testserver.RedisCluster]{
	start: func() (*testserver.RedisCluster, error) { return testserver.StartRedisCluster("", nil) },
}
