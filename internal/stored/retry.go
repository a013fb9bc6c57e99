package stored

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// maxUncertain is how often a write is tried again after a store error that may
// hide a success.
const maxUncertain = 2

// The tries of one write.
type tries struct {
	commit    uint64 // the ID of all of them, by which a later one recognises what an earlier one has done
	conflicts int
	uncertain int   // errors that may hide a success
	confirm   bool  // a failover must not undo it: see complete
	start     int64 // Unix ms
	patience  time.Duration
}

// begin notes that a try is made at now, in Unix ms; the first counts.
func (t *tries) begin(now int64) {
	if t.start == 0 {
		t.start = now
	}
}

// doubted notes an error that may hide a success.
func (t *tries) doubted(err error) {
	t.uncertain++
	t.confirm = t.confirm || errors.Is(err, backend.ErrNotReplicated)
}

// made reports whether rec is what one of the tries has written.
func (t *tries) made(rec backend.Record) bool {
	h, err := record.ParseHead(rec.Data)
	return err == nil && h.Commit == t.commit
}

// late reports whether there is no time for another try.
func (t *tries) late(ctx context.Context) bool {
	return ctx.Err() != nil || Now()-t.start >= t.patience.Milliseconds()
}

// hung reports whether the store took so long to fail that it was a time-out,
// and a look at what it did would end in another.
func (t *tries) hung(ctx context.Context) bool {
	return ctx.Err() != nil || Now()-t.start >= t.patience.Milliseconds()/2
}

// pause waits a moment that grows with the number of conflicts, at random, so
// that those who collided do not collide again.
func (t *tries) pause(ctx context.Context) error {
	if t.conflicts < 2 {
		return nil
	}
	most := min(time.Duration(t.conflicts)*time.Millisecond, 20*time.Millisecond)
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// definite reports whether a store's error says for sure that nothing was
// written.
func definite(err error) bool {
	return errors.Is(err, backend.ErrTooLarge) || errors.Is(err, backend.ErrUser) || errors.Is(err, backend.ErrClosed)
}

// complete makes sure of rec, a session of a user, after a write that failed
// and whose record is there all the same. A store that has several things to do
// for a write may have done that one alone: a session that is missing from the
// index by user would outlive "log out everywhere". So the index is asked, and
// if it does not know the session, the store writes it once more as it is.
// A write that a failover must not undo, and that no reply has confirmed, is
// written once more, too. complete returns rec with the version that the store
// has.
func (s *Store) complete(ctx context.Context, rec backend.Record, tries *tries) (backend.Record, error) {
	rec.Confirm = tries.confirm && s.Can.Confirms
	if !rec.Confirm && (rec.User == "" || s.indexed(ctx, rec)) {
		return rec, nil
	}
	for uncertain := 0; ; {
		err := s.Backend.Update(ctx, rec)
		switch {
		case err == nil:
			rec.Version++
			return rec, nil
		case errors.Is(err, backend.ErrNotFound):
			return rec, nil // it was stored, and has ended since
		case errors.Is(err, backend.ErrConflict) && !tries.late(ctx):
		case definite(err), uncertain == maxUncertain, tries.hung(ctx):
			return rec, err
		default:
			uncertain++
		}
		there, loadErr := s.Backend.Load(ctx, rec.ID)
		if errors.Is(loadErr, backend.ErrNotFound) {
			return rec, nil
		}
		if loadErr != nil {
			return rec, loadErr
		}
		if !tries.made(there) {
			return rec, s.confirmOther(ctx, there, rec.Confirm) // others have written since, and all that a write is
		}
		there.Confirm = rec.Confirm
		rec = there
	}
}

// confirmOther makes sure, if it has to, of the write of others that came after
// one that no reply has confirmed. It changes nothing but the version.
func (s *Store) confirmOther(ctx context.Context, there backend.Record, has bool) error {
	if !has {
		return nil
	}
	there.Confirm = true
	err := s.Backend.Update(ctx, there)
	if errors.Is(err, backend.ErrNotFound) {
		return nil // ended, and not by us
	}
	return err
}

// indexed reports whether the store's index by user, if it has one, has rec.
func (s *Store) indexed(ctx context.Context, rec backend.Record) bool {
	if s.Can.UserIndex == nil {
		return true
	}
	listed, err := s.Can.UserIndex.ByUser(ctx, rec.User)
	return err == nil && slices.ContainsFunc(listed, func(r backend.Record) bool { return r.ID == rec.ID })
}
