package main

import "testing"

func TestJudge(t *testing.T) {
	slower := target{inMemory, read, nameRaw, 3, false}
	faster := target{inMemory, read, nameSCS, 20, true}
	for _, test := range []struct {
		name string
		t    target
		d    duel
		want outcome
	}{
		{"wholly under", slower, duel{ratio: 2.7, low: 2.5, high: 2.9}, met},
		{"up to the limit", slower, duel{ratio: 2.7, low: 2.5, high: 3}, met},
		{"straddling, the median under", slower, duel{ratio: 2.9, low: 2.5, high: 3.5}, within},
		{"straddling, the median over", slower, duel{ratio: 3.1, low: 2.9, high: 3.5}, within},
		{"from the limit", slower, duel{ratio: 3.1, low: 3, high: 3.5}, within},
		{"wholly over", slower, duel{ratio: 3.3, low: 3.1, high: 3.5}, missed},

		{"inverse, wholly over", faster, duel{ratio: 1.0 / 25, low: 1.0 / 30, high: 1.0 / 22}, met},
		{"inverse, straddling, the median over", faster, duel{ratio: 1.0 / 22, low: 1.0 / 25, high: 1.0 / 18}, within},
		{"inverse, straddling, the median under", faster, duel{ratio: 1.0 / 18, low: 1.0 / 22, high: 1.0 / 15}, within},
		{"inverse, wholly under", faster, duel{ratio: 1.0 / 15, low: 1.0 / 18, high: 1.0 / 12}, missed},
	} {
		if v := test.t.judge(test.d); v.outcome != test.want {
			t.Errorf("%s: %s, measured %s: %v, want %v", test.name, v.want, v.got, v.outcome, test.want)
		}
	}
}

func TestJudgeNumber(t *testing.T) {
	for got, want := range map[float64]outcome{2: met, 3: met, 3.1: missed} {
		if v := atMost("a number", got, 3, ""); v.outcome != want {
			t.Errorf("%s, measured %s: %v, want %v", v.want, v.got, v.outcome, want)
		}
	}
}
