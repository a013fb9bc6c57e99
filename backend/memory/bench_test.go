package memory

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// filled returns a store with n sessions of 128 bytes and their IDs.
func filled(tb testing.TB, n int) (*Store, []uuid.UUID) {
	tb.Helper()
	s, err := New(Options{})
	if err != nil {
		tb.Fatal(err)
	}
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
		rec := backend.Record{ID: ids[i], Expires: time.Now().Add(time.Hour), Data: make([]byte, 128)}
		if err := s.Create(context.Background(), rec); err != nil {
			tb.Fatal(err)
		}
	}
	return s, ids
}

// BenchmarkLoad reads one hot session, and sessions all over a store.
func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			s, ids := filled(b, n)
			var begin atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := int(begin.Add(1)) * 7919
				for pb.Next() {
					i++
					if _, err := s.Load(context.Background(), ids[i%n]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	const n = 100_000
	s, ids := filled(b, n)
	rec := backend.Record{Expires: time.Now().Add(time.Hour), Data: make([]byte, 128)}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		rec.ID, rec.Version = ids[i%n], uint64(1+i/n)
		if err := s.Update(context.Background(), rec); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreateAtTheCap measures a flood: each Create pushes one out.
func BenchmarkCreateAtTheCap(b *testing.B) {
	s, _ := filled(b, DefaultMaxSessions)
	ids := make([]uuid.UUID, b.N)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	rec := backend.Record{Expires: time.Now().Add(time.Hour), Data: make([]byte, 128)}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		rec.ID = ids[i]
		if err := s.Create(context.Background(), rec); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHeap reports the bytes a session takes, Data included.
func BenchmarkHeap(b *testing.B) {
	for _, users := range []bool{false, true} {
		b.Run(fmt.Sprintf("users=%v", users), func(b *testing.B) {
			const n = 1_000_000
			for b.Loop() {
				before := heap()
				s, _ := New(Options{})
				for i := range n {
					rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Data: make([]byte, 128)}
					if users {
						rec.User = fmt.Sprintf("user-%08d", i)
					}
					if err := s.Create(context.Background(), rec); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(heap()-before)/n, "B/session")
				b.ReportMetric(float64(s.all.bytes.Load())/n, "counted-B/session")
				runtime.KeepAlive(s)
			}
		})
	}
}

// BenchmarkLoadDuringSweep reports the p99 of reads from a million sessions,
// in quiet and while the expired half is swept, and how long that took.
func BenchmarkLoadDuringSweep(b *testing.B) {
	const n = 1_000_000
	ctx := context.Background()
	for b.Loop() {
		s, ids := filled(b, n)
		for i := 0; i < n; i += 2 {
			rec := backend.Record{ID: ids[i], Version: 1, Expires: time.Now(), Shorten: true}
			if err := s.Update(ctx, rec); err != nil {
				b.Fatal(err)
			}
		}
		p99 := func(going func() bool) float64 {
			var took []time.Duration
			for i := 1; going(); i = (i + 7920) % n {
				began := time.Now()
				s.Load(ctx, ids[i])
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			return float64(took[len(took)*99/100])
		}
		quiet := time.Now().Add(time.Second)
		b.ReportMetric(p99(func() bool { return time.Now().Before(quiet) }), "quiet-p99-ns")
		var swept atomic.Bool
		began := time.Now()
		go func() {
			for {
				if removed, _ := s.Sweep(ctx, 1000); removed < 1000 {
					swept.Store(true)
					return
				}
			}
		}()
		b.ReportMetric(p99(func() bool { return !swept.Load() }), "sweep-p99-ns")
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "sweep-ms")
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkList lists the newest 100 of a million sessions.
func BenchmarkList(b *testing.B) {
	s, _ := filled(b, DefaultMaxSessions)
	for b.Loop() {
		if recs, err := s.List(context.Background(), "", 100); len(recs) != 100 || err != nil {
			b.Fatal(len(recs), err)
		}
	}
}
