package stored

import (
	"context"
	"errors"
	"fmt"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// ErrOutcomeUnknown says that the reply to an exact Update was lost and that
// others have written since: it may have been done or not.
var ErrOutcomeUnknown = errors.New("session: the store's reply was lost, the update may be stored or not")

// ErrAgain is what the function of an Update returns to be called again, because
// its caller's own copy is a newer one by now.
var ErrAgain = errors.New("stored: the copy is another by now")

// Update puts a change in the place of the version that it was made of, which is
// that of have. next is called before each try, to Prepare it: with nil at first,
// and when others have written meanwhile, with the newest copy and its values,
// which the change then has to be made of. No lock of this package is held meanwhile. Another error
// than ErrAgain ends the Update as it is.
//
// An exact Update is a read-modify-write, which must not be done twice. Others
// wait in a queue of their session, so that they do not collide for nothing.
func (w *Write) Update(ctx context.Context, s *Store, have Copy, exact bool, next func(newest *Copy, values record.Body) error) (Outcome, error) {
	w.store, w.exact, w.tries.patience = s, exact, s.Patience
	var (
		out    Outcome
		newest found
		turn   turn
	)
	if !exact {
		turn = s.queues.enter(ctx, have.Cred.ID())
		defer turn.leave()
		newest = s.since(&have, turn.stored)
	}
	for {
		err := next(newest.copy, newest.values)
		if err != nil && err != ErrAgain {
			return out, err
		}
		newest = found{}
		if err == nil {
			if err = s.update(ctx, w.rec, w.past); err == nil {
				turn.stored = w.stored()
				w.done(&out)
				return out, nil
			}
			newest, err = w.again(ctx, err, &out)
			if newest.copy == nil {
				return out, err
			}
		}
		w.tries.begin(Now()) // if nothing was prepared yet
		if w.tries.late(ctx) {
			err = out.failed("update", fmt.Errorf("gave up after %d conflicts: %w", w.tries.conflicts, backend.ErrConflict))
			return out, err
		}
	}
}

// stored returns the record that the last try has stored.
func (w *Write) stored() backend.Record {
	rec := w.rec
	rec.Version++
	return rec
}

// since returns rec, which another request of this process has just stored, if it
// is a newer version than have: the write to come would only meet a conflict. If
// it is not the session of have any more, the conflict will tell.
func (s *Store) since(have *Copy, rec backend.Record) (f found) {
	if rec.Version <= have.Version {
		return f
	}
	newest := new(Copy)
	values, err := s.verify(newest, &rec, &have.Cred, Now())
	if err == nil {
		f.copy, f.values = newest, values
	}
	return f
}

// update replaces a record, or deletes it if its time has passed.
func (s *Store) update(ctx context.Context, rec backend.Record, past bool) error {
	if !past {
		return s.Backend.Update(ctx, rec)
	}
	// Its time has passed meanwhile, unless another request has prolonged the
	// session: then this is a conflict.
	if err := s.DeleteVersion(ctx, rec.ID, rec.Version); err != nil {
		return err
	}
	return backend.ErrNotFound
}

// again decides what to do about a try that failed with failure. It finds the
// newest copy, of which the change can be made again; without, the write is done
// all the same, or lost, or not to be tried again.
func (w *Write) again(ctx context.Context, failure error, out *Outcome) (found, error) {
	switch {
	case errors.Is(failure, backend.ErrConflict):
		out.Conflicts++
		w.tries.conflicts++
		// Before the newest is read: what is read before a pause is old after it,
		// and among others who write all the time never the newest.
		if err := w.tries.pause(ctx); err != nil {
			return found{}, out.failed("update", err)
		}
	case errors.Is(failure, backend.ErrNotFound):
		out.Lost = backend.ErrNotFound
		return found{}, nil
	case definite(failure), w.tries.uncertain == maxUncertain, w.tries.hung(ctx):
		return found{}, out.failed("update", failure)
	default:
		w.tries.doubted(failure)
		w.doubt = w.rec.Version
	}
	out.Loads++
	newest, err := w.reload(ctx)
	switch {
	case err == nil && newest.own: // an earlier try was done, its reply lost
		return found{}, w.completed(ctx, &newest, out)
	case err == nil && w.doubtful(newest.rec.Version):
		return found{}, out.failed("update", fmt.Errorf("%w: %w", ErrOutcomeUnknown, failure))
	case err == nil:
		return newest, nil
	case LostBy(err) != nil:
		out.Lost, out.Unknown = LostBy(err), w.exact && w.doubt != 0
		if errors.Is(err, ErrDamaged) {
			out.Damage = err
		}
		return found{}, nil
	case errors.Is(failure, backend.ErrConflict):
		return found{}, out.failed("load", err)
	}
	return found{}, out.failed("update", failure)
}

// A found is what the store has.
type found struct {
	rec    backend.Record
	copy   *Copy // nil is none
	values record.Body
	own    bool // a try of this write was done
}

// reload finds the record as it is by now.
func (w *Write) reload(ctx context.Context) (f found, err error) {
	var now int64
	if now, err = w.store.load(ctx, w.rec.ID, &f.rec); err != nil {
		return f, err
	}
	f.own = w.tries.made(f.rec)
	cred := &w.from
	if f.own {
		cred = &w.after.Cred
	}
	f.copy = new(Copy)
	f.values, err = w.store.verify(f.copy, &f.rec, cred, now)
	return f, err
}

// LostBy returns what Outcome.Lost would be if err is what Load says of the
// record of a session that was there; nil if err is another.
func LostBy(err error) error {
	switch {
	case errors.Is(err, ErrSecret):
		return ErrSuperseded
	case errors.Is(err, backend.ErrNotFound), errors.Is(err, ErrAbsolute), errors.Is(err, ErrDamaged):
		return backend.ErrNotFound
	}
	return nil
}

// doubtful reports whether nobody can tell any more if a try was done, given
// that the store is on version now. Others have written since. The version after
// the doubtful one is not ours if it is the newest; if it is not, to do it again
// might undo what others did about it: show a flash message once more, bring back
// a key that they deleted.
func (w *Write) doubtful(version uint64) bool {
	if w.doubt == 0 || version <= w.doubt {
		return false
	}
	if version > w.doubt+1 {
		return true
	}
	w.doubt = 0
	return false
}

// completed makes sure of an own write whose reply was lost.
func (w *Write) completed(ctx context.Context, own *found, out *Outcome) error {
	rec, err := w.store.complete(ctx, own.rec, &w.tries)
	own.copy.Version = rec.Version
	w.after, w.values = *own.copy, own.values
	w.done(out)
	if err != nil {
		return out.failed("update", err)
	}
	return nil
}
