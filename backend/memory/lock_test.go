package memory

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// TestSweepLocksBriefly: a sweep of one shard with 20,000 records lets go of
// its lock after every 1,000 of them at the latest: whoever waits for it comes
// between. How long a thousand take is for the benchmarks to say.
func TestSweepLocksBriefly(t *testing.T) {
	if sweepChunk > 1000 {
		t.Errorf("sweepChunk is %d, want at most 1000", sweepChunk)
	}
	between := 0
	for round := 0; round < 50 && between == 0; round++ { // the scheduler may keep the other one waiting
		between = looksBetween(t, 20*sweepChunk)
	}
	if between == 0 {
		t.Error("in 50 sweeps nobody ever got the lock while one was at it")
	}
}

// looksBetween sweeps a shard of n expired records while somebody else takes
// its lock as often as it can be had, and returns how often that one met the
// sweep half-way. It must be between two whole chunks then.
func looksBetween(t *testing.T, n int) (between int) {
	s := newStore(t, Options{MaxSessions: 500_000})
	for i := range n {
		id := uuid.UUID{0: byte(i), 1: byte(i >> 8), 6: 0x70, 8: 0x80} // all in one shard
		if err := s.Create(t.Context(), backend.Record{ID: id, Expires: time.UnixMilli(1)}); err != nil {
			t.Fatal(err)
		}
	}
	sh := s.shard(uuid.UUID{6: 0x70, 8: 0x80})
	look := func() int {
		sh.mu.RLock()
		defer sh.mu.RUnlock()
		return sh.len()
	}
	if got := look(); got != n {
		t.Fatalf("the shard has %d of %d records", got, n)
	}
	var looking sync.WaitGroup
	begun := make(chan struct{})
	looking.Go(func() {
		close(begun)
		for left := n; left > 0; {
			now := look()
			if now%sweepChunk != 0 {
				t.Errorf("the lock was let go with %d left, which is not after a whole chunk", now)
			}
			if now != left && now > 0 {
				between++
			}
			left = now
		}
	})
	<-begun
	if removed, err := s.Sweep(t.Context(), 2*n); removed != n || err != nil {
		t.Fatalf("Sweep = %d, %v; want %d", removed, err, n)
	}
	looking.Wait()
	return between
}
