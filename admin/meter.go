package admin

import (
	"context"
	"errors"
	"math/bits"
	"sync"
	"time"

	"github.com/chisession/session/backend"
)

const (
	slotWidth = 10 * time.Second
	slotCount = 90 // 15 minutes

	// Latencies are counted in buckets, four to each doubling, from 1 µs up:
	// a quantile is right to within a quarter.
	perDoubling = 4
	bucketCount = 26 * perDoubling // up to a minute
)

// A Meter knows how fast a store answered in the last 15 minutes. It is safe
// for concurrent use; its memory is fixed, about 40 KB, and there is no goroutine
// behind it.
type Meter struct {
	lister backend.Lister // of the measured store; nil if it is none
	start  time.Time

	mu    sync.Mutex // guards slots
	slots [slotCount]slot
}

// A slot is what happened in ten seconds.
type slot struct {
	number  int64 // since the start; which of those that share the place
	calls   int
	errors  int
	max     time.Duration
	buckets [bucketCount]uint32
}

// note counts a call.
func (m *Meter) note(began time.Time, err error) {
	now := time.Now()
	took := now.Sub(began)
	m.mu.Lock()
	s := m.at(m.number(now))
	s.calls++
	if failed(err) {
		s.errors++
	}
	s.max = max(s.max, took)
	s.buckets[bucket(took)]++
	m.mu.Unlock()
}

func (m *Meter) number(t time.Time) int64 { return int64(t.Sub(m.start) / slotWidth) }

// at returns the slot of a number, emptied if it was of an older one. mu is
// held.
func (m *Meter) at(number int64) *slot {
	s := &m.slots[number%slotCount]
	if s.number != number {
		*s = slot{number: number}
	}
	return s
}

// failed reports whether the store could not answer. That there is no record,
// or a newer one, is an answer; and who has gone does not wait for one.
func failed(err error) bool {
	for _, answer := range []error{nil, backend.ErrNotFound, backend.ErrConflict, backend.ErrExists, context.Canceled} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return true
}

// bucket returns the number of the bucket that counts d.
func bucket(d time.Duration) int {
	micros := uint64(max(d.Microseconds(), 1))
	doubling := bits.Len64(micros) - 1
	quarter := 0
	if doubling >= 2 {
		quarter = int(micros>>(doubling-2)) & (perDoubling - 1)
	} else {
		quarter = int(micros<<(2-doubling)) & (perDoubling - 1)
	}
	return min(doubling*perDoubling+quarter, bucketCount-1)
}

// limit returns the latency below which bucket i counts.
func limit(i int) time.Duration {
	doubling, quarter := i/perDoubling, i%perDoubling
	return time.Duration(float64(uint64(1)<<doubling)*(1+float64(quarter+1)/perDoubling)) * time.Microsecond
}

// A Sample is what a [Meter] saw in ten seconds.
type Sample struct {
	At     time.Time     // the beginning
	Calls  int           // store calls that ended
	Errors int           // ...of which the store could not answer
	P50    time.Duration // the latency that half of them were below, to within a quarter
	P99    time.Duration // the same for 99 in 100
	Max    time.Duration // the slowest
}

// Samples returns the last 15 minutes, the oldest first, the running ten
// seconds included. Those without a call are there, with zeros.
func (m *Meter) Samples() []Sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.number(time.Now())
	first := max(0, last-slotCount+1)
	samples := make([]Sample, 0, slotCount)
	for n := first; n <= last; n++ {
		samples = append(samples, m.at(n).sample(m.start.Add(time.Duration(n)*slotWidth)))
	}
	return samples
}

func (s *slot) sample(at time.Time) Sample {
	return Sample{At: at, Calls: s.calls, Errors: s.errors, P50: s.quantile(0.50), P99: s.quantile(0.99), Max: s.max}
}

// quantile returns the latency that q of the calls were below.
func (s *slot) quantile(q float64) time.Duration {
	rank, seen := int(q*float64(s.calls)), 0
	for i, n := range s.buckets {
		seen += int(n)
		if seen > rank {
			return min(limit(i), s.max)
		}
	}
	return s.max
}
