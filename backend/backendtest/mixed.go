package backendtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// testMixed lets 32 goroutines do everything to a few records at once. What
// anyone sees must be a version that somebody stored, whole: the data and the
// user of a record say which version of which record they belong to.
func testMixed(c *check) {
	s := c.open()
	const workers, each, records = 32, 24, 6
	ids := make([]uuid.UUID, records)
	for i := range ids {
		ids[i] = newID()
	}
	errs := c.race(workers, func(i int) error {
		for n := range each {
			if err := c.mixedStep(s, ids[(i+n)%records], i*each+n); err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range errs {
		if err != nil {
			c.errorf("32 goroutines at once: %v", err)
		}
	}
}

// stamp is what a record of testMixed holds in a version.
func stamp(id uuid.UUID, version uint64) (user string, data []byte) {
	user = fmt.Sprint("user ", version%3)
	return user, fmt.Appendf(nil, "%v version %d of %s", id, version, user)
}

// whole checks that rec is as somebody stored it.
func whole(rec backend.Record, id uuid.UUID) error {
	user, data := stamp(id, rec.Version)
	if rec.ID != id || rec.User != user || string(rec.Data) != string(data) {
		return fmt.Errorf("a record that nobody stored: %s", describe(rec))
	}
	return nil
}

// mixedStep does the n-th call of testMixed.
func (c *check) mixedStep(s backend.Store, id uuid.UUID, n int) error {
	switch n % 8 {
	case 0, 1:
		rec := backend.Record{ID: id, Expires: in(time.Hour)}
		rec.User, rec.Data = stamp(id, 1)
		return except(s.Create(c.ctx, rec), backend.ErrExists)
	case 2:
		return except(s.Touch(c.ctx, id, in(2*time.Hour)), backend.ErrNotFound)
	case 3:
		if n%3 == 0 {
			return s.Delete(c.ctx, id)
		}
	case 4:
		if index, ok := s.(backend.UserIndex); ok {
			return c.mixedByUser(index, fmt.Sprint("user ", n%3))
		}
	case 5:
		if sweeper, ok := s.(backend.Sweeper); ok {
			_, err := sweeper.Sweep(c.ctx, 5)
			return err
		}
	}
	rec, err := s.Load(c.ctx, id)
	if err != nil {
		return except(err, backend.ErrNotFound)
	}
	if err := whole(rec, id); err != nil {
		return err
	}
	rec.User, rec.Data = stamp(id, rec.Version+1)
	return except(s.Update(c.ctx, rec), backend.ErrNotFound, backend.ErrConflict)
}

func (c *check) mixedByUser(index backend.UserIndex, user string) error {
	recs, err := index.ByUser(c.ctx, user)
	for _, rec := range recs {
		if rec.User != user {
			return fmt.Errorf("ByUser(%q) returned %s", user, describe(rec))
		}
		if err := whole(rec, rec.ID); err != nil {
			return err
		}
	}
	return err
}

// except returns err unless it is one of the outcomes that are in order.
func except(err error, outcomes ...error) error {
	for _, outcome := range outcomes {
		if errors.Is(err, outcome) {
			return nil
		}
	}
	return err
}

// A call is a method call with its arguments, for checks that are the same
// for all methods.
type call struct {
	name string
	do   func(ctx context.Context) error
}

// calls are calls of all the methods that s has, on rec.
func calls(s backend.Store, rec backend.Record) []call {
	all := []call{
		{"Load", func(ctx context.Context) error { _, err := s.Load(ctx, rec.ID); return err }},
		{"Create", func(ctx context.Context) error { return s.Create(ctx, newRecord("ann", "data")) }},
		{"Update", func(ctx context.Context) error { return s.Update(ctx, rec) }},
		{"Touch", func(ctx context.Context) error { return s.Touch(ctx, rec.ID, in(2*time.Hour)) }},
		{"Delete", func(ctx context.Context) error { return s.Delete(ctx, newID()) }},
	}
	if d, ok := s.(backend.VersionedDeleter); ok {
		all = append(all, call{"DeleteVersion", func(ctx context.Context) error { return d.DeleteVersion(ctx, rec.ID, 99) }})
	}
	if w, ok := s.(backend.Sweeper); ok {
		all = append(all, call{"Sweep", func(ctx context.Context) error { _, err := w.Sweep(ctx, 10); return err }})
	}
	if x, ok := s.(backend.UserIndex); ok {
		all = append(all, call{"ByUser", func(ctx context.Context) error { _, err := x.ByUser(ctx, "ann"); return err }})
	}
	if n, ok := s.(backend.Counter); ok {
		all = append(all, call{"Count", func(ctx context.Context) error { _, err := n.Count(ctx); return err }})
	}
	return all
}

// testCancelled checks that calls end with their context, and that the store
// is none the worse for it.
func testCancelled(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("ann", "data"))
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	bounded := Capabilities(s)&Bounded != 0
	for _, call := range calls(s, rec) {
		began := time.Now()
		err := call.do(ctx)
		if took := time.Since(began); took > 2*time.Second {
			c.errorf("%s with a cancelled context took %v", call.name, took)
		}
		if !bounded && !errors.Is(err, context.Canceled) {
			c.errorf("%s with a cancelled context: got error %v, want %v", call.name, err, context.Canceled)
		}
	}
	_, err := s.Load(c.ctx, rec.ID)
	c.ok("Load after calls with a cancelled context", err)
	c.wantRecord(s, c.create(s, newRecord("ann", "after")))
}

// testClosed checks that a closed store says so.
func testClosed(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("ann", "data"))
	c.ok("Close", s.(io.Closer).Close())
	for _, call := range calls(s, rec) {
		c.wantErr(call.name+" after Close", call.do(c.ctx), backend.ErrClosed)
	}
	c.ok("Close for the second time", s.(io.Closer).Close())
}
