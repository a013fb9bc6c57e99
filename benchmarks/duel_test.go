package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestQuantile(t *testing.T) {
	sorted := []float64{1, 2, 3, 4, 5}
	for q, want := range map[float64]float64{0: 1, 0.25: 2, 0.5: 3, 0.75: 4, 1: 5, 0.125: 1.5} {
		if got := quantile(sorted, q); got != want {
			t.Errorf("quantile(%v, %v) = %v, want %v", sorted, q, got, want)
		}
	}
}

// A worker takes a known time a request.
type worker struct {
	each           time.Duration
	prepared, left int
}

func (w *worker) prepare(n int) error { w.prepared += n; w.left = n; return nil }
func (w *worker) turn(n int)          { time.Sleep(time.Duration(n) * w.each); w.left -= n }
func (w *worker) clean(int) error {
	if w.left != 0 {
		return errors.New("not all that was prepared was done")
	}
	return nil
}

func TestCompare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where a worker takes what it says, whatever else the machine does
		a, b := &worker{each: 2 * time.Millisecond}, &worker{each: time.Millisecond}
		d, err := compare(a, b, pace{rounds: 21, turn: 4 * time.Millisecond, most: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if d.ratio != 2 || d.low != 2 || d.high != 2 || d.calm != 2 {
			t.Errorf("a takes twice as long as b, the duel says %s, left alone %.2f", spread(d), d.calm)
		}
		if d.rounds != 21 {
			t.Errorf("the duel had %d rounds, want 21", d.rounds)
		}
	})
}

// TestInverse: what is low one way round is high the other way.
func TestInverse(t *testing.T) {
	i := duel{ratio: 2, low: 1.25, high: 4}.inverse()
	if i.ratio != 0.5 || i.low != 0.25 || i.high != 0.8 {
		t.Errorf("the inverse of 2 (1.25 to 4) is %v (%v to %v)", i.ratio, i.low, i.high)
	}
}

// TestAnother sees that a duel ends in its time, and not before it says something.
func TestAnother(t *testing.T) {
	p := pace{rounds: 10, most: time.Hour}
	for _, test := range []struct {
		name string
		done int
		took time.Duration
		want bool
	}{
		{"the first round, whatever the time", 0, 5 * time.Hour, true},
		{"time left", 9, time.Minute, true},
		{"all rounds done", 10, time.Minute, false},
		{"late, with enough rounds", fewest, 61 * time.Minute, false},
		{"late, with too few rounds", fewest - 1, 61 * time.Minute, true},
		{"too late for any other", 1, 2*time.Hour + time.Minute, false},
	} {
		if got := p.another(test.done, time.Now().Add(-test.took)); got != test.want {
			t.Errorf("%s: another(%d) after %v is %v, want %v", test.name, test.done, test.took, got, test.want)
		}
	}
}

// A server that stalls must not be spared the requests of that time.
func TestOpenLoadCountsTheStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		times, err := openLoad(1000, 100*time.Millisecond, 1, func(int) error {
			if first {
				first = false
				time.Sleep(100 * time.Millisecond)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(times) != 100 {
			t.Fatalf("%d requests, want 100", len(times))
		}
		if p50 := percentile(times, 50); p50 < 40*time.Millisecond || p50 > 60*time.Millisecond {
			t.Errorf("p50 is %v: the requests that were due during the stall of 100 ms were not counted", p50)
		}
	})
}

func TestCostsCheck(t *testing.T) {
	old := costs{inMemory: {read: {Allocs: 3, Trips: 1}}}
	if err := (costs{inMemory: {read: {Allocs: 3, Trips: 1}}}).check(old); err != nil {
		t.Errorf("nothing rose: %v", err)
	}
	for _, c := range []cost{{Allocs: 4, Trips: 1}, {Allocs: 3, Trips: 2}} {
		if err := (costs{inMemory: {read: c}}).check(old); err == nil {
			t.Errorf("%+v after %+v passes", c, old[inMemory][read])
		}
	}
}
