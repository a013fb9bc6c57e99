package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"
)

// growValues measures reading and writing one value of sessions with 1 to 1000
// values of 16 bytes, against one of 10.
func growValues(pl *place, p pace) (table, []verdict, error) {
	t := table{
		title: title[pl.kind] + ": one value of many",
		head:  []string{"values of 16 bytes", "read one", "× that of 10", "write one", "× that of 10"},
	}
	var verdicts []verdict
	for _, n := range []int{1, 10, 100, 1000} {
		row := []string{fmt.Sprint(n)}
		for _, path := range []string{"/first", "/one"} {
			d, err := grown(pl, p, [2]int{n, 10}, [2]int{16, 16}, path)
			if err != nil {
				return t, nil, err
			}
			row = append(row, micros(d.timeA), spread(d))
			if n == 1000 && path == "/first" {
				v := ratioAtMost(title[pl.kind]+", read one value of 1000", d, 3, " × that of one of 10")
				verdicts = append(verdicts, v)
			}
		}
		t.rows = append(t.rows, row)
	}
	return t, verdicts, nil
}

// growSize measures a session of one value of 100 B to 1 MB.
func growSize(pl *place, p pace) (table, error) {
	t := table{
		title: title[pl.kind] + ": one value, small and large",
		head:  []string{"bytes", "read it", "× that of 100", "write a small one beside it", "× that of 100"},
	}
	for _, size := range []int{100, 1_000, 10_000, 100_000, 1_000_000} {
		row := []string{fmt.Sprint(size)}
		for _, path := range []string{"/first", "/last"} {
			d, err := grown(pl, p, [2]int{1, 1}, [2]int{size, 100}, path)
			if err != nil {
				return t, err
			}
			row = append(row, micros(d.timeA), spread(d))
		}
		t.rows = append(t.rows, row)
	}
	return t, nil
}

// grown has this library's session of n[0] values of size[0] bytes duel with
// that of n[1] of size[1].
func grown(pl *place, p pace, n, size [2]int, path string) (duel, error) {
	var sides [2]*player
	for i := range sides {
		var err error
		if sides[i], err = newGrown(nameOurs, pl.ours, n[i], size[i], path); err != nil {
			return duel{}, err
		}
	}
	return compare(sides[0], sides[1], p)
}

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
		title: "One core and two: reads in memory",
		head:  []string{"", "one core", "two cores, a request", "gain"},
	}
	for i, name := range []string{nameChi, nameOurs + ", B"} {
		slices.Sort(gains[i])
		t.rows = append(t.rows, []string{name, micros(median(times[i][0])), micros(median(times[i][1])), spread(quartiles(gains[i]))})
	}
	slices.Sort(ratios)
	return t, ratioAtLeast("memory, gain of reads from the second core", quartiles(ratios), 0.9, " × the gain of chi alone"), nil
}

// quartiles returns median and quartiles of sorted ratios.
func quartiles(sorted []float64) duel {
	return duel{ratio: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75)}
}
