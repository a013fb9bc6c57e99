package clusters

import (
	"errors"
	"sync"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// A lazy is servers that are started for the first test that needs them.
type lazy[T interface{ Stop() error }] struct {
	turn  sync.Mutex // of the tests of a plain run, see take
	once  sync.Once
	value T
	err   error
	is    bool
	start func() (T, error)
	after func() error // to stop besides; nil: nothing
}

// take is get for a whole test, which nobody else disturbs. A plain run has the
// deployments side by side, as their tests mostly wait; where many runs are counted,
// one is tested after the other.
func (l *lazy[T]) take(t *testing.T) T {
	t.Helper()
	if sideBySide(t) {
		l.turn.Lock()
		t.Cleanup(l.turn.Unlock)
	}
	return l.get(t)
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

// lab and galeraLab are the networks that the Sentinels and their servers, and the
// nodes of Galera, are in; nil where there can be none.
var lab, galeraLab *testserver.Lab

// labHosts makes a network of three hosts, or returns none where there is none to
// be had.
func labHosts(l **testserver.Lab) ([]testserver.Host, error) {
	made, err := testserver.StartLab(3)
	if errors.Is(err, testserver.ErrNoLab) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	*l = made
	return made.Hosts, nil
}

func stopLab(l **testserver.Lab) func() error {
	return func() error {
		if *l == nil {
			return nil
		}
		return (*l).Stop()
	}
}

var sentinels = &lazy[*testserver.RedisSentinels]{
	start: func() (*testserver.RedisSentinels, error) {
		hosts, err := labHosts(&lab)
		if err != nil {
			return nil, err
		}
		return testserver.StartRedisSentinels(testserver.RedisGroupOptions{Hosts: hosts})
	},
	after: stopLab(&lab),
}

var cluster = &lazy[*testserver.RedisCluster]{
	start: func() (*testserver.RedisCluster, error) {
		return testserver.StartRedisCluster(testserver.RedisGroupOptions{})
	},
}

var galera = &lazy[*testserver.Galera]{
	start: func() (*testserver.Galera, error) {
		hosts, err := labHosts(&galeraLab)
		if err != nil {
			return nil, err
		}
		return testserver.StartGalera(3, hosts)
	},
	after: stopLab(&galeraLab),
}
