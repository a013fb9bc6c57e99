package backendtest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/chisession/session/backend"
)

// live creates n records that stay.
func (c *check) live(s backend.Store, n int) []backend.Record {
	recs := make([]backend.Record, n)
	for i := range recs {
		recs[i] = c.create(s, newRecord("ann", fmt.Sprint("live ", i)))
	}
	return recs
}

// sweepAll sweeps until a pass says that there are no more, and returns how
// many it removed.
func (c *check) sweepAll(s backend.Store, limit int) int {
	total := 0
	for {
		n, err := backend.AbilitiesOf(s).Sweeper.Sweep(c.ctx, limit)
		if err != nil || n < 0 || n > limit {
			c.errorf("Sweep(%d): got %d, error %v, want 0 to %d", limit, n, err, limit)
			return total
		}
		total += n
		if n < limit {
			return total
		}
	}
}

func testSweep(c *check) {
	s := c.open()
	if n := c.sweepAll(s, 10); n != 0 {
		c.errorf("Sweep of an empty store removed %d", n)
	}
	live := c.live(s, 5)
	gone := c.expired(s, "ann", 25)
	live = append(live, c.live(s, 5)...)
	n, err := backend.AbilitiesOf(s).Sweeper.Sweep(c.ctx, 10)
	if n != 10 || err != nil {
		c.errorf("Sweep(10) of 25 expired records: got %d, error %v, want 10", n, err)
	}
	if n += c.sweepAll(s, 10); n != 25 {
		c.errorf("Sweeps of 25 expired records removed %d", n)
	}
	if n := c.sweepAll(s, 1); n != 0 {
		c.errorf("Sweep removed %d when nothing more had expired", n)
	}
	for _, rec := range live {
		c.wantRecord(s, rec)
	}
	c.wantFree(s, idsOf(gone)...)
}

// testSweepTouched checks that a sweep goes by the expiry of now.
func testSweepTouched(c *check) {
	recs := make([]backend.Record, 12)
	var shortened backend.Record
	s, old := c.inTime(func(s backend.Store, ends time.Time) {
		for i := range recs {
			recs[i] = newRecord("ann", "data")
			recs[i].Expires = ends
			recs[i] = c.create(s, recs[i])
		}
		shortened = c.create(s, newRecord("ann", "shortened"))
		shortened.Expires, shortened.Shorten = ends, true
		c.update(s, shortened)
		for i := range recs[:8] {
			recs[i].Expires = in(time.Hour)
			if i%2 == 0 {
				c.ok("Touch", s.Touch(c.ctx, recs[i].ID, recs[i].Expires))
				continue
			}
			recs[i] = c.update(s, recs[i])
		}
	})
	expire(old)
	if n := c.sweepAll(s, 100); n != 5 {
		c.errorf("Sweep removed %d records, want 5 (4 that expired, 1 that was shortened)", n)
	}
	for _, rec := range recs[:8] {
		c.wantRecord(s, rec)
	}
	c.wantFree(s, append(idsOf(recs[8:]), shortened.ID)...)
}

// testSweepRace lets several sweep at once: together they remove each expired
// record once, and nothing else.
func testSweepRace(c *check) {
	s := c.open()
	live := c.live(s, 20)
	gone := c.expired(s, "bob", 60)
	var total atomic.Int64
	c.race(4, func(int) error {
		total.Add(int64(c.sweepAll(s, 7)))
		return nil
	})
	total.Add(int64(c.sweepAll(s, 7)))
	if n := total.Load(); n != 60 {
		c.errorf("4 Sweeps at once of 60 expired records say that they removed %d", n)
	}
	for _, rec := range live {
		c.wantRecord(s, rec)
	}
	c.wantFree(s, idsOf(gone)...)
}

// testSweepTouchRace touches records at the moment of their expiry while
// others sweep: a Touch that succeeded keeps its record.
func testSweepTouchRace(c *check) {
	s := c.open()
	recs := make([]backend.Record, 40)
	begin := in(short)
	for i := range recs {
		recs[i] = newRecord("ann", "data")
		recs[i].Expires = begin.Add(time.Duration(i/2) * 5 * time.Millisecond)
		recs[i] = c.create(s, recs[i])
	}
	end := begin.Add(150 * time.Millisecond)
	touched := make([]error, len(recs))
	c.race(4, func(i int) error {
		if i < 2 {
			for time.Now().Before(end) {
				c.sweepAll(s, 3)
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		for at := i - 2; at < len(recs); at += 2 {
			time.Sleep(time.Until(recs[at].Expires.Add(-time.Millisecond)))
			touched[at] = s.Touch(c.ctx, recs[at].ID, in(time.Hour))
		}
		return nil
	})
	c.sweepAll(s, 100)
	for i, err := range touched {
		_, loaded := s.Load(c.ctx, recs[i].ID)
		switch {
		case err == nil && loaded != nil:
			c.errorf("Touch succeeded, but Load after a Sweep: %v", loaded)
		case errors.Is(err, backend.ErrNotFound):
			c.wantErr("Load after a Touch that found nothing", loaded, backend.ErrNotFound)
		case err != nil:
			c.errorf("Touch: got error %v, want none or %v", err, backend.ErrNotFound)
		}
	}
}

// testSweepCreateRace stores new records in the place of expired ones while
// others sweep: a Create that succeeded keeps its record.
func testSweepCreateRace(c *check) {
	s := c.open()
	recs := c.expired(s, "ann", 30)
	created := make([]error, len(recs))
	c.race(4, func(i int) error {
		if i < 2 {
			c.sweepAll(s, 3)
			return nil
		}
		for at := i - 2; at < len(recs); at += 2 {
			recs[at].Expires = in(time.Hour)
			created[at] = s.Create(c.ctx, recs[at])
		}
		return nil
	})
	c.sweepAll(s, 100)
	for i, err := range created {
		c.wantOneOf("Create over an expired record during a Sweep", err, nil, backend.ErrExists)
		if err == nil {
			c.wantRecord(s, recs[i])
		}
	}
}

func testCount(c *check) {
	s := c.open()
	want := func(n int) {
		if got, err := backend.AbilitiesOf(s).Counter.Count(c.ctx); got != n || err != nil {
			c.errorf("Count: got %d, error %v, want %d", got, err, n)
		}
	}
	want(0)
	recs := c.live(s, 7)
	want(7)
	c.wantErr("Create", s.Create(c.ctx, recs[0]), backend.ErrExists)
	recs[0] = c.update(s, recs[0])
	c.ok("Touch", s.Touch(c.ctx, recs[1].ID, in(2*time.Hour)))
	want(7)
	c.ok("Delete", s.Delete(c.ctx, recs[2].ID))
	c.ok("Delete", s.Delete(c.ctx, recs[2].ID))
	want(6)
	c.expired(s, "", 3) // they may still be counted, until they are swept
	if backend.AbilitiesOf(s).Sweeper != nil {
		c.sweepAll(s, 100)
		want(6)
	}
}
