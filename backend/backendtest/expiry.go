package backendtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

const (
	// slack is how far the store's clock may be from ours.
	slack = 25 * time.Millisecond

	// short is how long a record lives that is only there to expire; brisk
	// is for one that something must be done with before.
	short = 300 * time.Millisecond
	brisk = 1200 * time.Millisecond
)

// expire waits until instant has passed on both clocks.
func expire(instant time.Time) { time.Sleep(time.Until(instant) + slack) }

// inTime has prepare do what must be done before an instant, which is brisk
// from now, and returns the instant. A store that was too slow for it has
// proved nothing and tries again, on another storage, with more time.
func (c *check) inTime(prepare func(s backend.Store, ends time.Time)) (s backend.Store, ends time.Time) {
	for life := brisk; ; life *= 2 {
		s, ends = c.open(), in(life)
		failed := c.attempt(func() { prepare(s, ends) })
		if time.Until(ends) > slack || life > 8*brisk {
			c.giveUpOn(failed)
			return s, ends
		}
		c.notef("more than %v were needed to prepare the case: once more, with twice as much", life)
	}
}

// testExpiry checks the instant at which a record stops to be, whichever call
// set it. Every Load is judged by when it began and ended, so that a slow
// machine makes the check coarser but not wrong.
func testExpiry(c *check) {
	var touched backend.Record
	s, ends := c.inTime(func(s backend.Store, ends time.Time) {
		touched = newRecord("", "touched")
		touched.Expires = ends
		touched = c.create(s, touched)
		touched.Expires = ends.Add(short)
		c.ok("Touch", s.Touch(c.ctx, touched.ID, touched.Expires))
	})
	created := newRecord("", "created")
	created.Expires = ends
	created = c.create(s, created)
	shortened := c.create(s, newRecord("", "shortened"))
	shortened.Expires, shortened.Shorten = ends, true
	shortened = c.update(s, shortened)
	watched := []struct {
		call string
		rec  backend.Record
	}{{"Create", created}, {"Update with Shorten", shortened}, {"Touch", touched}}
	c.race(len(watched), func(i int) error {
		c.watch(s, watched[i].call, watched[i].rec)
		return nil
	})
}

// watch loads want until it is gone, which must be when it expires.
func (c *check) watch(s backend.Store, call string, want backend.Record) {
	start := time.Now()
	for {
		began := time.Now()
		got, err := s.Load(c.ctx, want.ID)
		ended := time.Now()
		early := errors.Is(err, backend.ErrNotFound) && ended.Before(want.Expires.Add(-slack))
		late := err == nil && !began.Before(want.Expires.Add(slack))
		switch {
		case (early || late) && clockSet(start):
			c.notef("the machine's clock was set meanwhile: the expiry set by %s is not judged", call)
			return
		case early:
			c.errorf("expiry set by %s: the record was gone %v too early", call, want.Expires.Sub(ended))
			return
		case late:
			c.errorf("expiry set by %s: the record was there %v after it", call, began.Sub(want.Expires))
			return
		case errors.Is(err, backend.ErrNotFound):
			return
		case err != nil:
			c.errorf("Load: %v", err)
			return
		}
		c.wantSame("Load", got, want)
		time.Sleep(2 * time.Millisecond)
	}
}

// clockSet reports whether the machine's clock was set since start, by more
// than the checks of an expiry allow: then the wall's clock and the monotonic one
// disagree on how long it was.
func clockSet(start time.Time) bool {
	now := time.Now()
	return (now.Round(0).Sub(start.Round(0)) - now.Sub(start)).Abs() > slack/2
}

// expired returns n records of one user that have expired, unswept.
func (c *check) expired(s backend.Store, user string, n int) []backend.Record {
	recs := make([]backend.Record, n)
	expires := in(short + time.Duration(n)*10*time.Millisecond) // a slow server needs time to create them
	for i := range recs {
		recs[i] = newRecord(user, fmt.Sprint("expired ", i))
		recs[i].Expires = expires
		recs[i] = c.create(s, recs[i])
	}
	expire(expires)
	return recs
}

// testExpired checks that an expired record is as good as none for every
// method, first thing it meets, and that none revives it.
func testExpired(c *check) {
	s := c.open()
	live := c.create(s, newRecord("", "live"))
	recs := c.expired(s, "", 6)

	c.wantGone(s, recs[0].ID)

	recs[1].Expires = in(time.Hour)
	c.wantErr("Update of an expired record", s.Update(c.ctx, recs[1]), backend.ErrNotFound)
	c.wantGone(s, recs[1].ID)

	recs[2].Version, recs[2].Expires = 7, in(time.Hour)
	c.wantErr("Update of an expired record, another version", s.Update(c.ctx, recs[2]), backend.ErrNotFound)

	c.wantErr("Touch of an expired record", s.Touch(c.ctx, recs[3].ID, in(time.Hour)), backend.ErrNotFound)
	c.wantGone(s, recs[3].ID)

	c.ok("Delete of an expired record", s.Delete(c.ctx, recs[4].ID))
	c.wantGone(s, recs[4].ID)

	again := newRecord("ann", "again")
	again.ID = recs[5].ID
	switch err := s.Create(c.ctx, again); {
	case err == nil: // replaced: nothing of the old one may be left
		again.Version = 1
		c.wantRecord(s, again)
	case errors.Is(err, backend.ErrExists):
		c.wantGone(s, again.ID)
	default:
		c.errorf("Create over an expired record: got error %v, want none or %v", err, backend.ErrExists)
	}
	c.wantRecord(s, live)
}

func testExpiredDeleteVersion(c *check) {
	s := c.open()
	rec := c.expired(s, "ann", 1)[0]
	d := backend.AbilitiesOf(s).VersionedDeleter
	c.wantErr("DeleteVersion of an expired record, another version", d.DeleteVersion(c.ctx, rec.ID, 9), backend.ErrNotFound)
	c.wantErr("DeleteVersion of an expired record", d.DeleteVersion(c.ctx, rec.ID, rec.Version), backend.ErrNotFound)
	c.wantGone(s, rec.ID)
}

func testExpiredByUser(c *check) {
	s := c.open()
	live := c.create(s, newRecord("ann", "live"))
	recs := c.expired(s, "ann", 3)
	c.wantUser(s, "ann", live)
	again := newRecord("bob", "again")
	again.ID = recs[0].ID
	if err := s.Create(c.ctx, again); err == nil { // it may have been replaced
		again.Version = 1
		c.wantUser(s, "bob", again)
	}
	c.wantUser(s, "ann", live)
}

// testProlongedStays checks that the expiry a record had does not end it.
func testProlongedStays(c *check) {
	var recs []backend.Record
	s, old := c.inTime(func(s backend.Store, ends time.Time) {
		recs = nil
		for range 2 {
			rec := newRecord("ann", "data")
			rec.Expires = ends
			recs = append(recs, c.create(s, rec))
		}
		for i := range recs {
			recs[i].Expires = in(time.Hour)
		}
		c.ok("Touch", s.Touch(c.ctx, recs[0].ID, recs[0].Expires))
		recs[1] = c.update(s, recs[1])
	})
	expire(old)
	for _, rec := range recs {
		c.wantRecord(s, rec)
		c.wantRecord(s, c.update(s, rec))
	}
}

// wantFree checks that nothing at all is left of ids: Create may refuse one
// that is expired, but not one that is removed.
func (c *check) wantFree(s backend.Store, ids ...uuid.UUID) {
	for _, id := range ids {
		rec := newRecord("", "free")
		rec.ID = id
		if err := s.Create(c.ctx, rec); err != nil {
			c.errorf("Create of an ID that was swept: got error %v, want none", err)
		}
	}
}

func idsOf(recs []backend.Record) []uuid.UUID {
	ids := make([]uuid.UUID, len(recs))
	for i, rec := range recs {
		ids[i] = rec.ID
	}
	return ids
}
