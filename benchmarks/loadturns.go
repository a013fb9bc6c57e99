package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A sample is what one contender did in one turn.
type sample struct {
	rate     float64       // requests a second, without those that failed
	p50, p99 time.Duration // of a request
	cpu      time.Duration // of the server process, a request
	bytes    float64       // that it allocated, a request
	clients  time.Duration // CPU of the process of the clients, a request
}

// A series is all turns of one contender.
type series struct {
	samples []sample
	times   []time.Duration // of all requests, sorted
	failed  int             // of these
}

// A cell is one scenario in one place with one number of clients, and what each
// contender did: the turns of the same number lie side by side in time.
type cell struct {
	kind     string
	scenario scenario
	clients  int
	names    []string
	of       map[string]*series
}

// measure has the contenders take turns in random order. The first turn of each
// is to warm up. In the end each session has all that was written to it.
func (f *field) measure(s scenario, n int, names []string, p pace) (c cell, err error) {
	c = cell{f.kind, s, n, names, map[string]*series{}}
	fail := func(name string, err error) error {
		return fmt.Errorf("load, %s, %s, scenario %s, %d clients: %w", title[f.kind], name, s, n, err)
	}
	for _, name := range names {
		c.of[name] = &series{}
		if err := f.generate(name, generatorOrder{Clients: n}); err != nil {
			return c, fail(name, err)
		}
		defer func() { err = errors.Join(err, f.generate(name, generatorOrder{Close: true})) }()
	}
	for turn, start := -1, time.Now(); turn < 0 || p.another(turn, start); turn++ {
		for _, i := range rand.Perm(len(names)) {
			one, r, err := f.turn(names[i], s, n, p.turn)
			if err != nil {
				return c, fail(names[i], err)
			}
			if r.Failed > 0 {
				progress("%v", fail(names[i], fmt.Errorf("%d of %d requests failed, one by %s", r.Failed, len(r.Times), r.Refusal)))
			}
			if of := c.of[names[i]]; turn >= 0 {
				of.samples = append(of.samples, one)
				of.times = append(of.times, r.Times...)
				of.failed += r.Failed
			}
		}
	}
	for _, name := range names {
		slices.Sort(c.of[name].times)
		if err := f.generate(name, generatorOrder{}); err != nil {
			return c, fail(name, err)
		}
	}
	return c, nil
}

// generate gives the generator an order about the server of a contender.
func (f *field) generate(name string, order generatorOrder) error {
	order.Addr = f.addrs[name]
	_, err := ask[generatorReply](f.generator, order)
	return err
}

// turn has one contender serve for a while, and measures it.
func (f *field) turn(name string, s scenario, clients int, lasts time.Duration) (one sample, r generatorReply, err error) {
	before, err := ask[serverReply](f.servers[name], serverOrder{})
	if err != nil {
		return one, r, err
	}
	r, err = ask[generatorReply](f.generator, generatorOrder{Addr: f.addrs[name], Scenario: s, Lasts: lasts})
	if err != nil {
		return one, r, err
	}
	after, err := ask[serverReply](f.servers[name], serverOrder{})
	var busy time.Duration // of all clients: each is busy from its first request to its last response
	for _, took := range r.Times {
		busy += took
	}
	n := len(r.Times)
	return sample{
		rate: float64((n-r.Failed)*clients) / busy.Seconds(),
		p50:  percentile(r.Times, 50), p99: percentile(r.Times, 99),
		cpu:   (after.Used.CPU - before.Used.CPU) / time.Duration(n),
		bytes: float64(after.Used.Bytes-before.Used.Bytes) / float64(n), clients: r.CPU / time.Duration(n),
	}, r, err
}

// What a contender is judged by.
var (
	byRate = func(s sample) float64 { return s.rate }
	byP50  = func(s sample) float64 { return float64(s.p50) }
	byP99  = func(s sample) float64 { return float64(s.p99) }
	byCPU  = func(s sample) float64 { return float64(s.cpu) }
	bySize = func(s sample) float64 { return s.bytes }

	byClients = func(s sample) float64 { return float64(s.clients) }
)

// median returns the median of a figure over the turns.
func (s *series) median(by func(sample) float64) float64 {
	var all []float64
	for _, one := range s.samples {
		all = append(all, by(one))
	}
	slices.Sort(all)
	return quantile(all, 0.5)
}

// ratio returns this library's figure by another contender's: the median over
// the rounds and the quartiles.
func (c cell) ratio(by func(sample) float64, against string) duel {
	var ratios []float64
	for i, own := range c.of[nameOurs].samples {
		ratios = append(ratios, by(own)/by(c.of[against].samples[i]))
	}
	slices.Sort(ratios)
	return quartiles(ratios)
}
