package backendtest

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrLost is what the caller gets of a call whose reply was lost.
var ErrLost = errors.New("backendtest: reply lost")

// always is the number of times of a rule without end.
const always = -1

// A rule interferes with some calls.
type rule struct {
	op     Op
	skip   int // calls of op to let pass first
	times  int // calls of op to apply to after that; always, or 0 when spent
	before func(ctx context.Context, call Call) error
	after  func(ctx context.Context, call Call, err error) error
}

// applies counts a call of op, and reports whether the rule is for it.
func (r *rule) applies(op Op) bool {
	switch {
	case r.op != OpAny && r.op != op, r.times == 0:
		return false
	case r.skip > 0:
		r.skip--
		return false
	case r.times > 0:
		r.times--
	}
	return true
}

func (f *Fault) add(r *rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, r)
}

func fail(err error) func(context.Context, Call) error {
	return func(context.Context, Call) error { return err }
}

func lose(_ context.Context, _ Call, err error) error {
	if err != nil {
		return err
	}
	return ErrLost
}

// FailNext makes the next n calls of op fail with err, without reaching the
// store. With [backend.ErrConflict] it is a conflict on demand.
func (f *Fault) FailNext(op Op, n int, err error) {
	f.add(&rule{op: op, times: n, before: fail(err)})
}

// FailNth makes the n-th call of op from now on fail with err, and only that.
// FailNth(OpAny, n, err), for n from 1 until a run ends with fewer calls than
// n, fails every call of a scenario in turn.
func (f *Fault) FailNth(op Op, n int, err error) {
	f.add(&rule{op: op, skip: n - 1, times: 1, before: fail(err)})
}

// FailAlways makes every call of op fail with err, until [Fault.Reset].
func (f *Fault) FailAlways(op Op, err error) {
	f.add(&rule{op: op, times: always, before: fail(err)})
}

// LoseReply lets the next n calls of op do their work, and then tells the
// caller [ErrLost]. A call that fails by itself keeps its error.
func (f *Fault) LoseReply(op Op, n int) {
	f.add(&rule{op: op, times: n, after: lose})
}

// LoseNth is LoseReply for the n-th call of op from now on only.
func (f *Fault) LoseNth(op Op, n int) {
	f.add(&rule{op: op, skip: n - 1, times: 1, after: lose})
}

// DelayNext makes the next n calls of op wait for d before they reach the
// store, or until their context ends, whose error the caller then gets.
func (f *Fault) DelayNext(op Op, n int, d time.Duration) {
	f.add(&rule{op: op, times: n, before: func(ctx context.Context, _ Call) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
}

// BeforeNext runs fn before the next call of op: what somebody else does to
// the store at the worst moment. If fn returns an error, the call fails with
// it and does not reach the store.
func (f *Fault) BeforeNext(op Op, fn func(ctx context.Context, call Call) error) {
	f.add(&rule{op: op, times: 1, before: fn})
}

// A Gate holds one call until it is released.
type Gate struct {
	reached, released chan struct{}
	release           sync.Once
}

// Gate holds the next call of op before it reaches the store.
func (f *Fault) Gate(op Op) *Gate {
	g := newGate()
	f.add(&rule{op: op, times: 1, before: func(ctx context.Context, _ Call) error { return g.wait(ctx) }})
	return g
}

// GateReply holds the next call of op after the store has done its work: the
// caller does not know yet.
func (f *Fault) GateReply(op Op) *Gate {
	g := newGate()
	f.add(&rule{op: op, times: 1, after: func(ctx context.Context, _ Call, err error) error {
		if waited := g.wait(ctx); err == nil {
			err = waited
		}
		return err
	}})
	return g
}

func newGate() *Gate {
	return &Gate{reached: make(chan struct{}), released: make(chan struct{})}
}

func (g *Gate) wait(ctx context.Context) error {
	close(g.reached)
	select {
	case <-g.released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reached is closed when the call has come to the gate.
func (g *Gate) Reached() <-chan struct{} { return g.reached }

// Release lets the call go on, or pass if it has not come yet. It may be called
// more than once.
func (g *Gate) Release() { g.release.Do(func() { close(g.released) }) }
