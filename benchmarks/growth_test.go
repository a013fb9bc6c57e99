package main

import "testing"

// TestSteepest sees what grows worse than in proportion, and that a doubtful step
// does not hide a clear one.
func TestSteepest(t *testing.T) {
	d := func(ratio float64) duel { return duel{ratio: ratio, low: ratio * 0.9, high: ratio * 1.1} }
	for _, test := range []struct {
		duels []duel
		want  outcome
	}{
		{[]duel{d(1), d(1), d(1.1)}, met},
		{[]duel{d(1), d(7), d(70)}, within}, // in proportion
		{[]duel{d(1), d(50), d(55)}, missed},
		{[]duel{d(1), d(2), d(100)}, missed},                           // bent, though less than 100 times
		{[]duel{d(1), d(15), {ratio: 300, low: 3, high: 900}}, missed}, // and behind a step that cannot be told
	} {
		v := ratioAtMost("growth", steepest(test.duels), growthStep, "")
		if v.outcome != test.want {
			t.Errorf("%v: %s, measured %s: %v, want %v", test.duels, v.want, v.got, v.outcome, test.want)
		}
	}
}
