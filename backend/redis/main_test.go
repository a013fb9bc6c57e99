//go:build servers

package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
)

// The form of records, and how many heads are read in one round trip.
const (
	atExpires = 9
	atUserLen = 22
	atUser    = 23
	loadBatch = 128
)

// server is the package's private Redis.
var server *testserver.Redis

func TestMain(m *testing.M) {
	if at := os.Getenv(writerEnv); at != "" {
		write(at) // we are a child of TestKilledWriters
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if server, err = testserver.StartRedis(testserver.RedisOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if leaked := goroutines(30 * time.Second); leaked != "" && code == 0 {
		fmt.Fprintf(os.Stderr, "leaked goroutines:\n%s", leaked)
		return 1
	}
	return code
}

// goroutines returns the stacks of this package's and redigo's goroutines
// that are still there after the patience.
func goroutines(patience time.Duration) string {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		buf := make([]byte, 1<<20)
		var ours []string
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		for _, stack := range stacks[1:] { // the first is this one
			if strings.Contains(stack, "backend/redis.") || strings.Contains(stack, "redigo/redis.") {
				ours = append(ours, stack)
			}
		}
		if len(ours) == 0 || time.Now().After(deadline) {
			return strings.Join(ours, "\n\n")
		}
	}
}

// openAt opens a store and closes it with the test. A busy machine may need more than
// the 3 seconds of one Open.
func openAt(t testing.TB, savePath string) *Store {
	t.Helper()
	s, err := Open(savePath)
	for tries := 1; tries < 5 && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)); tries++ {
		s, err = Open(savePath)
	}
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// fresh opens a store on the emptied package server.
func fresh(t testing.TB) *Store {
	t.Helper()
	if err := server.FlushAll(); err != nil {
		t.Fatalf("FlushAll: %v", err)
	}
	return openAt(t, server.URL())
}

func newRecord(user, data string) backend.Record {
	return backend.Record{
		ID:      uuid.Must(uuid.NewV7()),
		Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond),
		User:    user,
		Data:    []byte(data),
	}
}

// create stores a new record and returns it as stored.
func create(t testing.TB, s backend.Store, user, data string) backend.Record {
	t.Helper()
	rec := newRecord(user, data)
	if err := s.Create(context.Background(), rec); err != nil {
		t.Fatalf("Create: %v", err)
	}
	rec.Version = 1
	return rec
}
