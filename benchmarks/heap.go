package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
)

// heap measures what n sessions of three values take in this process, or as
// many as there are after half of the time.
func heap(n int, box time.Duration) (table, error) {
	t := table{
		section: growth, title: "memory: what a session of three small values takes",
		head: []string{"", "sessions", "bytes a session"}, note: "Made by logins.",
	}
	store, err := memory.New(memory.Options{MaxSessions: n + 1})
	if err != nil {
		return t, err
	}
	lib, err := newOurs(store)
	if err != nil {
		return t, err
	}
	made, own, err := heapOf(lib, n, box/2)
	if err = errors.Join(err, lib.m.Close(), store.Close()); err != nil {
		return t, err
	}
	others, other, err := heapOf(scsMemory(), n, box/2)
	t.rows = [][]string{{nameOurs, thousands(made), number(own)}, {nameSCS, thousands(others), number(other)}}
	return t, err
}

func heapOf(lib library, n int, box time.Duration) (made int, each float64, err error) {
	p, err := newPlayer("heap", lib, login)
	if err != nil {
		return 0, 0, err
	}
	before := heapNow()
	for start := time.Now(); made < n && (made%1024 != 0 || time.Since(start) < box || made == 0); made++ {
		p.serve()
	}
	after := heapNow()
	runtime.KeepAlive(lib)
	if p.w.failed != 0 {
		return 0, 0, fmt.Errorf("heap: %d logins failed", p.w.failed)
	}
	return made, float64(after-before) / float64(made), nil
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools still held
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sweepMemory measures reads while half of n sessions, expired ones, are
// swept.
func sweepMemory(n, rounds int, box time.Duration) (table, verdict, error) {
	t := table{
		section: collector, title: fmt.Sprintf("memory: reads during a sweep, %s sessions, half of them expired", thousands(n)),
		head: []string{"", "p50", "p99", "p99.9", "the sweep took"},
	}
	store, err := backend.Open(inMemory, strconv.Itoa(2*n))
	if err != nil {
		return t, verdict{}, err
	}
	lib, err := newOurs(store)
	if err != nil {
		return t, verdict{}, err
	}
	defer lib.m.Close()
	readers, err := newReaders(lib, 1000)
	if err != nil {
		return t, verdict{}, err
	}
	begun := time.Now()
	if _, err := filler(store, n/2, time.Now().Add(time.Hour), box/3); err != nil {
		return t, verdict{}, err
	}
	var quiet, busy [][]time.Duration
	var ratios []float64
	var took time.Duration
	for round := 0; round < rounds && (round == 0 || time.Since(begun) < box); round++ {
		if _, err := filler(store, n/2, time.Now().Add(-time.Second), box/3); err != nil {
			return t, verdict{}, err
		}
		runtime.GC()
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			start := time.Now()
			_, err = lib.m.Sweep(context.Background())
			took = time.Since(start)
		}()
		during := readers.until(stop)
		if err != nil {
			return t, verdict{}, err
		}
		pause := make(chan struct{})
		timer := time.AfterFunc(took, func() { close(pause) })
		alone := readers.until(pause)
		timer.Stop()
		quiet, busy = append(quiet, alone), append(busy, during)
		ratios = append(ratios, float64(percentile(during, 99))/float64(percentile(alone, 99)))
	}
	slices.Sort(ratios)
	d := quartiles(ratios)
	t.rows = [][]string{
		append([]string{"quiet"}, append(percentiles(quiet), "")...),
		append([]string{"during the sweep"}, append(percentiles(busy), took.Round(time.Millisecond).String())...),
	}
	return t, ratioAtMost("memory: p99 of reads during a sweep of "+thousands(n/2), d, 2, " × the quiet one"), nil
}

// filler stores n records of a size that sessions have, or as many as it can
// in box, and returns how many.
func filler(store backend.Store, n int, expires time.Time, box time.Duration) (made int, err error) {
	data := make([]byte, 120)
	for start := time.Now(); made < n && (made%1024 != 0 || time.Since(start) < box || made == 0); made++ {
		rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: expires, Data: data}
		if err := store.Create(context.Background(), rec); err != nil {
			return made, err
		}
	}
	return made, nil
}

// readers are requests that read one value of many sessions.
type readers struct {
	p       *player
	cookies []string
}

func newReaders(lib library, n int) (*readers, error) {
	p, err := newPlayer("reads", lib, read)
	if err != nil {
		return nil, err
	}
	r := &readers{p: p}
	for range n {
		cookie, err := p.open("/E")
		if err != nil {
			return nil, err
		}
		r.cookies = append(r.cookies, cookie)
	}
	return r, nil
}

// until reads until stop is closed, and returns how long each read took,
// sorted.
func (r *readers) until(stop <-chan struct{}) []time.Duration {
	times := make([]time.Duration, 0, 1<<20)
	for {
		select {
		case <-stop:
			slices.Sort(times)
			return times
		default:
		}
		r.p.cookie[0] = r.cookies[rand.IntN(len(r.cookies))]
		start := time.Now()
		r.p.serve()
		times = append(times, time.Since(start))
	}
}

// percentile returns the p-th percentile of sorted times.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p/100*float64(len(sorted))))]
}

// percentiles returns the medians, over the runs, of p50, p99 and p99.9.
func percentiles(runs [][]time.Duration) []string {
	var row []string
	for _, p := range []float64{50, 99, 99.9} {
		var each []float64
		for _, run := range runs {
			each = append(each, float64(percentile(run, p)))
		}
		row = append(row, micros(median(each)))
	}
	return row
}
