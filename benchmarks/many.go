package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// few is the number of sessions that larger numbers are compared with, and
// flat how much longer a read may take among them.
const (
	few  = 10_000
	flat = 1.5
)

// A visitor is a side that reads sessions at random, of n.
type visitor struct {
	n     int
	visit func(i int) func() error // prepares a read of session i
	next  []func() error
	times []time.Duration
	err   error
}

func (v *visitor) prepare(n int) error {
	v.next = v.next[:0]
	for range n {
		v.next = append(v.next, v.visit(rand.IntN(v.n)))
	}
	return nil
}

func (v *visitor) turn(n int) {
	for _, read := range v.next[:n] {
		start := time.Now()
		if err := read(); err != nil {
			v.err = err
		}
		v.times = append(v.times, time.Since(start))
	}
}

func (v *visitor) clean(int) error { return v.err }

// percentiles returns the 50th and the 99th of what its reads took.
func (v *visitor) percentiles() (p50, p99 time.Duration) {
	slices.Sort(v.times)
	return percentile(v.times, 50), percentile(v.times, 99)
}

// many measures reads among few sessions and among most, or as many as can be
// made in box, in one kind of place.
func (rep *report) many(pl *place, most int, box time.Duration, p pace) error {
	t := table{
		section: growth, title: "Reading among n sessions",
		head: []string{"", "sessions", "p50", "p99", "× that among few"},
		note: fmt.Sprintf("Two stores of each kind in one server, one of %s sessions and one of %s, or as many as there was time for. "+
			"The store's own call, for sessions chosen at random, in turns.", thousands(few), thousands(most)),
	}
	if pl.kind == inFile {
		box /= 2 // files take as long to remove
	}
	var sides [2]*visitor
	for i, name := range []string{"few", "many"} {
		pool, err := pl.newPool(name)
		if err != nil {
			return err
		}
		if err := pool.fill([]int{few, most}[i], []time.Duration{box / 4, box * 3 / 4}[i]); err != nil {
			return err
		}
		sides[i] = pool.loads()
	}
	d, err := compare(sides[1], sides[0], p)
	if err != nil {
		return fmt.Errorf("%s: read among %d sessions: %w", pl.kind, sides[1].n, err)
	}
	ratio := "too few could be made"
	if v, ok := flatReads(pl.kind, sides[1].n, sides[0].n, d); ok {
		ratio = spread(d)
		rep.verdicts = append(rep.verdicts, v)
	}
	p50, p99 := curve{panel: panelP50, kind: pl.kind}, curve{panel: panelP99, kind: pl.kind}
	for i, v := range sides {
		half, nearly := v.percentiles()
		rep.row(t, title[pl.kind], thousands(v.n), micros(half), micros(nearly), []string{"", ratio}[i])
		p50.add(v.n, half)
		p99.add(v.n, nearly)
	}
	rep.curves = append(rep.curves, p50, p99)
	return nil
}

// loads returns calls that load sessions of p at random.
func (p *pool) loads() *visitor {
	return &visitor{n: p.n, visit: func(i int) func() error {
		id := numberedID(i)
		return func() error {
			_, err := p.store.Load(context.Background(), id)
			return err
		}
	}}
}

// flatReads judges d, reads among n sessions against reads among fewer. If they
// are not ten times as many, it would say nothing.
func flatReads(kind string, n, fewer int, d duel) (v verdict, ok bool) {
	return ratioAtMost(fmt.Sprintf("%s: reads among %s sessions", title[kind], thousands(n)), d, flat, " × among "+thousands(fewer)), n >= 10*fewer
}
