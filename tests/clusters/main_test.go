package clusters

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/rueidis"
)

// runs is how often each failover is made.
var runs = func() int {
	n, err := strconv.Atoi(os.Getenv("CLUSTERS"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}()

// sideBySide has a test of a plain run go on beside others.
func sideBySide(t *testing.T) bool {
	if runs == 1 {
		t.Parallel()
	}
	return runs == 1
}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil { // they wait, for servers and for each other
		panic(err)
	}
	code := m.Run()
	if err := errors.Join(sentinels.stop(), cluster.stop(), galera.stop(), writeTable()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

var ctx = context.Background()

var numbers atomic.Int64

// number returns another number each time, for a prefix of a test's own.
func number() int64 { return numbers.Add(1) }

// onSentinels and onCluster are the backends that open the one and the other.
var (
	onSentinels = []string{redis.Name, goredis.Name, rueidis.Name}
	onCluster   = []string{goredis.Name, rueidis.Name}
)

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// open opens a store by its backend's name, and closes it with the test.
func open(t testing.TB, name, savePath string) backend.Store {
	t.Helper()
	s, err := backend.Open(name, savePath)
	must(t, "Open", err)
	t.Cleanup(func() { must(t, "Close", s.(interface{ Close() error }).Close()) })
	return s
}
