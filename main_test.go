package session_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/chisession/session/backend"
	_ "github.com/chisession/session/backend/file"
	_ "github.com/chisession/session/backend/memory"
	_ "github.com/chisession/session/backend/mysql"
	_ "github.com/chisession/session/backend/redis"
	"github.com/chisession/session/internal/testserver"
)

// TestMain ends the servers that tests have started, and fails the run if a
// goroutine is left over: of a manager that was not closed, of a request that
// was not released, of a store.
func TestMain(m *testing.M) {
	code := m.Run()
	err := errors.Join(mariaDB.stop(), redisServer.stop())
	if code == 0 {
		err = errors.Join(err, goleak.Find())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// A lazyServer is started by the first test that needs it: a run of the
// memory cases alone starts none.
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

// A kind is a backend to test, as its users see it: a name and save paths.
type kind struct {
	name string

	// fresh returns the save path of a place of its own, empty and shared
	// with nobody.
	fresh func(t testing.TB) string

	// lasts says that what is opened again at a save path has what was there.
	lasts bool

	// count counts the records at a save path, where the store itself cannot.
	count func(t testing.TB, savePath string) int
}

var kinds = []kind{
	{name: "memory", fresh: func(testing.TB) string { return "" }},
	{name: "file", lasts: true, fresh: func(t testing.TB) string { return filepath.Join(t.TempDir(), "sessions") }},
	{name: "mysql", lasts: true, fresh: freshDatabase},
	{name: "redis", lasts: true, fresh: freshPrefix, count: countKeys},
}

func freshDatabase(t testing.TB) string {
	t.Helper()
	server := mariaDB.get(t)
	name, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.DropDatabase(name); err != nil {
			t.Error(err)
		}
	})
	return server.DSN(name)
}

var prefixes atomic.Int64

func freshPrefix(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("%s?prefix=%d-%d:", redisServer.get(t).URL(), os.Getpid(), prefixes.Add(1))
}

// countKeys counts the session keys; those of the user index have an @.
func countKeys(t testing.TB, savePath string) int {
	t.Helper()
	_, prefix, _ := strings.Cut(savePath, "?prefix=")
	reply, err := redisServer.get(t).Do("KEYS", prefix+"[^@]*")
	if err != nil {
		t.Fatal(err)
	}
	return len(reply.([]any))
}

// opened remembers where the stores of running tests are, for countKeys.
var opened sync.Map // backend.Store → func(testing.TB) int

// open opens a store in a place of its own.
func (k kind) open(t *testing.T) backend.Store {
	t.Helper()
	return k.openAt(t, k.fresh(t))
}

// openAt opens the store at savePath; it is closed when the test ends.
func (k kind) openAt(t *testing.T, savePath string) backend.Store {
	t.Helper()
	store, err := backend.Open(k.name, savePath)
	if err != nil {
		t.Fatal(err)
	}
	if k.count != nil {
		opened.Store(store, func(t testing.TB) int { return k.count(t, savePath) })
	}
	t.Cleanup(func() {
		opened.Delete(store)
		if c, ok := store.(interface{ Close() error }); ok {
			if err := c.Close(); err != nil {
				t.Errorf("close the %s store: %v", k.name, err)
			}
		}
	})
	return store
}

// forEachKind runs a case once for each backend.
func forEachKind(t *testing.T, run func(t *testing.T, k kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { run(t, k) })
	}
}

// forEachBackend runs a case once for each backend; open opens a store in a
// place of its own, and closes it when the test ends.
func forEachBackend(t *testing.T, run func(t *testing.T, open func(*testing.T) backend.Store)) {
	t.Helper()
	forEachKind(t, func(t *testing.T, k kind) { run(t, k.open) })
}

// onEach runs the case called name once for each backend.
func onEach(t *testing.T, name string, run func(t *testing.T, k kind)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { forEachKind(t, run) })
}
