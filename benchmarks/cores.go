package main

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A crowd is several players at once, each with a goroutine and a session of
// its own.
type crowd []*player

func (c crowd) turn(n int) {
	var all sync.WaitGroup
	for _, p := range c {
		all.Go(func() { p.turn(n) })
	}
	all.Wait()
}

// cores measures what a second core brings: chi alone, and reads in memory.
func cores(pl *place, p pace) (table, verdict, error) {
	most := min(2, runtime.NumCPU())
	var crowds [2]crowd
	for i, name := range []string{nameChi, nameOurs} {
		for range most {
			player, err := pl.player(name, read)
			if err != nil {
				return table{}, verdict{}, err
			}
			crowds[i] = append(crowds[i], player)
		}
	}
	n := [2]int{}
	for i, c := range crowds {
		var err error
		if n[i], err = calibrate(c[0], p.turn); err != nil {
			return table{}, verdict{}, err
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var times [2][2][]float64 // of a request, by crowd and by cores
	gains := [2][]float64{}
	var ratios []float64
	for start := time.Now(); p.another(len(ratios), start); {
		var took [2][2]float64
		for _, turn := range rand.Perm(4) {
			i, on := turn/2, turn%2
			k := 1 + on*(most-1)
			runtime.GOMAXPROCS(k)
			start := time.Now()
			crowds[i][:k].turn(n[i])
			took[i][on] = float64(time.Since(start)) / float64(n[i]*k)
			times[i][on] = append(times[i][on], took[i][on])
		}
		for i := range gains {
			gains[i] = append(gains[i], took[i][0]/took[i][1])
		}
		ratios = append(ratios, (took[1][0]/took[1][1])/(took[0][0]/took[0][1]))
	}
	t := table{
		section: growth, title: "memory: one core and two",
		head: []string{"", "one core", "two cores, a request", "gain"},
	}
	for i, name := range []string{nameChi, nameOurs + ", reading"} {
		slices.Sort(gains[i])
		t.rows = append(t.rows, []string{name, micros(median(times[i][0])), micros(median(times[i][1])), spread(quartiles(gains[i]))})
	}
	slices.Sort(ratios)
	return t, ratioAtLeast("memory: gain of reads from the second core", quartiles(ratios), 0.9, " × the gain of chi alone"), nil
}
