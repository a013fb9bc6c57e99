package backendtest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chisession/session/backend"
)

// raceRounds is how often a race of a few calls is run.
const raceRounds = 20

func testCreateRace(c *check) {
	s := c.open()
	for range raceRounds {
		base := newRecord("", "")
		recs := make([]backend.Record, 8)
		for i := range recs {
			recs[i] = base
			recs[i].Data = fmt.Append(nil, "by ", i)
		}
		errs := c.race(len(recs), func(i int) error { return s.Create(c.ctx, recs[i]) })
		won := recs[c.wantOneWinner("Create of one ID", errs, backend.ErrExists)]
		won.Version = 1
		c.wantRecord(s, won)
	}
}

func testUpdateRace(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("", "start"))
	for range raceRounds {
		recs := make([]backend.Record, 8)
		for i := range recs {
			recs[i] = rec
			recs[i].User, recs[i].Data = fmt.Sprint("user ", i), fmt.Append(nil, "by ", i)
		}
		errs := c.race(len(recs), func(i int) error { return s.Update(c.ctx, recs[i]) })
		rec = recs[c.wantOneWinner("Update of one version", errs, backend.ErrConflict)]
		rec.Version++
		c.wantRecord(s, rec)
	}
}

// testUpdateNoneLost counts in a record, as callers do: load, add one, update,
// again on a conflict.
func testUpdateNoneLost(c *check) {
	s := c.open()
	const workers, each = 6, 10
	id := c.create(s, newRecord("", "")).ID // as many bytes as were counted
	errs := c.race(workers, func(int) error {
		for done := 0; done < each; {
			rec, err := s.Load(c.ctx, id)
			if err != nil {
				return err
			}
			rec.Data = make([]byte, len(rec.Data)+1)
			switch err := s.Update(c.ctx, rec); {
			case err == nil:
				done++
			case !errors.Is(err, backend.ErrConflict):
				return err
			}
		}
		return nil
	})
	for _, err := range errs {
		c.ok("Load and Update", err)
	}
	rec, err := s.Load(c.ctx, id)
	c.ok("Load", err)
	if len(rec.Data) != workers*each || rec.Version != 1+workers*each {
		c.errorf("%d Updates succeeded, but %d are there, at version %d", workers*each, len(rec.Data), rec.Version)
	}
}

// testDeleteRace checks that a logout is final: nothing that is under way when
// a record is deleted brings it back.
func testDeleteRace(c *check) {
	s := c.open()
	for round := range raceRounds {
		rec := c.create(s, newRecord("ann", "data"))
		later := rec
		later.Data, later.Expires = []byte("later"), rec.Expires.Add(time.Minute)
		calls := []struct {
			name     string
			call     func() error
			outcomes []error
		}{
			{"Update", func() error { return s.Update(c.ctx, later) }, []error{nil, backend.ErrNotFound, backend.ErrConflict}},
			{"Touch", func() error { return s.Touch(c.ctx, rec.ID, later.Expires) }, []error{nil, backend.ErrNotFound}},
			{"Delete", func() error { return s.Delete(c.ctx, rec.ID) }, []error{nil}},
			{"Touch", func() error { return s.Touch(c.ctx, rec.ID, later.Expires.Add(1e9)) }, []error{nil, backend.ErrNotFound}},
			{"Update", func() error { return s.Update(c.ctx, later) }, []error{nil, backend.ErrNotFound, backend.ErrConflict}},
		}
		// Goroutines begin in much the same order each time: let each call be
		// the first in some rounds.
		first := round % len(calls)
		calls = slices.Concat(calls[first:], calls[:first])
		errs := c.race(len(calls), func(i int) error { return calls[i].call() })
		for i, err := range errs {
			c.wantOneOf(calls[i].name+" during a Delete", err, calls[i].outcomes...)
		}
		c.wantGone(s, rec.ID)
		if backend.AbilitiesOf(s).UserIndex != nil {
			c.wantUser(s, "ann")
		}
	}
}

// testDeleteVersionRace checks that of an Update and a DeleteVersion of one
// version exactly one succeeds.
func testDeleteVersionRace(c *check) {
	s := c.open()
	d := backend.AbilitiesOf(s).VersionedDeleter
	for range raceRounds {
		rec := c.create(s, newRecord("ann", "data"))
		next := rec
		next.Data = []byte("next")
		errs := c.race(4, func(i int) error {
			if i%2 == 0 {
				return s.Update(c.ctx, next)
			}
			return d.DeleteVersion(c.ctx, rec.ID, rec.Version)
		})
		winner := c.wantOneWinner("Update and DeleteVersion of one version", errs, backend.ErrConflict, backend.ErrNotFound)
		if winner%2 == 1 {
			c.wantGone(s, rec.ID)
			continue
		}
		next.Version++
		c.wantRecord(s, next)
	}
}

// testTouchRace checks that of several expiries the latest is kept, whoever
// comes last.
func testTouchRace(c *check) {
	s := c.open()
	for range raceRounds {
		rec := c.create(s, newRecord("", "data"))
		next := rec
		next.Data, next.Expires = []byte("next"), rec.Expires.Add(time.Second)
		errs := c.race(6, func(i int) error {
			if i == 3 {
				return s.Update(c.ctx, next)
			}
			return s.Touch(c.ctx, rec.ID, rec.Expires.Add(time.Duration(6-i)*time.Minute))
		})
		for _, err := range errs {
			c.ok("Touch and Update at once", err)
		}
		next.Version, next.Expires = 2, rec.Expires.Add(6*time.Minute)
		c.wantRecord(s, next)
	}
}
