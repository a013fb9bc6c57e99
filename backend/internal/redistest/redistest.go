// Package redistest is the tests that backend/goredis and backend/rueidis have in
// common: what they do on one server and on a Redis Cluster, which are started for
// them.
package redistest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/internal/testserver"
)

// A Store is what the tests need of one.
type Store interface {
	backend.Store
	backend.UserIndex
	backend.Bounded
	backend.Confirmer
	backend.Durable
	Check(ctx context.Context) error
	Cluster() bool
	Close() error
}

// A Backend is a backend to test.
type Backend struct {
	Name string

	// Open is the package's Open.
	Open func(savePath string) (Store, error)

	// Patient is Open without a probe, and with limits that no machine exceeds.
	Patient func(savePath string) (Store, error)

	// On is the package's New on a client as a caller makes one, which is closed
	// with the test: for one server without a password or, given several
	// addresses, for the nodes of a cluster that want it.
	On func(t testing.TB, opts redisengine.Options, password string, addrs ...string) Store
}

const password = "s3cret"

// The servers that all tests of a package share.
var (
	Server  *testserver.Redis
	cluster *testserver.RedisCluster
)

var ctx = context.Background()

// Main starts the servers, runs the tests and stops the servers. It is for TestMain.
func Main(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	flag.Parse()
	err := flag.Set("test.parallel", "16") // the tests wait for servers, and for times to pass
	if err == nil {
		Server, err = testserver.StartRedis(testserver.RedisOptions{})
	}
	if err == nil {
		cluster, err = testserver.StartRedisCluster(testserver.RedisGroupOptions{Password: password})
	}
	if err == nil {
		err = os.Setenv("SHOP_REDIS", Server.Addr()) // the examples'
	}
	if err == nil {
		code = m.Run()
	}
	if cluster != nil {
		err = errors.Join(err, cluster.Stop())
	}
	if Server != nil {
		err = errors.Join(err, Server.Stop())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// open opens a store and closes it with the test. A busy machine may need more than
// the 3 seconds of one Open.
func (b Backend) open(t testing.TB, savePath string) Store {
	t.Helper()
	s, err := b.Open(savePath)
	for tries := 1; tries < 5 && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)); tries++ {
		s, err = b.Open(savePath)
	}
	must(t, "Open", err)
	t.Cleanup(func() { must(t, "Close", s.Close()) })
	return s
}

// patient is open for the tests in which time is no matter: a busy machine may need
// more for a call than Open gives it.
func (b Backend) patient(t testing.TB, savePath string) Store {
	t.Helper()
	s, err := b.Patient(savePath)
	must(t, "Patient", err)
	t.Cleanup(func() { must(t, "Close", s.Close()) })
	return s
}

// Record returns a new record of an hour.
func Record(user, data string) backend.Record {
	return backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond), User: user, Data: []byte(data)}
}
