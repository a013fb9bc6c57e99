package main

import (
	"cmp"
	"fmt"
)

// A grower is how one thing grows: the number of values, or their size.
type grower struct {
	counts string // what
	sizes  []int  // the first is what the others are compared with
	of     func(n int) (values, bytes int)
	reads  growing // and what they cost
	writes growing
}

// A growing is a request of a grower.
type growing struct {
	title string
	path  string
	panel int
}

var growers = []grower{
	{
		"values", []int{10, 100, 1_000}, func(n int) (values, bytes int) { return n, 16 },
		growing{"Reading one of n values", "/first", panelReadValues},
		growing{"Writing one of n values", "/one", panelWriteValues},
	},
	{
		"bytes", []int{100, 1_000, 10_000, 100_000, 1_000_000}, func(n int) (values, bytes int) { return 1, n },
		growing{"Reading a value of n bytes", "/first", panelReadSize},
		growing{"Writing a small value beside one of n bytes", "/last", panelWriteSize},
	},
}

// What grows in proportion takes growthStep times as long at the next of
// grower.sizes. Of many values, one that is read may take manyValues times what
// one of the fewest does.
const (
	growthStep = 10
	manyValues = 3
)

// grow measures this library's reads and writes as g grows.
func (rep *report) grow(pl *place, g grower, p pace) error {
	var worst duel
	for _, what := range []growing{g.reads, g.writes} {
		duels, err := g.duels(pl, what, p)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", title[pl.kind], what.title, err)
		}
		c := curve{panel: what.panel, kind: pl.kind}
		t := table{section: growth, title: what.title, head: []string{g.counts}}
		row := []string{title[pl.kind], micros(duels[0].timeA)}
		for i, d := range duels {
			c.points = append(c.points, point{float64(g.sizes[i]), d.ratio})
			t.head = append(t.head, thousands(g.sizes[i]))
			if i > 0 {
				row = append(row, "× "+spread(d))
			}
		}
		rep.row(t, row...)
		rep.curves = append(rep.curves, c)
		if step := steepest(duels); steeper(step, worst) {
			worst = step
		}
		if what == growers[0].reads {
			last := len(duels) - 1
			rep.verdicts = append(rep.verdicts, ratioAtMost(fmt.Sprintf("%s: read one of %s values", title[pl.kind], thousands(g.sizes[last])),
				duels[last], manyValues, fmt.Sprintf(" × one of %d", g.sizes[0])))
		}
	}
	rep.verdicts = append(rep.verdicts, ratioAtMost(
		fmt.Sprintf("%s: ten times as many %s, the steepest step", title[pl.kind], g.counts), worst, growthStep, " × the time"))
	return nil
}

// duels has each size duel with the first; the result for that itself is 1.
func (g grower) duels(pl *place, what growing, p pace) ([]duel, error) {
	duels := []duel{{ratio: 1, low: 1, high: 1}}
	for _, n := range g.sizes[1:] {
		var sides [2]*player
		for i, size := range []int{n, g.sizes[0]} {
			values, bytes := g.of(size)
			var err error
			if sides[i], err = newGrown(nameOurs, pl.ours, values, bytes, what.path); err != nil {
				return nil, err
			}
		}
		d, err := compare(sides[0], sides[1], p)
		if err != nil {
			return nil, err
		}
		if len(duels) == 1 {
			duels[0].timeA = d.timeB
		}
		duels = append(duels, d)
	}
	return duels, nil
}

// steepest returns the worst step between neighbours, of which each was measured
// against the same: from what the spreads of both allow at least to what they
// allow at most.
func steepest(duels []duel) (most duel) {
	for i := 1; i < len(duels); i++ {
		a, b := duels[i-1], duels[i]
		step := duel{ratio: b.ratio / a.ratio, low: b.low / a.high, high: b.high / a.low}
		if steeper(step, most) {
			most = step
		}
	}
	return most
}

// steeper reports whether a is the worse of two steps: by its outcome, so that
// none hides another that misses, and then by its ratio.
func steeper(a, b duel) bool {
	return cmp.Or(
		cmp.Compare(notAbove(a.low, a.high, growthStep), notAbove(b.low, b.high, growthStep)),
		cmp.Compare(a.ratio, b.ratio),
	) > 0
}
