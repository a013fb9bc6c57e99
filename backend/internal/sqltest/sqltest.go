// Package sqltest is what the tests of the SQL backends that have a server share:
// what they do to a store, and what must hold while its server is down or silent.
package sqltest

import (
	"context"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Leaked returns the stacks of goroutines that database/sql or the code of
// driver left behind, once those that are about to end have ended.
func Leaked(driver string) string {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		if left := goroutinesOf(driver); len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
		<-tick.C
	}
}

func goroutinesOf(driver string) []string {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	var found []string
	for _, stack := range strings.Split(b.String(), "\n\n") {
		if strings.Contains(stack, driver) || strings.Contains(stack, "database/sql") {
			found = append(found, stack)
		}
	}
	return found
}

// Repeats is how often a test of chance repeats itself: n times, or as the
// environment variable REPEATS says.
func Repeats(t testing.TB, n int) int {
	t.Helper()
	if text := os.Getenv("REPEATS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("REPEATS: %v", err)
		}
	}
	return n
}

// Record is a fresh record that lives for an hour.
func Record() backend.Record {
	return backend.Record{
		ID:      uuid.Must(uuid.NewV7()),
		Version: 1,
		Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC(),
		Data:    []byte("data"),
	}
}

// Create stores rec and fails the test if that fails.
func Create(t testing.TB, s backend.Store, rec backend.Record) backend.Record {
	t.Helper()
	if err := s.Create(context.Background(), rec); err != nil {
		t.Fatalf("Create: %v", err)
	}
	rec.Version = 1
	return rec
}

// Load loads a record and fails the test if that fails.
func Load(t testing.TB, s backend.Store, id uuid.UUID) backend.Record {
	t.Helper()
	rec, err := s.Load(context.Background(), id)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return rec
}

// How long a call may take, on a busy machine.
const (
	Soon = 2500 * time.Millisecond // when nothing is in its way any more: it has not run into its own three seconds
	Late = 6 * time.Second         // when those end it

	// Crowd is how long a crowd of calls may take that is several times the pool's
	// size, when each of them runs into its end: not that of those before it, too.
	Crowd = 7 * time.Second

	patience = time.Minute // with what must come
)

// Within fails the test if f takes longer than limit, and returns how long it
// took.
func Within(t testing.TB, limit time.Duration, what string, f func()) time.Duration {
	t.Helper()
	start := time.Now()
	f()
	took := time.Since(start)
	if took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
	return took
}

// Eventually polls until ok, and fails the test when that is not after a minute.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
