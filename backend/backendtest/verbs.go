package backendtest

import (
	"time"

	"github.com/chisession/session/backend"
)

func testLoad(c *check) {
	s := c.open()
	c.wantGone(s, newID())
	rec := c.create(s, newRecord("ann", "data"))
	c.wantRecord(s, rec)
	c.wantRecord(s, rec) // reading changes nothing
	c.wantGone(s, newID())
}

func testCreate(c *check) {
	s := c.open()
	for _, version := range []uint64{0, 1, 77} {
		rec := newRecord("", "data")
		rec.Version = version
		c.wantRecord(s, c.create(s, rec)) // with Version 1, whatever it was
	}
	said := newRecord("ann", "data")
	said.Shorten, said.Confirm = true, true
	c.wantRecord(s, c.create(s, said)) // neither is kept
	bare := newRecord("", "")
	bare.Data = nil
	c.wantRecord(s, c.create(s, bare))
	far := newRecord("", "remembered")
	far.Expires = in(400 * 24 * time.Hour)
	c.wantRecord(s, c.create(s, far))
	for _, ms := range []int{1, 9, 10, 500, 999} {
		rec := newRecord("", "data")
		rec.Expires = in(time.Hour).Truncate(time.Second).Add(time.Duration(ms) * time.Millisecond)
		c.wantRecord(s, c.create(s, rec)) // Expires is kept to the millisecond
	}
}

func testCreateExists(c *check) {
	s := c.open()
	first := c.create(s, newRecord("ann", "first"))
	second := newRecord("bob", "second")
	second.ID = first.ID
	second.Expires = first.Expires.Add(time.Hour)
	taken := func() {
		for _, user := range []string{"bob", ""} { // a store may create them by other means
			second.User = user
			c.wantErr("Create of an ID that is taken", s.Create(c.ctx, second), backend.ErrExists)
			c.wantRecord(s, first)
		}
	}
	taken()
	first.Data = []byte("newer")
	first = c.update(s, first)
	taken()
}

func testUpdate(c *check) {
	s := c.open()
	absent := newRecord("ann", "data")
	for _, version := range []uint64{0, 1} {
		absent.Version = version
		c.wantErr("Update of what is not there", s.Update(c.ctx, absent), backend.ErrNotFound)
		c.wantGone(s, absent.ID)
	}

	rec := c.create(s, newRecord("", "1"))
	other := c.create(s, newRecord("eve", "another one's"))
	for _, change := range []struct{ user, data string }{
		{"ann", "2"}, {"ann", "a longer one"}, {"bob", ""}, {"", "4"}, {"", "4"},
	} {
		rec.User, rec.Data = change.user, []byte(change.data)
		rec.Expires = rec.Expires.Add(time.Millisecond)
		rec = c.update(s, rec)
		c.wantRecord(s, rec)
	}
	rec = c.update(s, rec) // with what is there already: a write all the same
	c.wantRecord(s, rec)
	c.wantRecord(s, other)
}

func testUpdateVersions(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("ann", "1"))
	rec = c.update(s, c.update(s, rec))
	wrong := rec
	wrong.User, wrong.Data, wrong.Expires = "eve", []byte("wrong"), rec.Expires.Add(time.Hour)
	for _, version := range []uint64{0, 1, 2, 4, 3 + 1<<8, 3 + 1<<32, 1<<63 - 1} {
		wrong.Version = version
		c.wantErr("Update of another version", s.Update(c.ctx, wrong), backend.ErrConflict)
		c.wantRecord(s, rec)
	}
	c.wantRecord(s, c.update(s, rec))
}

func testUpdateExpires(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("", "1"))
	start := rec.Expires

	rec.Expires = start.Add(time.Minute)
	rec = c.update(s, rec)
	c.wantRecord(s, rec) // later: moved

	early := rec
	early.Expires, early.Data = start, []byte("2")
	early = c.update(s, early)
	early.Expires = rec.Expires
	c.wantRecord(s, early) // earlier: the later one is kept

	rec = early
	rec.Expires, rec.Shorten, rec.Confirm = start.Add(-time.Minute), true, true
	rec = c.update(s, rec)
	c.wantRecord(s, rec) // earlier, with Shorten: moved

	rec.Expires, rec.Shorten = start, true
	c.wantRecord(s, c.update(s, rec)) // later, with Shorten: moved

	touched := c.create(s, newRecord("", "1"))
	late := touched.Expires.Add(time.Hour)
	c.ok("Touch", s.Touch(c.ctx, touched.ID, late))
	touched.Data = []byte("2")
	touched = c.update(s, touched) // it does not know of the Touch that overtook it
	touched.Expires = late
	c.wantRecord(s, touched)
}

func testUpdateIntoThePast(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("ann", "1"))
	kept := rec
	kept.Data, kept.Expires = []byte("2"), in(-time.Minute)
	kept = c.update(s, kept)
	kept.Expires = rec.Expires
	c.wantRecord(s, kept) // without Shorten the later expiry is kept

	for _, ago := range []time.Duration{time.Millisecond, time.Hour, 20 * 365 * 24 * time.Hour} {
		rec := c.create(s, newRecord("ann", "1"))
		rec.Expires, rec.Shorten = in(-ago), true
		rec = c.update(s, rec)
		c.wantGone(s, rec.ID)
		c.wantErr("Update after an Update into the past", s.Update(c.ctx, rec), backend.ErrNotFound)
		c.wantErr("Touch after an Update into the past", s.Touch(c.ctx, rec.ID, in(time.Hour)), backend.ErrNotFound)
		c.wantGone(s, rec.ID)
	}
}

func testTouch(c *check) {
	s := c.open()
	absent := newID()
	c.wantErr("Touch of what is not there", s.Touch(c.ctx, absent, in(time.Hour)), backend.ErrNotFound)
	c.wantGone(s, absent)

	rec := c.create(s, newRecord("ann", "data"))
	other := c.create(s, newRecord("bob", "another one's"))
	start := rec.Expires
	for _, later := range []time.Duration{time.Millisecond, time.Minute, 400 * 24 * time.Hour} {
		rec.Expires = start.Add(later)
		c.ok("Touch to a later expiry", s.Touch(c.ctx, rec.ID, rec.Expires))
		c.wantRecord(s, rec) // Version and Data unchanged
		c.ok("Touch to the expiry that it has", s.Touch(c.ctx, rec.ID, rec.Expires))
		c.ok("Touch to an earlier expiry", s.Touch(c.ctx, rec.ID, rec.Expires.Add(-time.Millisecond)))
		c.ok("Touch to an expiry in the past", s.Touch(c.ctx, rec.ID, in(-time.Hour)))
		c.wantRecord(s, rec)
	}
	c.wantRecord(s, other)
	c.wantRecord(s, c.update(s, rec)) // the version is still that of before
}

func testDelete(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("ann", "data"))
	other := c.create(s, newRecord("ann", "another one"))
	c.ok("Delete", s.Delete(c.ctx, rec.ID))
	c.wantGone(s, rec.ID)
	c.wantErr("Update of what was deleted", s.Update(c.ctx, rec), backend.ErrNotFound)
	c.wantErr("Touch of what was deleted", s.Touch(c.ctx, rec.ID, in(2*time.Hour)), backend.ErrNotFound)
	c.wantGone(s, rec.ID)
	c.ok("Delete for the second time", s.Delete(c.ctx, rec.ID))
	c.ok("Delete of what never was", s.Delete(c.ctx, newID()))
	c.wantRecord(s, other)

	rec.Data, rec.User = []byte("again"), ""
	c.wantRecord(s, c.create(s, rec)) // the ID is free, and nothing of the old one is left
}

func testDeleteVersion(c *check) {
	s := c.open()
	d := backend.AbilitiesOf(s).VersionedDeleter
	c.wantErr("DeleteVersion of what is not there", d.DeleteVersion(c.ctx, newID(), 1), backend.ErrNotFound)
	rec := c.create(s, newRecord("ann", "data"))
	other := c.create(s, newRecord("ann", "another one"))
	rec = c.update(s, rec)
	for _, version := range []uint64{0, 1, 3, 2 + 1<<32} {
		c.wantErr("DeleteVersion of another version", d.DeleteVersion(c.ctx, rec.ID, version), backend.ErrConflict)
		c.wantRecord(s, rec)
	}
	c.ok("Touch", s.Touch(c.ctx, rec.ID, rec.Expires.Add(time.Minute)))
	c.ok("DeleteVersion", d.DeleteVersion(c.ctx, rec.ID, rec.Version))
	c.wantGone(s, rec.ID)
	c.wantErr("DeleteVersion for the second time", d.DeleteVersion(c.ctx, rec.ID, rec.Version), backend.ErrNotFound)
	c.wantErr("Update of what was deleted", s.Update(c.ctx, rec), backend.ErrNotFound)
	c.wantGone(s, rec.ID)
	c.wantRecord(s, other)
}
