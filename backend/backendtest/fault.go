package backendtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// An Op is a method of a store.
type Op string

// The methods that a [Fault] can interfere with. OpAny stands for all of them.
const (
	OpAny           Op = ""
	OpLoad          Op = "Load"
	OpCreate        Op = "Create"
	OpUpdate        Op = "Update"
	OpTouch         Op = "Touch"
	OpDelete        Op = "Delete"
	OpDeleteVersion Op = "DeleteVersion"
	OpSweep         Op = "Sweep"
	OpByUser        Op = "ByUser"
	OpList          Op = "List"
	OpCount         Op = "Count"
	OpChanged       Op = "Changed"
)

// A Call is a call of a store's method. What the method has no argument for is
// zero.
type Call struct {
	Op      Op
	Seq     int            // 1 for the first call that the Fault saw, of whatever Op
	ID      uuid.UUID      // Load, Create, Update, Touch, Delete, DeleteVersion
	Record  backend.Record // Create, Update
	Expires time.Time      // Touch
	Version uint64         // DeleteVersion
	User    string         // ByUser; List: the prefix
	Limit   int            // Sweep, List
}

// A Fault stands before a store and makes its calls fail, wait, or lose their
// reply; [Fault.Store] is the store to use. What it does is decided by rules
// ([Fault.On], [Fault.Lose], [Fault.Gate]), oldest first, and by the hooks
// Before and After. Without any it just counts the calls. It is safe for
// concurrent use.
type Fault struct {
	// Before runs before each call, after the rules. An error is returned
	// to the caller instead of calling the store. It may block, until ctx
	// ends at the latest. Set it before the store is used.
	Before func(ctx context.Context, call Call) error

	// After runs after each call that reached the store, with its outcome,
	// and returns what the caller gets to see. An error in place of nil is
	// a lost reply: the work was done. Set it before the store is used.
	After func(ctx context.Context, call Call, err error) error

	inner backend.Store

	mu    sync.Mutex // guards the rest
	seq   int
	count map[Op]int
	rules []*rule
}

// NewFault returns a Fault that stands before inner.
func NewFault(inner backend.Store) *Fault {
	return &Fault{inner: inner, count: make(map[Op]int)}
}

// Store returns the store to use. It has exactly the optional interfaces of
// the inner one, but for two: it is not [Bounded], as it can be made to wait,
// and not [InProcess], so that it is treated like a store on a server.
func (f *Fault) Store() backend.Store {
	return f.StoreWith(Capabilities(f.inner) &^ (Bounded | InProcess | closer))
}

// StoreWith is Store for exactly the optional interfaces have: fewer than the
// inner store has, or InProcess, Bounded and Confirmer, which are mere claims. It panics
// if the inner store has no such methods.
func (f *Fault) StoreWith(have Capability) backend.Store {
	if missing := have &^ (Capabilities(f.inner) | Bounded | InProcess | Confirmer); missing != 0 {
		panic(fmt.Sprintf("backendtest: Fault.StoreWith: the inner store has no %v", missing))
	}
	return expose((*faulty)(f), have)
}

// Calls returns how many calls of op there were, those included that did not
// reach the store. OpAny counts all.
func (f *Fault) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if op == OpAny {
		return f.seq
	}
	return f.count[op]
}

// Reset drops all rules and sets the counters to zero. A call that waits at a
// [Gate] goes on waiting.
func (f *Fault) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq, f.rules = 0, nil
	clear(f.count)
}

// run is the way of each call: count, rules, Before, the store, rules, After.
func (f *Fault) run(ctx context.Context, call Call, do func() error) error {
	applied := f.begin(&call)
	for _, r := range applied {
		if r.before == nil {
			continue
		}
		if err := r.before(ctx, call); err != nil {
			return err
		}
	}
	if f.Before != nil {
		if err := f.Before(ctx, call); err != nil {
			return err
		}
	}
	err := do()
	for _, r := range applied {
		if r.after != nil {
			err = r.after(ctx, call, err)
		}
	}
	if f.After != nil {
		err = f.After(ctx, call, err)
	}
	return err
}

// begin counts the call and returns the rules that apply to it.
func (f *Fault) begin(call *Call) []*rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq++
	f.count[call.Op]++
	call.Seq = f.seq
	var applied, left []*rule
	for _, r := range f.rules {
		if r.applies(call.Op) {
			applied = append(applied, r)
		}
		if r.times != 0 {
			left = append(left, r)
		}
	}
	f.rules = left
	return applied
}

// faulty has the methods of the store, which are none of Fault's own business.
type faulty Fault

func (s *faulty) Load(ctx context.Context, id uuid.UUID) (rec backend.Record, err error) {
	err = (*Fault)(s).run(ctx, Call{Op: OpLoad, ID: id}, func() (err error) {
		rec, err = s.inner.Load(ctx, id)
		return err
	})
	if err != nil {
		return backend.Record{}, err
	}
	return rec, nil
}

func (s *faulty) Create(ctx context.Context, rec backend.Record) error {
	return (*Fault)(s).run(ctx, Call{Op: OpCreate, ID: rec.ID, Record: rec}, func() error {
		return s.inner.Create(ctx, rec)
	})
}

func (s *faulty) Update(ctx context.Context, rec backend.Record) error {
	return (*Fault)(s).run(ctx, Call{Op: OpUpdate, ID: rec.ID, Record: rec}, func() error {
		return s.inner.Update(ctx, rec)
	})
}

func (s *faulty) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	return (*Fault)(s).run(ctx, Call{Op: OpTouch, ID: id, Expires: expires}, func() error {
		return s.inner.Touch(ctx, id, expires)
	})
}

func (s *faulty) Delete(ctx context.Context, id uuid.UUID) error {
	return (*Fault)(s).run(ctx, Call{Op: OpDelete, ID: id}, func() error {
		return s.inner.Delete(ctx, id)
	})
}

func (s *faulty) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	return (*Fault)(s).run(ctx, Call{Op: OpDeleteVersion, ID: id, Version: version}, func() error {
		return backend.AbilitiesOf(s.inner).VersionedDeleter.DeleteVersion(ctx, id, version)
	})
}

func (s *faulty) Sweep(ctx context.Context, limit int) (n int, err error) {
	err = (*Fault)(s).run(ctx, Call{Op: OpSweep, Limit: limit}, func() (err error) {
		n, err = backend.AbilitiesOf(s.inner).Sweeper.Sweep(ctx, limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (s *faulty) ByUser(ctx context.Context, user string) (recs []backend.Record, err error) {
	err = (*Fault)(s).run(ctx, Call{Op: OpByUser, User: user}, func() (err error) {
		recs, err = backend.AbilitiesOf(s.inner).UserIndex.ByUser(ctx, user)
		return err
	})
	if err != nil {
		return nil, err
	}
	return recs, nil
}

func (s *faulty) List(ctx context.Context, prefix string, limit int) (recs []backend.Record, err error) {
	err = (*Fault)(s).run(ctx, Call{Op: OpList, User: prefix, Limit: limit}, func() (err error) {
		recs, err = backend.AbilitiesOf(s.inner).Lister.List(ctx, prefix, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return recs, nil
}

func (s *faulty) Count(ctx context.Context) (n int, err error) {
	err = (*Fault)(s).run(ctx, Call{Op: OpCount}, func() (err error) {
		n, err = backend.AbilitiesOf(s.inner).Counter.Count(ctx)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (s *faulty) Changed(ctx context.Context, known []backend.Version) (changed []uuid.UUID, err error) {
	err = (*Fault)(s).run(ctx, Call{Op: OpChanged}, func() (err error) {
		changed, err = backend.AbilitiesOf(s.inner).Comparer.Changed(ctx, known)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}
