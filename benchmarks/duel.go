package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// A pace is how long a duel is.
type pace struct {
	rounds int
	turn   time.Duration // of one side
	most   time.Duration // of the duel: where a request is slow, there are fewer rounds
}

// fewest is the number of rounds for which a duel may take twice its time: of
// one or two, quartiles would say nothing.
const fewest = 5

// another reports whether there is another round, after those done since start.
func (p pace) another(done int, start time.Time) bool {
	took := time.Since(start)
	return done < p.rounds && (done == 0 || took < p.most || done < fewest && took < 2*p.most)
}

// calmPart is the part of the turns that are taken for those in which nobody
// else was at work: their times are what the code costs when the machine is
// left alone.
const calmPart = 0.05

// A duel is what came of two players who took turns in one process, in random
// order: the ratio of their times in each round, which lie a few milliseconds
// apart, so that what slows the machine slows both.
type duel struct {
	a, b             string
	ratio, low, high float64       // median and quartiles of a/b
	timeA, timeB     time.Duration // medians of the time a request took
	calm             float64       // a/b of the 5th percentiles of those times
	rounds           int
}

// A side is what takes turns in a duel.
type side interface {
	prepare(n int) error
	turn(n int)
	clean(n int) error
}

// inverse returns d with the sides changed.
func (d duel) inverse() duel {
	return duel{d.b, d.a, 1 / d.ratio, 1 / d.high, 1 / d.low, d.timeB, d.timeA, 1 / d.calm, d.rounds}
}

// fight has two players duel.
func fight(a, b *player, p pace) (duel, error) {
	d, err := compare(a, b, p)
	d.a, d.b = a.name, b.name
	if err != nil {
		return d, fmt.Errorf("duel of %s and %s, scenario %s: %w", a.name, b.name, a.scenario, err)
	}
	return d, nil
}

func compare(a, b side, p pace) (duel, error) {
	sides := [2]side{a, b}
	var n [2]int
	runtime.GC()
	for i, s := range sides {
		var err error
		if n[i], err = calibrate(s, p.turn); err != nil {
			return duel{}, err
		}
	}
	var ratios []float64
	var times [2][]float64
	for start := time.Now(); p.another(len(ratios), start); {
		var took [2]float64
		first := rand.IntN(2)
		for _, i := range []int{first, 1 - first} {
			d, err := timed(sides[i], n[i])
			if err != nil {
				return duel{}, err
			}
			took[i] = float64(d) / float64(n[i])
			times[i] = append(times[i], took[i])
		}
		ratios = append(ratios, took[0]/took[1])
	}
	slices.Sort(ratios)
	slices.Sort(times[0])
	slices.Sort(times[1])
	return duel{
		ratio: quantile(ratios, 0.5), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75),
		timeA: median(times[0]), timeB: median(times[1]),
		calm:   quantile(times[0], calmPart) / quantile(times[1], calmPart),
		rounds: len(ratios),
	}, nil
}

// timed returns how long n requests took.
func timed(s side, n int) (time.Duration, error) {
	if err := s.prepare(n); err != nil {
		return 0, err
	}
	start := time.Now()
	s.turn(n)
	took := time.Since(start)
	return took, s.clean(n)
}

// calibrate returns how many requests fill a turn.
func calibrate(s side, turn time.Duration) (int, error) {
	for n := 1; ; n *= 2 {
		took, err := timed(s, n)
		if err != nil {
			return 0, err
		}
		if took >= turn/2 || n >= 1<<17 {
			return max(1, int(float64(n)*float64(turn)/float64(took))), nil
		}
	}
}

// quantile returns the value below which a part q of the sorted values is.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	part := at - float64(i)
	return sorted[i]*(1-part) + sorted[i+1]*part
}

func median(times []float64) time.Duration {
	slices.Sort(times)
	return time.Duration(quantile(times, 0.5))
}

// quartiles returns median and quartiles of sorted ratios.
func quartiles(sorted []float64) duel {
	return duel{ratio: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75)}
}
