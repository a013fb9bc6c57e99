package backendtest

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/chisession/session/backend"
)

// ErrLost is what the caller gets of a call whose reply was lost.
var ErrLost = errors.New("backendtest: reply lost")

// Always is the number of calls of a rule that holds until [Fault.Reset].
const Always = -1

// A rule interferes with some calls.
type rule struct {
	op     Op
	times  int // calls of op that it is still for; Always, or 0 when spent
	before func(ctx context.Context, call Call) error
	after  func(ctx context.Context, call Call, err error) error
}

// applies counts a call of op, and reports whether the rule is for it.
func (r *rule) applies(op Op) bool {
	switch {
	case r.op != OpAny && r.op != op, r.times == 0:
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

// On runs fn before each of the next n calls of op ([Always]: before all of
// them): what somebody else does to the store at the worst moment, a failure
// ([Fail]), a wait ([Delay]). If fn returns an error, the call does not reach
// the store, and its caller gets that error. Call.Seq tells the calls apart.
func (f *Fault) On(op Op, n int, fn func(ctx context.Context, call Call) error) {
	f.add(&rule{op: op, times: n, before: fn})
}

// Fail makes calls fail with err, without reaching the store. With
// [backend.ErrConflict] it is a conflict on demand.
func Fail(err error) func(context.Context, Call) error {
	return func(context.Context, Call) error { return err }
}

// Delay makes calls wait for d before they reach the store, or until their
// context ends, whose error the caller then gets.
func Delay(d time.Duration) func(context.Context, Call) error {
	return func(ctx context.Context, _ Call) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Lose lets the next n calls of op do their work, and then tells the caller
// [ErrLost]. A call that fails by itself keeps its error.
func (f *Fault) Lose(op Op, n int) {
	f.add(&rule{op: op, times: n, after: func(_ context.Context, _ Call, err error) error {
		return cmp.Or(err, ErrLost)
	}})
}

// Unconfirmed lets the next n calls of op do their work, and then tells the
// caller [backend.ErrNotReplicated]. A call that fails by itself keeps its error.
func (f *Fault) Unconfirmed(op Op, n int) {
	f.add(&rule{op: op, times: n, after: func(_ context.Context, _ Call, err error) error {
		return cmp.Or(err, backend.ErrNotReplicated)
	}})
}

// A Gate holds one call until it is released.
type Gate struct {
	reached, released chan struct{}
	release           sync.Once
}

// A GatePoint is where a [Gate] holds a call.
type GatePoint int

// The two places. At a reply the store has done its work, and the caller does
// not know yet.
const (
	AtCall GatePoint = iota
	AtReply
)

// Gate holds the next call of op, before it reaches the store or after that.
func (f *Fault) Gate(op Op, at GatePoint) *Gate {
	g := newGate()
	r := &rule{op: op, times: 1}
	if at == AtCall {
		r.before = func(ctx context.Context, _ Call) error { return g.wait(ctx) }
	} else {
		r.after = func(ctx context.Context, _ Call, err error) error {
			return cmp.Or(err, g.wait(ctx))
		}
	}
	f.add(r)
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
