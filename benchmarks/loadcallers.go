package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/rueidis"
)

// manyCallers is how many goroutines load sessions at once.
const manyCallers = 256

// callers measures loads a second of many goroutines, without HTTP, through the
// two Redis clients that a store can have: redigo, with a connection for each
// call, and rueidis, which sends the calls of all over a few.
func callers(pl *place, p pace) (t table, v verdict, err error) {
	t = table{
		title: fmt.Sprintf("Redis: loads by %d goroutines, through rueidis and through redigo", manyCallers),
		head:  []string{"", "loads a second", "rueidis ÷ redigo"},
		note:  fmt.Sprintf("The stores alone, in one process. Medians of at most %d turns of %v of each, in random order.", p.rounds, p.turn),
	}
	second, err := rueidis.Open(pl.redis.URL())
	if err != nil {
		return t, v, err
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	stores := [2]backend.Store{second, pl.ours.store}
	rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Data: make([]byte, 300)}
	if err := second.Create(context.Background(), rec); err != nil {
		return t, v, err
	}
	var rates [2][]float64
	var ratios []float64
	for turn, start := -1, time.Now(); turn < 0 || p.another(turn, start); turn++ {
		var now [2]float64
		for _, i := range rand.Perm(2) {
			if now[i], err = loadsASecond(stores[i], rec, p.turn); err != nil {
				return t, v, err
			}
		}
		if turn < 0 { // it was to warm up
			continue
		}
		ratios = append(ratios, now[0]/now[1])
		for i := range rates {
			rates[i] = append(rates[i], now[i])
		}
	}
	for i := range rates {
		slices.Sort(rates[i])
	}
	slices.Sort(ratios)
	d := quartiles(ratios)
	t.rows = [][]string{
		{"rueidis", thousands(int(quantile(rates[0], 0.5))), spread(d)},
		{"redigo", thousands(int(quantile(rates[1], 0.5))), ""},
	}
	return t, ratioAtLeast(fmt.Sprintf("Redis, %d goroutines, loads a second through rueidis", manyCallers), d, 1.5, " × redigo"), nil
}

// loadsASecond has many goroutines load rec for a while, and returns the rate.
func loadsASecond(s backend.Store, rec backend.Record, lasts time.Duration) (float64, error) {
	start := time.Now()
	end := start.Add(lasts)
	var n [manyCallers]int
	var errs [manyCallers]error
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for time.Now().Before(end) {
				got, err := s.Load(context.Background(), rec.ID)
				if err == nil && len(got.Data) != len(rec.Data) {
					err = fmt.Errorf("loaded %d bytes, want %d", len(got.Data), len(rec.Data))
				}
				if err != nil {
					errs[i] = err
					return
				}
				n[i]++
			}
		})
	}
	all.Wait()
	total := 0
	for _, each := range n {
		total += each
	}
	return float64(total) / time.Since(start).Seconds(), errors.Join(errs[:]...)
}
