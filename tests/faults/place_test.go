package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// A lazy server is started by the first test that needs it.
type lazy[T interface{ Stop() error }] struct {
	start  func() (T, error)
	once   sync.Once
	server T
	err    error
}

// The servers keep every write that they acknowledged, also when they are
// killed.
var (
	mariaDB = lazy[*testserver.MariaDB]{start: func() (*testserver.MariaDB, error) {
		return testserver.StartMariaDB(testserver.MariaDBOptions{})
	}}
	redisServer = lazy[*testserver.Redis]{start: func() (*testserver.Redis, error) {
		return testserver.StartRedis(testserver.RedisOptions{Password: redisPassword, Durable: true})
	}}
)

// get returns the server. One that is not there fails the test, with the cure.
func (l *lazy[T]) get(t testing.TB) T {
	t.Helper()
	l.once.Do(func() { l.server, l.err = l.start() })
	if l.err != nil {
		t.Fatal(l.err)
	}
	return l.server
}

func (l *lazy[T]) stop() error {
	started := true
	l.once.Do(func() { started = false })
	if !started || l.err != nil {
		return nil
	}
	return l.server.Stop()
}

// A kind is a backend: its name and how to get a place of its own there.
type kind struct {
	name  string
	fresh func(t testing.TB) string // a save path
}

var (
	memory = kind{"memory", func(testing.TB) string { return "" }}
	file   = kind{"file", func(t testing.TB) string { return filepath.Join(t.TempDir(), "sessions") }}
	mysql  = kind{"mysql", freshDatabase}
	redis  = kind{"redis", freshPrefix}

	all     = []kind{memory, file, mysql, redis}
	lasting = []kind{file, mysql, redis}
	servers = []kind{mysql, redis}
)

// cheap returns those of kinds that a plain run tests: all in the whole suite,
// else those that cost next to nothing. A Redis starts in a few milliseconds,
// a MariaDB takes seconds.
func cheap(kinds []kind) []kind {
	if full {
		return kinds
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(k kind) bool { return k.name == "mysql" })
}

func freshDatabase(t testing.TB) string {
	t.Helper()
	server := mariaDB.get(t)
	name, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return server.DSN(name) // goes with the server: a case may leave that dead
}

var prefixes atomic.Int64

func freshPrefix(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("%s?prefix=%d-%d:", redisServer.get(t).URL(), os.Getpid(), prefixes.Add(1))
}

// A daemon is what a test can do to a database server.
type daemon interface {
	Addr() string
	Kill9() error
	Halt() error
	Restart() error
	Freeze() error
	Thaw() error
}

func (k kind) daemon(t testing.TB) daemon {
	if k.name == "mysql" {
		return mariaDB.get(t)
	}
	return redisServer.get(t)
}

// connections returns how many connections a server has but ours.
func (k kind) connections(t testing.TB) (n int) {
	t.Helper()
	if k.name == "mysql" {
		const query = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'session'"
		must(t, "count connections", mariaDB.get(t).Admin().QueryRow(query).Scan(&n))
		return n
	}
	reply, err := redisServer.get(t).Do("CLIENT", "LIST", "TYPE", "normal")
	must(t, "count connections", err)
	return strings.Count(string(reply.([]byte)), "\n") - 1
}

// through returns savePath by way of a proxy.
func (k kind) through(t testing.TB, savePath string) (*proxy, string) {
	t.Helper()
	addr := k.daemon(t).Addr()
	p := startProxy(t, addr)
	via := strings.Replace(savePath, addr, p.addr(), 1)
	if via == savePath {
		t.Fatalf("the save path of %s has no %s in it", k.name, addr)
	}
	return p, via
}

// records counts the session records at a save path.
func (k kind) records(t testing.TB, savePath string) int {
	t.Helper()
	switch k.name {
	case "file":
		n := 0
		err := filepath.WalkDir(savePath, func(path string, d os.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // swept while we walk
			}
			if err == nil && d.Type().IsRegular() && len(d.Name()) >= 32 {
				n++
			}
			return err
		})
		must(t, "walk", err)
		return n
	case "mysql":
		var n int
		must(t, "count", mariaDB.get(t).Admin().QueryRow("SELECT COUNT(*) FROM "+tableOf(savePath)).Scan(&n))
		return n
	case "redis":
		return len(keysOf(t, savePath))
	}
	t.Fatalf("no way to count the records of %s", k.name)
	return 0
}

// tableOf returns the quoted name of a DSN's sessions table.
func tableOf(dsn string) string {
	return "`" + dsn[strings.LastIndexByte(dsn, '/')+1:] + "`.sessions"
}

// keysOf returns the session keys; those of the user index have an @.
func keysOf(t testing.TB, savePath string) []string {
	t.Helper()
	_, prefix, _ := strings.Cut(savePath, "?prefix=")
	reply, err := redisServer.get(t).Do("KEYS", prefix+"[^@]*")
	must(t, "KEYS", err)
	var keys []string
	for _, key := range reply.([]any) {
		keys = append(keys, string(key.([]byte)))
	}
	return keys
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
