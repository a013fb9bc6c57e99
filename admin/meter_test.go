package admin

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

// TestMeasureConformance: a measured store keeps the contract, and can what
// the store can.
func TestMeasureConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		inner := inMemory(t)
		store, _ := Measure(inner)
		sameAbilities(t, inner, store)
		return store
	})
}

// A store with none of the optional parts has none when it is measured.
func TestMeasureBare(t *testing.T) {
	store, _ := Measure(struct{ backend.Store }{inMemory(t)})
	if can := backend.AbilitiesOf(store); can != (backend.Abilities{}) {
		t.Errorf("it can %+v", can)
	}
}

func inMemory(t *testing.T) *memory.Store {
	t.Helper()
	s, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// abilities are what callers ask a store for.
func abilities(s backend.Store) string {
	can := backend.AbilitiesOf(s)
	return fmt.Sprint(can.UserIndex != nil, can.Counter != nil, can.InProcess)
}

func sameAbilities(t *testing.T, inner, outer backend.Store) {
	t.Helper()
	if got, want := abilities(outer), abilities(inner); got != want {
		t.Errorf("index, counter, in-process: %s, want %s", got, want)
	}
}

func TestAbilities(t *testing.T) {
	m := inMemory(t)
	type (
		store   = backend.Store
		index   = backend.UserIndex
		counter = backend.Counter
		process = backend.InProcess
	)
	for _, inner := range []store{
		struct{ store }{m},
		struct {
			store
			index
		}{m, m},
		struct {
			store
			counter
		}{m, m},
		struct {
			store
			process
		}{m, m},
		struct {
			store
			index
			counter
		}{m, m, m},
		struct {
			store
			index
			process
		}{m, m, m},
		struct {
			store
			counter
			process
		}{m, m, m},
		m,
	} {
		outer, _ := Measure(inner)
		sameAbilities(t, inner, outer)
	}
}

// slow is a store that takes its time.
type slow struct {
	backend.Store
	takes time.Duration
	err   error
}

func (s *slow) Load(context.Context, uuid.UUID) (backend.Record, error) {
	time.Sleep(s.takes)
	return backend.Record{}, s.err
}

func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &slow{}
		store, meter := Measure(inner)
		load := func(n int, takes time.Duration, err error) {
			inner.takes, inner.err = takes, err
			for range n {
				if _, got := store.Load(t.Context(), uuid.Nil); got != err {
					t.Errorf("Load: %v, want %v", got, err)
				}
			}
		}
		load(90, time.Millisecond, nil)
		load(10, 100*time.Millisecond, backend.ErrNotFound) // an answer
		load(1, time.Microsecond, errors.New("down"))
		samples := meter.Samples()
		s := samples[0]
		if len(samples) != 1 || s.Calls != 101 || s.Errors != 1 || s.Max != 100*time.Millisecond {
			t.Fatalf("%d samples, %+v; want one of 101 calls, 1 error, 100 ms at most", len(samples), s)
		}
		within(t, "P50", s.P50, time.Millisecond)
		within(t, "P99", s.P99, 100*time.Millisecond)

		time.Sleep(time.Minute)
		load(1, 5*time.Millisecond, nil)
		samples = meter.Samples()
		if len(samples) != 7 || samples[0].Calls != 101 || samples[3].Calls != 0 || samples[6].Calls != 1 {
			t.Errorf("after a minute: %d samples, %+v", len(samples), samples)
		}
		time.Sleep(time.Hour)
		for _, s := range meter.Samples() {
			if s.Calls != 0 {
				t.Errorf("after an hour there is still %+v", s)
			}
		}
		if n := len(meter.Samples()); n != slotCount {
			t.Errorf("%d samples, want %d", n, slotCount)
		}
	})
}

// within fails unless got is want or up to a quarter above it.
func within(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want || got > want+want/4 {
		t.Errorf("%s is %v, want %v to within a quarter", what, got, want)
	}
}

func TestBuckets(t *testing.T) {
	for d := time.Microsecond; d < time.Minute; d += d/7 + 1 {
		i := bucket(d)
		if upper := limit(i); d >= upper+time.Microsecond || i > 0 && d.Truncate(time.Microsecond) < limit(i-1)-time.Microsecond {
			t.Fatalf("%v is in bucket %d, which ends at %v", d, i, upper)
		}
	}
	for _, d := range []time.Duration{-1, 0, 1<<63 - 1} {
		if i := bucket(d); i < 0 || i >= bucketCount {
			t.Errorf("bucket(%d) is %d", d, i)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		100 * time.Nanosecond: "0.1 µs", 12 * time.Microsecond: "12 µs", 1234 * time.Microsecond: "1.23 ms",
		2 * time.Second: "2 s", 12 * time.Second: "12 s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) is %q, want %q", d, got, want)
		}
	}
}

func BenchmarkMeasure(b *testing.B) {
	inner := &slow{}
	measured, _ := Measure(inner)
	for name, store := range map[string]backend.Store{"plain": inner, "measured": measured} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = store.Load(b.Context(), uuid.Nil)
				}
			})
		})
	}
}
