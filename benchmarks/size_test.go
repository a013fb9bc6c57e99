package main

import (
	"testing"
	"time"
)

// TestRunsEnd holds what a run takes at most to what is left of a quarter of an
// hour, or four minutes, by the load.
func TestRunsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		size size
		most time.Duration
	}{
		"full":  {full, 570 * time.Second},
		"quick": {quick, 165 * time.Second},
	} {
		if got := test.size.longest(); got > test.most {
			t.Errorf("a %s run takes up to %v, want at most %v", name, got, test.most)
		} else {
			t.Logf("a %s run takes up to %v", name, got)
		}
	}
}

// TestDuelsFought sees that longest counts as many duels as there are.
func TestDuelsFought(t *testing.T) {
	order := map[string][]string{
		inMemory:   {nameRaw, nameWire, nameSCS},
		inFile:     {nameRaw, nameWire, nameGorilla},
		inRedis:    {nameRaw, nameWire, nameSCS, nameRedi},
		inMariaDB:  {nameRaw, nameWire, nameSCS},
		inPostgres: {nameRaw, nameWire, nameSCS},
	}
	n := 0
	for _, kind := range kinds {
		pl := &place{kind: kind, order: order[kind], libs: map[string]library{nameGorilla: &gorilla{}, nameRedi: &gorilla{}}}
		for _, s := range scenarios {
			n += len(pl.opponents(s))
		}
	}
	if n != duelsFought {
		t.Errorf("a run has %d duels, longest counts %d", n, duelsFought)
	}
	n = 0
	for _, g := range growers {
		n += 2 * (len(g.sizes) - 1) * len(kinds)
	}
	if n != growthDuels {
		t.Errorf("a run has %d duels of growth, longest counts %d", n, growthDuels)
	}
}
