package main

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/chisession/session"
)

// A cost is what one request takes beyond what chi alone takes for it. It is
// exact: the same on every machine, at any load.
type cost struct {
	Allocs   int    // allocations
	Bytes    int    `json:"-"` // bytes allocated: not compared, as some vary
	Trips    int    // round trips to the store
	Commands string `json:",omitempty"` // what the server executed, where it counts by name
}

// countedRequests returns how many requests a cost is measured over: fewer
// where each waits for a disk, and for those whose costs nobody compares with
// the ones before.
func (pl *place) countedRequests(name string) int {
	switch {
	case name != nameOurs && name != nameChi:
		return 16
	case pl.mariaDB != nil, pl.postgres != nil:
		return 32
	}
	return 256
}

// countAllocs returns allocations and bytes of one of n requests of p, what chi
// takes included: the least of several counts, as what pools and maps allocate
// now and then is not of one request.
func countAllocs(p *player, n int) (allocs, bytes int, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if err := p.play(n); err != nil { // pools and maps grow
		return 0, 0, err
	}
	allocs, bytes = math.MaxInt, math.MaxInt
	for range 5 {
		if err := p.prepare(n); err != nil {
			return 0, 0, err
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		p.turn(n)
		runtime.ReadMemStats(&after)
		if err := p.clean(n); err != nil {
			return 0, 0, err
		}
		// Rounded down, as testing does.
		allocs = min(allocs, int(after.Mallocs-before.Mallocs)/n)
		bytes = min(bytes, int(after.TotalAlloc-before.TotalAlloc)/n)
	}
	return allocs, bytes, nil
}

// countCost returns the cost of one request of p.
func (pl *place) countCost(p *player) (c cost, err error) {
	chi, err := pl.player(nameChi, untouched)
	if err != nil {
		return c, err
	}
	chiAllocs, chiBytes, err := countAllocs(chi, pl.countedRequests(nameChi))
	if err != nil {
		return c, err
	}
	if c.Allocs, c.Bytes, err = countAllocs(p, pl.countedRequests(p.name)); err != nil {
		return c, err
	}
	c.Allocs -= chiAllocs
	c.Bytes -= chiBytes
	c.Trips, c.Commands, err = pl.countTrips(p)
	return c, err
}

// countTrips returns the round trips of one request: those that the server
// counted, or where there is none, the calls of this library's store.
func (pl *place) countTrips(p *player) (trips int, commands string, err error) {
	const n = 16
	if pl.redis == nil && pl.mariaDB == nil && p.name != nameOurs {
		return 0, "", nil // nobody counts them
	}
	if err := p.prepare(n); err != nil {
		return 0, "", err
	}
	work := func() error { p.turn(n); return nil }
	switch {
	case pl.redis != nil:
		count, err := pl.redis.Count(work)
		if err != nil {
			return 0, "", err
		}
		var names []string
		for _, name := range slices.Sorted(maps.Keys(count.Commands)) {
			if calls := count.Commands[name] / n; calls > 0 {
				names = append(names, fmt.Sprintf("%d %s", calls, name))
			}
		}
		trips, commands = count.Trips/n, strings.Join(names, ", ")
		return trips, commands, p.clean(n)
	case pl.mariaDB != nil:
		before, err := pl.mariaDB.Statements()
		if err != nil {
			return 0, "", err
		}
		_ = work() // it has no error
		after, err := pl.mariaDB.Statements()
		if err != nil {
			return 0, "", err
		}
		d := after.Sub(before)
		trips = int(d.Questions+d.Prepared) / n
		return trips, fmt.Sprintf("%d executed, %d prepared", d.Executed/n, d.Prepared/n), p.clean(n)
	}
	before := calls(pl.ours.m.Stats())
	_ = work() // it has no error
	return int(calls(pl.ours.m.Stats())-before) / n, "", p.clean(n)
}

// calls returns how many store calls a manager has made.
func calls(s session.Stats) uint64 {
	return s.Loads + s.Creates + s.Updates + s.Touches + s.Deletes
}
