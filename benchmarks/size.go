package main

import "time"

// A size is how much a run does. Each part of it has an end, however slow the
// machine is: some 80 duels, 72 duels of growth and 6 parts of box each, which
// with the rest is 22 minutes at most, or 4 when quick.
type size struct {
	duel, growth    pace
	cores           pace
	profile         time.Duration // of each scenario that misses its target
	sessions        int           // in memory, for the heap and the sweep
	sweeps          int
	files, rows     int           // that the collector removes
	box             time.Duration // for what fills and sweeps: there are fewer if it takes longer
	rate, loadTurns int
	loadTurn        time.Duration
	convoyTurns     int
}

var (
	full = size{
		duel:     pace{400, 4 * time.Millisecond, 6 * time.Second},
		growth:   pace{100, 4 * time.Millisecond, 3 * time.Second},
		cores:    pace{300, 5 * time.Millisecond, 10 * time.Second},
		profile:  2 * time.Second,
		sessions: 1_000_000, sweeps: 9, files: 100_000, rows: 1_000_000, box: time.Minute,
		rate: 1000, loadTurns: 5, loadTurn: 5 * time.Second,
		convoyTurns: 20,
	}
	quick = size{
		duel:     pace{60, 3 * time.Millisecond, time.Second},
		growth:   pace{20, 2 * time.Millisecond, time.Second / 2},
		cores:    pace{60, 3 * time.Millisecond, 2 * time.Second},
		profile:  time.Second / 2,
		sessions: 200_000, sweeps: 3, files: 10_000, rows: 50_000, box: 8 * time.Second,
		rate: 1000, loadTurns: 2, loadTurn: 2 * time.Second,
		convoyTurns: 5,
	}
)
