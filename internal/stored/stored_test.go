package stored

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/internal/record"
)

// newStore returns a store, and what makes its calls fail.
func newStore(t *testing.T) (*Store, *backendtest.Fault) {
	t.Helper()
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inner.Close() })
	fault := backendtest.NewFault(inner)
	store := fault.Store()
	return &Store{Backend: store, Can: backend.AbilitiesOf(store), Protect: record.Sealed,
		Patience: time.Second, Idle: time.Hour, Absolute: 24 * time.Hour}, fault
}

// setting returns values in which key is set to value, over base.
func setting(t *testing.T, base record.Body, key, value string) *record.Changes {
	t.Helper()
	var vals record.Changes
	vals.Reset(base, 1<<20)
	text, err := record.Marshal(value)
	if err == nil {
		err = vals.Set(key, value, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &vals
}

// created returns the copy of a new record that has a=1, and its values.
func created(t *testing.T, s *Store) (Copy, record.Body) {
	t.Helper()
	var w Write
	cred := record.NewCredentials(time.Now())
	out, err := w.Create(t.Context(), s, func() error {
		return w.Prepare(&Copy{}, &Change{Values: setting(t, record.Body{}, "a", "1"), Next: cred})
	})
	if err != nil || !out.Created || out.Copy.Version != 1 {
		t.Fatalf("Create: %+v, %v", out, err)
	}
	return out.Copy, out.Values
}

// value returns what the store has under key.
func value(t *testing.T, s *Store, cred *record.Credentials, key string) any {
	t.Helper()
	values, err := s.Load(t.Context(), cred, new(Copy))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := record.Decode(values.Find(key))
	return got
}

// update sets b=2 in the record of have, and returns how often it was asked to
// prepare that.
func update(t *testing.T, s *Store, have Copy, base record.Body) (asked int, out Outcome, err error) {
	t.Helper()
	var w Write
	out, err = w.Update(t.Context(), s, have, true, func(newest *Copy, values record.Body) error {
		asked++
		if newest != nil {
			have, base = *newest, values
		}
		return w.Prepare(&have, &Change{Values: setting(t, base, "b", "2"), Next: have.Cred})
	})
	return asked, out, err
}

// A conflict asks for the change again, made of what others have stored.
func TestUpdateMerges(t *testing.T) {
	s, _ := newStore(t)
	have, base := created(t, s)
	if _, _, err := update(t, s, have, base); err != nil {
		t.Fatal(err)
	}
	asked, out, err := update(t, s, have, base)
	if err != nil || asked != 2 || out.Conflicts != 1 || out.Loads != 1 || out.Copy.Version != 3 {
		t.Errorf("an Update of an old copy: asked %d times, %+v, %v", asked, out, err)
	}
	if got := value(t, s, &have.Cred, "a"); got != "1" {
		t.Errorf("a is %v after the merge, want 1", got)
	}
}

// A write whose reply was lost is recognised, and not done twice.
func TestUpdateLostReply(t *testing.T) {
	s, fault := newStore(t)
	have, base := created(t, s)
	fault.Lose(backendtest.OpUpdate, 1)
	asked, out, err := update(t, s, have, base)
	if err != nil || asked != 1 || !out.Updated || out.Copy.Version != 2 || fault.Calls(backendtest.OpUpdate) != 1 {
		t.Errorf("asked %d times, %+v, %v; %d calls", asked, out, err, fault.Calls(backendtest.OpUpdate))
	}
}

// What the caller's own function returns is not taken for the store's, after a
// conflict neither: an Update may find that there is nothing left to do.
func TestUpdateOwnError(t *testing.T) {
	s, _ := newStore(t)
	have, base := created(t, s)
	if _, _, err := update(t, s, have, base); err != nil {
		t.Fatal(err)
	}
	own := errors.New("nothing to do")
	var w Write
	out, err := w.Update(t.Context(), s, have, true, func(newest *Copy, _ record.Body) error {
		if newest != nil {
			return own
		}
		return w.Prepare(&have, &Change{Values: setting(t, base, "c", "3"), Next: have.Cred})
	})
	if err != own || out.Op != "" || out.Conflicts != 1 {
		t.Errorf("%+v, %v; want the function's error, of no method of the store", out, err)
	}
}

// A record that has ended, or has another secret, is lost; a store that fails is
// an error of one of its methods.
func TestUpdateLost(t *testing.T) {
	s, fault := newStore(t)
	have, base := created(t, s)
	var w Write
	renewed, err := w.Update(t.Context(), s, have, true, func(*Copy, record.Body) error {
		return w.Prepare(&have, &Change{Values: setting(t, base, "b", "2"), Next: have.Cred.Renewed(), Renew: true})
	})
	if err != nil || !renewed.Renewed {
		t.Fatalf("a renewal: %+v, %v", renewed, err)
	}
	if _, out, err := update(t, s, have, base); err != nil || out.Lost != ErrSuperseded {
		t.Errorf("with the old secret: %+v, %v; want ErrSuperseded", out, err)
	}
	if out, err := s.Delete(t.Context(), &have.Cred, have.Version); err != nil || out.Lost != ErrSuperseded || out.Removed {
		t.Errorf("Delete with the old secret: %+v, %v; want ErrSuperseded", out, err)
	}
	fault.On(backendtest.OpUpdate, 1, backendtest.Fail(backend.ErrTooLarge))
	if _, out, err := update(t, s, renewed.Copy, base); !errors.Is(err, backend.ErrTooLarge) || out.Op != "update" {
		t.Errorf("a store that fails: %+v, %v", out, err)
	}
	if out, err := s.Delete(t.Context(), &renewed.Copy.Cred, renewed.Copy.Version); err != nil || !out.Removed {
		t.Errorf("Delete: %+v, %v", out, err)
	}
	if _, out, err := update(t, s, renewed.Copy, base); err != nil || !errors.Is(out.Lost, backend.ErrNotFound) {
		t.Errorf("after its end: %+v, %v; want ErrNotFound", out, err)
	}
}

// Another ID is asked for when one is taken, and not for ever.
func TestCreateCollides(t *testing.T) {
	s, fault := newStore(t)
	fault.On(backendtest.OpCreate, 2, backendtest.Fail(backend.ErrExists))
	asked := 0
	create := func() (Outcome, error) {
		var w Write
		return w.Create(context.Background(), s, func() error {
			asked++
			return w.Prepare(&Copy{}, &Change{Values: setting(t, record.Body{}, "a", "1"), Next: record.NewCredentials(time.Now())})
		})
	}
	if out, err := create(); err != nil || asked != 3 || !out.Created {
		t.Errorf("two IDs were taken: asked %d times, %+v, %v", asked, out, err)
	}
	fault.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(backend.ErrExists))
	if out, err := create(); !errors.Is(err, backend.ErrExists) || out.Op != "create" || asked != 3+1+maxCollisions {
		t.Errorf("all IDs are taken: asked %d times, %+v, %v", asked, out, err)
	}
}

// A timeout that was made shorter holds, although somebody who had loaded the
// record before has the store keep it for longer: the head says when it ends.
func TestLoadEndedByItsHead(t *testing.T) {
	for idle := 50 * time.Millisecond; !loadEndsByHead(t, idle); idle *= 4 {
		if idle > time.Minute {
			t.Fatalf("a record ends before it can be loaded, even by a timeout of %v", idle)
		}
	}
}

// loadEndsByHead returns false if the record had ended before it was looked at: the
// machine was busy.
func loadEndsByHead(t *testing.T, idle time.Duration) bool {
	t.Helper()
	s, _ := newStore(t)
	have, base := created(t, s)
	var w Write
	out, err := w.Update(t.Context(), s, have, true, func(*Copy, record.Body) error {
		return w.Prepare(&have, &Change{Values: setting(t, base, "b", "2"), Next: have.Cred, Idle: idle, Shorten: true})
	})
	if err != nil || out.Copy.Head.Ends == 0 {
		t.Fatalf("%+v, %v; want the end in the head", out, err)
	}
	_, touchErr := s.Touch(t.Context(), have.Cred.ID(), have.Expires)
	var c Copy
	_, err = s.Load(t.Context(), &have.Cred, &c)
	if time.Now().UnixMilli() >= out.Copy.Expires {
		return false
	}
	if touchErr != nil {
		t.Fatal(touchErr)
	}
	if err != nil || c.Expires != out.Copy.Expires {
		t.Errorf("before its end: expires %d, %v; want %d", c.Expires, err, out.Copy.Expires)
	}
	time.Sleep(time.Until(time.UnixMilli(out.Copy.Expires + 1)))
	if _, err := s.Backend.Load(t.Context(), have.Cred.ID()); err != nil {
		t.Fatalf("the store has it no more: %v", err)
	}
	if _, err := s.Load(t.Context(), &have.Cred, new(Copy)); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("after its end: %v, want ErrNotFound", err)
	}
	return true
}

// The pause after a conflict comes before the newest record is read. What was read
// before it would be old again: a login among those who write all the time would
// meet conflicts until it gives up.
func TestPauseBeforeReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fault := newStore(t)
		s.Patience = time.Minute
		have, base := created(t, s)
		var read time.Time
		fault.On(backendtest.OpLoad, backendtest.Always, func(context.Context, backendtest.Call) error {
			read = time.Now()
			return nil
		})
		fault.On(backendtest.OpUpdate, 50, backendtest.Fail(backend.ErrConflict))
		fault.On(backendtest.OpUpdate, backendtest.Always, func(context.Context, backendtest.Call) error {
			if !read.IsZero() && time.Since(read) > 0 {
				t.Errorf("a try is made of what was read %v before", time.Since(read))
			}
			return nil
		})
		start := time.Now()
		if _, out, err := update(t, s, have, base); err != nil || out.Conflicts != 50 {
			t.Errorf("%d conflicts, %v; want 50, and success", out.Conflicts, err)
		}
		if time.Since(start) == 0 {
			t.Error("there was no pause at all")
		}
	})
}
