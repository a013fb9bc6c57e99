package behaviour

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/chisession/session/internal/leak"
	"github.com/chisession/session/internal/testserver"
)

// TestMain ends the servers that tests have started, and fails the run if a
// goroutine is left over: of a manager that was not closed, of a request that
// was not released, of a store.
func TestMain(m *testing.M) {
	testserver.MoreParallel(4)
	code := m.Run()
	err := errors.Join(mariaDB.stop(), redisServer.stop(), postgresServer.stop())
	if code == 0 {
		err = errors.Join(err, leak.Find())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// A lazyServer is started by the first test that needs it: a run of one
// backend's cases starts no other's.
type lazyServer[T interface{ Stop() error }] struct {
	start  func() (T, error)
	once   sync.Once
	server T
	err    error
}

var (
	mariaDB = lazyServer[*testserver.MariaDB]{start: func() (*testserver.MariaDB, error) {
		return testserver.StartMariaDB(testserver.MariaDBOptions{})
	}}
	redisServer = lazyServer[*testserver.Redis]{start: func() (*testserver.Redis, error) {
		return testserver.StartRedis(testserver.RedisOptions{})
	}}
)

// get returns the server. One that is not there fails the test, with the cure.
func (l *lazyServer[T]) get(t testing.TB) T {
	t.Helper()
	l.once.Do(func() { l.server, l.err = l.start() })
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.server
}

func (l *lazyServer[T]) stop() error {
	started := true
	l.once.Do(func() { started = false })
	if !started || l.err != nil {
		return nil
	}
	return l.server.Stop()
}
