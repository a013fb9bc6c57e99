package main

import "time"

// A size is how much a run does. Each part of it has an end, however slow the
// machine is: see longest.
type size struct {
	duel, growth pace
	cores        pace
	profile      time.Duration // of each scenario that misses its target
	profiles     time.Duration // of all of them
	convoyTurns  int

	heap         int // sessions, beside scs
	sessions     int // in memory, for the sweep
	sweeps       int
	files, rows  int           // that the collector removes
	collectRate  int           // of requests meanwhile, a second
	collectTurn  time.Duration // of these, without the collector and with it
	collectTurns int
	box          time.Duration // for each of these five: there are fewer if it takes longer

	mostMemory int // sessions in memory
	memoryBox  time.Duration
	most       int // sessions in each other store
	mostBox    time.Duration
	numbers    pace // of reads among few sessions and many

	rate, loadTurns int
	loadTurn        time.Duration
}

var (
	full = size{
		duel:     pace{300, 4 * time.Millisecond, 2 * time.Second},
		growth:   pace{80, 4 * time.Millisecond, 900 * time.Millisecond},
		cores:    pace{300, 5 * time.Millisecond, 6 * time.Second},
		profile:  time.Second,
		profiles: 20 * time.Second, convoyTurns: 7,
		heap: 200_000, sessions: 1_000_000, sweeps: 9, files: 100_000, rows: 1_000_000,
		collectRate: 500, collectTurn: time.Second, collectTurns: 10, box: 15 * time.Second,
		mostMemory: 10_000_000, memoryBox: 55 * time.Second,
		most: 1_000_000, mostBox: 20 * time.Second, numbers: pace{200, 4 * time.Millisecond, 2 * time.Second},
		rate: 1000, loadTurns: 3, loadTurn: 2 * time.Second,
	}
	quick = size{
		duel:     pace{60, 3 * time.Millisecond, 500 * time.Millisecond},
		growth:   pace{20, 2 * time.Millisecond, 250 * time.Millisecond},
		cores:    pace{60, 3 * time.Millisecond, 2 * time.Second},
		profile:  time.Second / 2,
		profiles: 6 * time.Second, convoyTurns: 2,
		heap: 50_000, sessions: 200_000, sweeps: 3, files: 10_000, rows: 100_000,
		collectRate: 500, collectTurn: time.Second, collectTurns: 3, box: 3 * time.Second,
		mostMemory: 1_000_000, memoryBox: 6 * time.Second,
		most: 100_000, mostBox: 3 * time.Second, numbers: pace{60, 3 * time.Millisecond, time.Second / 2},
		rate: 1000, loadTurns: 1, loadTurn: time.Second,
	}
)

// How many of these there are.
const (
	duelsFought  = 83
	growthDuels  = 60
	otherPlaces  = 4 // than memory
	databases    = 2
	boxes        = 3 + databases
	otherAllowed = 30 * time.Second // to start and stop servers, and to count costs
)

// longest returns how long a run takes at most, but for the load: the sum of what
// its parts allow themselves.
func (s size) longest() time.Duration {
	duels := duelsFought*s.duel.most + growthDuels*s.growth.most + s.cores.most + s.profiles
	numbers := s.memoryBox + otherPlaces*(s.mostBox+s.numbers.most)
	convoy := time.Duration(s.convoyTurns+1) * 3 * convoyTurn
	collectors := databases * time.Duration(s.collectTurns) * (2*s.collectTurn + s.collectTurn/4)
	return duels + numbers + convoy + collectors + boxes*s.box + otherAllowed
}
