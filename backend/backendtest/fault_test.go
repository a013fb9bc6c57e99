package backendtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

var errBoom = errors.New("boom")

// TestFaultForwards runs the whole suite through a Fault without rules.
func TestFaultForwards(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) backend.Store { return NewFault(newToy("")).Store() })
}

// TestFaultCapabilities checks every set of interfaces: the store has those
// and no other.
func TestFaultCapabilities(t *testing.T) {
	f := NewFault(newToy(""))
	for have := range Bounded << 1 {
		if got := Capabilities(f.StoreWith(have)); got != have {
			t.Errorf("StoreWith(%v) has %v", have, got)
		}
	}
	if got, want := Capabilities(f.Store()), VersionedDeleter|Sweeper|UserIndex|Lister|Counter; got != want {
		t.Errorf("Store of a store with all interfaces has %v, want %v", got, want)
	}
	if got := Capabilities(NewFault(plain{newToy("")}).Store()); got != 0 {
		t.Errorf("Store of a plain store has %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("StoreWith of an interface that the inner store lacks did not panic")
		}
	}()
	NewFault(plain{newToy("")}).StoreWith(Sweeper)
}

// TestFaultEveryOp fails every method once, and checks that the store was not
// reached and the next call is none the worse.
func TestFaultEveryOp(t *testing.T) {
	inner := NewFault(newToy(""))
	f := NewFault(inner.Store())
	s, rec := f.Store(), newRecord("ann", "data")
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	rec.Version = 1
	for i, call := range calls(s, rec) {
		op := Op(call.name)
		before := inner.Calls(op)
		f.On(op, 1, Fail(errBoom))
		if err := call.do(t.Context()); err != errBoom {
			t.Errorf("%s: got error %v, want %v", op, err, errBoom)
		}
		if got := inner.Calls(op) - before; got != 0 {
			t.Errorf("%s reached the store", op)
		}
		want := error(nil)
		if op == OpDeleteVersion {
			want = backend.ErrConflict
		}
		if err := call.do(t.Context()); err != want {
			t.Errorf("%s after the failure: got error %v, want %v", op, err, want)
		}
		if got, want := f.Calls(OpAny), 1+2*(i+1); got != want {
			t.Errorf("Calls(OpAny): got %d, want %d", got, want)
		}
	}
}

func TestFaultOneOfSeveral(t *testing.T) {
	f := NewFault(newToy(""))
	s, id := f.Store(), newID()
	f.On(OpAny, Always, func(_ context.Context, call Call) error {
		if call.Seq == 2 {
			return errBoom
		}
		return nil
	})
	f.Lose(OpDelete, 2)
	var got []error
	for range 4 {
		got = append(got, s.Delete(t.Context(), id))
	}
	// The second call meets both rules: it fails before its reply can be lost.
	for i, want := range []error{ErrLost, errBoom, nil, nil} {
		if got[i] != want {
			t.Errorf("call %d: got error %v, want %v", i+1, got[i], want)
		}
	}
	f.On(OpDelete, Always, Fail(errBoom))
	for range 2 {
		if err := s.Delete(t.Context(), id); err != errBoom {
			t.Errorf("Always: got error %v", err)
		}
	}
	f.Reset()
	if err := s.Delete(t.Context(), id); err != nil || f.Calls(OpDelete) != 1 {
		t.Errorf("after Reset: error %v, %d calls", err, f.Calls(OpDelete))
	}
}

func TestFaultLose(t *testing.T) {
	f := NewFault(newToy(""))
	s, rec := f.Store(), newRecord("", "data")
	f.Lose(OpCreate, 2)
	if err := s.Create(t.Context(), rec); err != ErrLost {
		t.Errorf("Create with a lost reply: got error %v, want %v", err, ErrLost)
	}
	if err := s.Create(t.Context(), rec); err != backend.ErrExists {
		t.Errorf("Create again: got error %v, want %v", err, backend.ErrExists)
	}
	if _, err := s.Load(t.Context(), rec.ID); err != nil {
		t.Errorf("the work of the lost call was not done: %v", err)
	}
}

func TestFaultHooks(t *testing.T) {
	f := NewFault(newToy(""))
	var seen []Call
	f.Before = func(_ context.Context, call Call) error {
		seen = append(seen, call)
		return nil
	}
	f.After = func(_ context.Context, call Call, err error) error {
		if call.Op == OpUpdate && err == nil {
			return backend.ErrConflict
		}
		return err
	}
	s, rec := f.Store(), newRecord("ann", "data")
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	rec.Version = 1
	if err := s.Update(t.Context(), rec); err != backend.ErrConflict {
		t.Errorf("Update: got error %v, want that of After", err)
	}
	if len(seen) != 2 || seen[1].Op != OpUpdate || seen[1].Seq != 2 || seen[1].ID != rec.ID || !same(seen[1].Record, rec) {
		t.Errorf("Before saw %+v", seen)
	}
}

// TestFaultBeforeNext has somebody else write between the caller's Load and
// its Update: a true conflict.
func TestFaultBeforeNext(t *testing.T) {
	inner := newToy("")
	f := NewFault(inner)
	s, rec := f.Store(), newRecord("", "data")
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	rec.Version = 1
	f.On(OpUpdate, 1, func(ctx context.Context, call Call) error { return inner.Update(ctx, call.Record) })
	if err := s.Update(t.Context(), rec); err != backend.ErrConflict {
		t.Errorf("Update after another's: got error %v, want %v", err, backend.ErrConflict)
	}
}

func TestFaultGates(t *testing.T) {
	inner := newToy("")
	f := NewFault(inner)
	s := f.Store()
	for _, tt := range []struct {
		name   string
		gate   *Gate
		stored bool // while the call is at the gate
	}{
		{"Gate at the call", f.Gate(OpCreate, AtCall), false},
		{"Gate at the reply", nil, true},
	} {
		if tt.gate == nil {
			tt.gate = f.Gate(OpCreate, AtReply)
		}
		rec := newRecord("", "data")
		done := make(chan error, 1)
		go func() { done <- s.Create(context.Background(), rec) }()
		<-tt.gate.Reached()
		if _, err := inner.Load(t.Context(), rec.ID); (err == nil) != tt.stored {
			t.Errorf("%s: the record at the gate: %v, want it stored: %v", tt.name, err, tt.stored)
		}
		tt.gate.Release()
		tt.gate.Release()
		if err := <-done; err != nil {
			t.Errorf("%s: Create after Release: %v", tt.name, err)
		}
	}
}

// TestFaultWaitsEndWithTheContext checks all that can block.
func TestFaultWaitsEndWithTheContext(t *testing.T) {
	f := NewFault(newToy(""))
	s := f.Store()
	f.On(OpLoad, 1, Delay(time.Hour))
	f.Gate(OpTouch, AtCall)
	f.Gate(OpDelete, AtReply)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, load := s.Load(ctx, uuid.Nil)
	for _, err := range []error{load, s.Touch(ctx, uuid.Nil, in(time.Hour))} {
		if err != context.DeadlineExceeded {
			t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
		}
	}
	live, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := s.Delete(live, uuid.Nil); err != context.Canceled {
		t.Errorf("Gate at the reply: got error %v, want %v", err, context.Canceled)
	}
}

// TestFaultRace calls and rules at once; the race detector is the judge.
func TestFaultRace(t *testing.T) {
	f := NewFault(newToy(""))
	s := f.Store()
	c := &check{ctx: t.Context()}
	c.race(8, func(i int) error {
		for range 100 {
			if i%2 == 0 {
				f.On(OpLoad, 1, Fail(errBoom))
				continue
			}
			s.Load(c.ctx, uuid.Nil)
		}
		return nil
	})
	if got := f.Calls(OpLoad); got != 400 {
		t.Errorf("Calls: got %d, want 400", got)
	}
}
