package main

import (
	"context"
	"sync"
)

// gates are places where a request waits until the test lets it go on.
type gates struct {
	mu     sync.Mutex // guards byName
	byName map[string]*gate
}

func newGates() *gates { return &gates{byName: map[string]*gate{}} }

// named returns the gate of that name; whoever asks first makes it.
func (g *gates) named(name string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byName[name] == nil {
		g.byName[name] = &gate{reached: make(chan struct{}), opened: make(chan struct{})}
	}
	return g.byName[name]
}

// A gate lets one request wait, and go on.
type gate struct {
	arrive, let     sync.Once
	reached, opened chan struct{}
}

// pass waits until the gate is opened.
func (g *gate) pass(ctx context.Context) {
	g.arrive.Do(func() { close(g.reached) })
	wait(ctx, g.opened)
}

// await waits until a request has reached the gate.
func (g *gate) await(ctx context.Context) { wait(ctx, g.reached) }

func (g *gate) open() { g.let.Do(func() { close(g.opened) }) }

func wait(ctx context.Context, c <-chan struct{}) {
	select {
	case <-c:
	case <-ctx.Done():
	}
}
