package backendtest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// as is how rec is known.
func as(rec backend.Record) backend.Version {
	return backend.Version{ID: rec.ID, Version: rec.Version}
}

// wantChanged checks that Changed names those of known that are in want, and
// nothing that it was not asked about. A store may name others; how many it did
// is returned.
func (c *check) wantChanged(s backend.Store, what string, known []backend.Version, want ...uuid.UUID) (others int) {
	got, err := backend.AbilitiesOf(s).Comparer.Changed(c.ctx, known)
	c.ok("Changed, "+what, err)
	asked, named := map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for _, k := range known {
		asked[k.ID] = true
	}
	for _, id := range got {
		if named[id] = true; !asked[id] {
			c.errorf("Changed, %s: got %v, which it was not asked about", what, id)
		}
	}
	for _, id := range want {
		if !named[id] {
			c.errorf("Changed, %s: %v is missing among the %d changed ones", what, id, len(got))
		}
	}
	return len(named) - len(want)
}

// testChanged checks each kind of change, and that a store that says "nothing" of
// a session that nobody has written to really compares: one that always names all
// makes watching sessions dear.
func testChanged(c *check) {
	s := c.open()
	quiet := func(what string, known ...backend.Version) {
		if n := c.wantChanged(s, what, known); n > 0 {
			c.errorf("Changed, %s: got %d that have not changed", what, n)
		}
	}
	quiet("of none")
	ann := c.create(s, newRecord("ann", "data"))
	bob := c.create(s, newRecord("bob", ""))
	nobody := c.create(s, newRecord("", "anonymous"))
	quiet("of new records", as(ann), as(bob), as(nobody))
	quiet("of one twice", as(ann), as(ann))
	c.ok("Touch", s.Touch(c.ctx, ann.ID, ann.Expires.Add(time.Hour)))
	quiet("after a Touch", as(ann), as(bob))

	never := newID()
	c.wantChanged(s, "of what never was", []backend.Version{as(ann), {ID: never, Version: 1}, as(bob)}, never)
	for _, v := range []uint64{0, 2, 1 + 1<<8, 1 + 1<<32, 1<<63 - 1} {
		c.wantChanged(s, fmt.Sprint("of version ", v), []backend.Version{as(bob), {ID: ann.ID, Version: v}}, ann.ID)
	}

	before := as(ann)
	ann.Confirm = true // as with another token; other Updates may be told later
	ann = c.update(s, ann)
	c.wantChanged(s, "after an Update", []backend.Version{as(nobody), before, as(bob)}, ann.ID)
	quiet("with the new version", as(nobody), as(ann), as(bob))
	c.wantChanged(s, "of one in both versions", []backend.Version{before, as(ann)}, ann.ID)
	c.wantChanged(s, "of one in both versions", []backend.Version{as(ann), before}, ann.ID)

	c.ok("Delete", s.Delete(c.ctx, bob.ID))
	c.wantChanged(s, "after a Delete", []backend.Version{as(bob), as(ann), as(nobody)}, bob.ID)
	bob = c.create(s, bob)
	bob.Confirm = true
	bob = c.update(s, bob)
	c.wantChanged(s, "after it was made anew", []backend.Version{{ID: bob.ID, Version: 1}, as(ann)}, bob.ID)
}

// testChangedMany asks about as many as may be asked about at once.
func testChangedMany(c *check) {
	s := c.open()
	recs := make([]backend.Record, 12)
	var known []backend.Version
	var changed []uuid.UUID
	for i := range recs {
		recs[i] = c.create(s, newRecord("", fmt.Sprint(i)))
		known = append(known, as(recs[i]))
		if i%3 == 0 {
			recs[i].Confirm = true
			c.update(s, recs[i])
			changed = append(changed, recs[i].ID)
		}
	}
	for len(known) < backend.MaxCompared {
		gone := newID()
		known, changed = append(known, backend.Version{ID: gone, Version: uint64(len(known))}), append(changed, gone)
	}
	c.wantChanged(s, "of many", known, changed...)
	c.wantChanged(s, "of many in another order", append(known[250:len(known):len(known)], known[:250]...), changed...)
}

// testChangedQuiet checks the same where nothing was written for a while: a store
// may go by that.
func testChangedQuiet(c *check) {
	s := c.open()
	recs := make([]backend.Record, 6)
	known := make([]backend.Version, len(recs))
	for i := range recs {
		recs[i] = c.create(s, newRecord("ann", fmt.Sprint(i)))
		known[i] = as(recs[i])
	}
	var changed []uuid.UUID
	acts := []func(backend.Record){
		func(rec backend.Record) { c.ok("Delete", s.Delete(c.ctx, rec.ID)) },
		func(rec backend.Record) { rec.Confirm = true; c.update(s, rec) },
		func(rec backend.Record) { rec.Shorten, rec.Expires = true, in(time.Minute); c.update(s, rec) },
		func(rec backend.Record) { rec.Shorten, rec.Expires = true, in(-time.Minute); c.update(s, rec) },
	}
	for i, act := range acts {
		time.Sleep(1100 * time.Millisecond)
		for range 8 { // some of them know what the ones before have found
			c.wantChanged(s, "of quiet records", known, changed...)
		}
		act(recs[i])
		changed = append(changed, recs[i].ID)
		if n := c.wantChanged(s, "after a quiet time", known, changed...); n > 0 {
			c.errorf("Changed, after a quiet time: got %d that have not changed", n)
		}
	}
}
