package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// openLoad calls do at a fixed rate for a while, whether the calls before have
// ended or not, and returns how long each took from the instant at which it
// was due: a server that stalls is not spared the requests of that time
// (no coordinated omission).
func openLoad(rate int, lasts time.Duration, workers int, do func(worker int) error) ([]time.Duration, error) {
	n := int(float64(rate) * lasts.Seconds())
	due := make(chan time.Time, n)
	times := make([][]time.Duration, workers)
	errs := make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for at := range due {
				if err := do(w); err != nil {
					errs[w] = err
				}
				times[w] = append(times[w], time.Since(at))
			}
		})
	}
	start := time.Now()
	every := lasts / time.Duration(n)
	for i := range n {
		at := start.Add(time.Duration(i) * every)
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	all.Wait()
	merged := slices.Concat(times...)
	slices.Sort(merged)
	return merged, errors.Join(errs...)
}

// openClients is how many connections an open load may use: more than are busy
// at a time, unless a server stalls.
const openClients = 32

// load measures a server that is not at its limits, with and without the
// middleware, in turns.
func load(rate, turns int, lasts time.Duration) (t table, err error) {
	t = table{
		title: fmt.Sprintf("A real server under an open load of %s requests a second (memory)", thousands(rate)),
		head:  []string{"", "p50", "p99", "p99.9"},
		note: "Server and clients are two processes that share this machine; each time counts from the instant at which the request was due. " +
			fmt.Sprintf("Medians of %d turns of %v each.", turns, lasts),
	}
	f := &field{kind: inMemory, servers: map[string]*peer{}, addrs: map[string]string{}}
	defer func() { err = errors.Join(err, f.close()) }()
	if f.generator, err = startPeer(roleGenerator); err != nil {
		return t, err
	}
	for _, name := range []string{nameChi, nameOurs} {
		if err := f.start(contender{Kind: inMemory, Name: name}); err != nil {
			return t, err
		}
	}
	for name, addr := range f.addrs {
		if err := f.generate(name, generatorOrder{Clients: openClients, Guests: name == nameChi}); err != nil {
			return t, fmt.Errorf("open load, %s at %s: %w", name, addr, err)
		}
	}
	rows := []struct {
		text, name string
		scenario   scenario
		runs       [][]time.Duration
	}{
		{"chi alone", nameChi, untouched, nil},
		{"with the middleware, session untouched", nameOurs, untouched, nil},
		{"reading one value", nameOurs, read, nil},
		{"writing one", nameOurs, write, nil},
	}
	for range turns {
		for i := range rows {
			row := &rows[i]
			order := generatorOrder{Addr: f.addrs[row.name], Scenario: row.scenario, Lasts: lasts, Rate: rate}
			r, err := ask[generatorReply](f.generator, order)
			if err != nil {
				return t, fmt.Errorf("open load, %s: %w", row.text, err)
			}
			row.runs = append(row.runs, r.Times)
		}
	}
	for _, row := range rows {
		t.rows = append(t.rows, append([]string{row.text}, percentiles(row.runs)...))
	}
	return t, nil
}
