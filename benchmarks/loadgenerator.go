package main

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"
)

// A generatorOrder is one of: connect Clients clients to the server at Addr, or
// close those that are connected, or have them make requests of a scenario for a
// while, or, with none, look whether their sessions have what they wrote.
type generatorOrder struct {
	Addr     string
	Clients  int
	Guests   bool // the clients do not log in
	Close    bool
	Scenario scenario
	Lasts    time.Duration
	Rate     int // requests a second for the clients together; 0: each sends the next when it has the response
}

// A generatorReply is what came of requests.
type generatorReply struct {
	Times []time.Duration // of all, sorted; with a rate, from the instant at which each was due
	CPU   time.Duration   // that this process took for all, with no rate

	Failed  int    // of all: responses that were not 200
	Refusal string // one of these
}

// A generator is the process that sends the requests: for each server, by its
// address, the clients that are connected to it.
type generator map[string]clients

type clients []*client

func (g generator) do(order generatorOrder) (r generatorReply, err error) {
	all := g[order.Addr]
	switch {
	case order.Clients > 0:
		begin := (*client).begin
		if order.Guests {
			begin = func(*client) error { return nil }
		}
		g[order.Addr], err = dialClients(order.Addr, order.Clients, begin)
		return r, err
	case order.Close:
		delete(g, order.Addr)
		return r, all.close()
	case order.Scenario == "":
		return r, all.few((*client).check)
	case order.Rate > 0:
		r.Times, err = all.open(order)
		return r, err
	}
	before, err := used()
	if err != nil {
		return r, err
	}
	if r, err = all.closed(order); err != nil {
		return r, err
	}
	after, err := used()
	r.CPU = after.CPU - before.CPU
	return r, err
}

func (g generator) close() error {
	var errs []error
	for _, all := range g {
		errs = append(errs, all.close())
	}
	return errors.Join(errs...)
}

// dialClients connects n clients, and has each begin.
func dialClients(addr string, n int, begin func(*client) error) (all clients, err error) {
	for range n {
		c, err := dialClient(addr)
		if err != nil {
			return nil, errors.Join(err, all.close())
		}
		all = append(all, c)
	}
	if err := all.few(begin); err != nil {
		return nil, errors.Join(err, all.close())
	}
	return all, nil
}

func (all clients) close() error { return all.each((*client).close) }

// few is each, for few at a time: what is not measured is to overload no store.
func (all clients) few(do func(*client) error) error {
	for part := range slices.Chunk(all, 16) {
		if err := part.each(do); err != nil {
			return err
		}
	}
	return nil
}

// each has all clients do something at the same time.
func (all clients) each(do func(*client) error) error {
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, c := range all {
		wait.Go(func() { errs[i] = do(c) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// closed is a closed loop: each client sends its next request when it has the
// response to the one before. The request at which the time is up is the last.
func (all clients) closed(order generatorOrder) (r generatorReply, err error) {
	end := time.Now().Add(order.Lasts)
	var mu sync.Mutex // guards r
	err = all.each(func(c *client) error {
		own, err := c.until(end, order.Scenario)
		mu.Lock()
		defer mu.Unlock()
		r.Times = append(r.Times, own.Times...)
		r.Failed += own.Failed
		r.Refusal = cmp.Or(r.Refusal, own.Refusal)
		return err
	})
	if err == nil && r.Failed == len(r.Times) {
		err = errors.New(r.Refusal)
	}
	slices.Sort(r.Times)
	return r, err
}

// until makes one request after the other. A server with too much to do may
// refuse some.
func (c *client) until(end time.Time, s scenario) (r generatorReply, err error) {
	if err := c.within(time.Until(end)); err != nil {
		return r, err
	}
	for start := time.Now(); len(r.Times) == 0 || start.Before(end); {
		err := c.visit(s)
		if refused, ok := errors.AsType[refusal](err); ok {
			r.Failed++
			r.Refusal = string(refused)
		} else if err != nil {
			return r, err
		}
		now := time.Now()
		r.Times = append(r.Times, now.Sub(start))
		start = now
	}
	return r, nil
}

// open is an open load: requests are due at a fixed rate, whatever became of
// those before.
func (all clients) open(order generatorOrder) ([]time.Duration, error) {
	for _, c := range all {
		if err := c.within(order.Lasts); err != nil {
			return nil, err
		}
	}
	return openLoad(order.Rate, order.Lasts, len(all), func(worker int) error { return all[worker].visit(order.Scenario) })
}
