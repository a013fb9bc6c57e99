package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// userNames are names that some database or file system takes for one
// another, cuts, or refuses. All are different users.
var userNames = []string{
	"ann", "Ann", "ANN", "ann ", " ann", "ann  ", "ann\x00", "\x00ann", "ann\n", "ann\t", "án", "an",
	"\u00fc", "u\u0308", "u", // composed, decomposed, bare
	"ß", "ss", "ẞ", "İ", "i", "I", "ı", "ﬁ", "fi", "æ", "ae", "Σ", "ς", "σ",
	"\xff", "\xff\xfe", "\xc3\x28", "\xed\xa0\x80", "\ufffd", "\U0001f600", "\U0001f601", "\u200b", "ann\u200b", "ａｎｎ",
	"0", "00", "0.0", "1e0", "1", "true", "null", "NULL", "nil",
	"%", "_", "*", "?", "[a]", "a*", `\`, `\\`, "'", "''", `"`, "`", "; DROP TABLE sessions", "--",
	"/", "..", "../ann", "C:ann", ":", "{ann}", "}", "ann:1", "user:ann", "\r\n", "\x00", "\x00\x00", "\x1a", " ", "  ",
	strings.Repeat("x", backend.MaxUser), strings.Repeat("x", backend.MaxUser-1), strings.Repeat("x", backend.MaxUser-1) + "y",
	strings.Repeat("\x00", backend.MaxUser), strings.Repeat("\xff", backend.MaxUser), strings.Repeat(" ", backend.MaxUser),
	"x" + strings.Repeat("\u00fc", (backend.MaxUser-1)/2), strings.Repeat("%", backend.MaxUser),
}

func testUserNames(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("", "updated"))
	for _, user := range userNames {
		c.wantRecord(s, c.create(s, newRecord(user, "data of "+user)))
		rec.User = user
		rec = c.update(s, rec)
		c.wantRecord(s, rec)
	}
}

// testUserTooLong checks that a name longer than all stores must keep is kept
// exactly, or is backend.ErrUser and nothing is written.
func testUserTooLong(c *check) {
	s := c.open()
	for _, size := range []int{backend.MaxUser + 1, 70_000} {
		rec := newRecord(strings.Repeat("x", size), "data")
		old := c.create(s, newRecord("ann", "old"))
		renamed := old
		renamed.User, renamed.Data = rec.User, []byte("new")
		err := s.Create(c.ctx, rec)
		if err == nil {
			rec.Version = 1
			c.wantRecord(s, rec)
			c.wantRecord(s, c.update(s, renamed))
			continue
		}
		c.wantErr(fmt.Sprintf("Create with a user name of %d bytes", size), err, backend.ErrUser)
		c.wantGone(s, rec.ID)
		c.wantErr(fmt.Sprintf("Update to a user name of %d bytes", size), s.Update(c.ctx, renamed), backend.ErrUser)
		c.wantRecord(s, old)
	}
}

// wantUser checks what ByUser returns, in whatever order. Data may be cut after
// backend.HeadSize bytes.
func (c *check) wantUser(s backend.Store, user string, want ...backend.Record) {
	got, err := backend.AbilitiesOf(s).UserIndex.ByUser(c.ctx, user)
	c.ok("ByUser", err)
	byID := func(a, b backend.Record) int { return slices.Compare(a.ID[:], b.ID[:]) }
	slices.SortFunc(got, byID)
	want = slices.SortedFunc(slices.Values(want), byID)
	if len(got) != len(want) {
		c.errorf("ByUser(%s): got %d records, want %d", brief(user), len(got), len(want))
		return
	}
	for i := range got {
		if n := len(got[i].Data); n >= backend.HeadSize && bytes.HasPrefix(want[i].Data, got[i].Data) {
			got[i].Data = want[i].Data
		}
		c.wantSame("ByUser("+brief(user)+")", got[i], want[i])
	}
}

// testByUser follows a record through the index.
func testByUser(c *check) {
	s := c.open()
	c.wantUser(s, "ann")
	rec := c.create(s, newRecord("", "anonymous"))
	c.wantUser(s, "ann")
	rec.User = "ann"
	rec = c.update(s, rec) // login
	c.wantUser(s, "ann", rec)
	rec.Data = []byte("newer")
	rec = c.update(s, rec)
	c.wantUser(s, "ann", rec)
	rec.Expires = rec.Expires.Add(time.Minute)
	c.ok("Touch", s.Touch(c.ctx, rec.ID, rec.Expires))
	c.wantUser(s, "ann", rec)

	second := c.create(s, newRecord("ann", "second"))
	bob := c.create(s, newRecord("bob", "bob's"))
	c.wantUser(s, "ann", rec, second)
	c.wantErr("Create", s.Create(c.ctx, backend.Record{ID: bob.ID, User: "ann", Expires: in(time.Hour)}), backend.ErrExists)
	stale := second
	stale.User, stale.Version = "bob", 9
	c.wantErr("Update", s.Update(c.ctx, stale), backend.ErrConflict)
	c.wantUser(s, "ann", rec, second) // a call that failed changes nothing
	c.wantUser(s, "bob", bob)

	rec.User = "bob"
	rec = c.update(s, rec) // another user
	c.wantUser(s, "ann", second)
	c.wantUser(s, "bob", rec, bob)
	rec.User = ""
	rec = c.update(s, rec) // none
	c.wantUser(s, "bob", bob)
	c.ok("Delete", s.Delete(c.ctx, bob.ID))
	c.wantUser(s, "bob")
	second.Expires, second.Shorten = in(-time.Second), true
	c.update(s, second)
	c.wantUser(s, "ann")
	if d := backend.AbilitiesOf(s).VersionedDeleter; d != nil {
		rec.User = "ann"
		rec = c.update(s, rec)
		c.wantUser(s, "ann", rec)
		c.ok("DeleteVersion", d.DeleteVersion(c.ctx, rec.ID, rec.Version))
		c.wantUser(s, "ann")
	}
	bob.User = "carl"
	c.wantUser(s, "carl", c.create(s, bob)) // an ID that was another's
	c.wantUser(s, "bob")
}

func testByUserExact(c *check) {
	s := c.open()
	recs := make([]backend.Record, len(userNames))
	for i, user := range userNames {
		recs[i] = c.create(s, newRecord(user, "data of "+user))
	}
	for i, user := range userNames {
		c.wantUser(s, user, recs[i])
	}
	for _, user := range []string{"an%", "a_n", "a??", "[a-z]nn", "nobody", strings.Repeat("x", backend.MaxUser+1)} {
		if found, err := backend.AbilitiesOf(s).UserIndex.ByUser(c.ctx, user); len(found) > 0 || err != nil && !errors.Is(err, backend.ErrUser) {
			c.errorf("ByUser(%s): got %d records and error %v, want none", brief(user), len(found), err)
		}
	}
}

func testByUserMany(c *check) {
	s := c.open()
	const n = 120
	recs := make([]backend.Record, n)
	for i := range recs {
		recs[i] = c.create(s, newRecord("ann", fmt.Sprint("session ", i)))
	}
	c.wantUser(s, "ann", recs...)
	for _, rec := range recs[:n/2] {
		c.ok("Delete", s.Delete(c.ctx, rec.ID))
	}
	c.wantUser(s, "ann", recs[n/2:]...)
}

// testByUserHeads lists sessions of all sizes around what a list needs.
func testByUserHeads(c *check) {
	s := c.open()
	var recs []backend.Record
	for _, size := range []int{0, 1, backend.HeadSize - 1, backend.HeadSize, backend.HeadSize + 1, 2000, 20_000, 300_000} {
		rec := newRecord("ann", "")
		for i := range size {
			rec.Data = append(rec.Data, byte(i), byte(i>>8))
		}
		rec.Data = rec.Data[:size]
		recs = append(recs, c.create(s, rec))
	}
	c.wantUser(s, "ann", recs...)
	for i := range recs {
		recs[i].Data = append([]byte("newer "), recs[i].Data...)
		recs[i] = c.update(s, recs[i])
	}
	c.wantUser(s, "ann", recs...)
}

// testByUserRace lets sessions of a user come at once, and one session become
// several users at once: the index must know the one that it became.
func testByUserRace(c *check) {
	s := c.open()
	recs := make([]backend.Record, 16)
	for i := range recs {
		recs[i] = newRecord("ann", fmt.Sprint("session ", i))
	}
	for _, err := range c.race(len(recs), func(i int) error { return s.Create(c.ctx, recs[i]) }) {
		c.ok("Create", err)
	}
	for i := range recs {
		recs[i].Version = 1
	}
	c.wantUser(s, "ann", recs...)
	for range raceRounds {
		rec := c.create(s, newRecord("", "anonymous"))
		logins := make([]backend.Record, 4)
		for i := range logins {
			logins[i] = rec
			logins[i].User = "user " + uuid.NewString()
		}
		errs := c.race(len(logins), func(i int) error { return s.Update(c.ctx, logins[i]) })
		winner := c.wantOneWinner("Update", errs, backend.ErrConflict)
		for i, login := range logins {
			if i == winner {
				login.Version = 2
				c.wantUser(s, login.User, login)
				continue
			}
			c.wantUser(s, login.User)
		}
	}
}
