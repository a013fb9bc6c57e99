package backendtest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/chisession/session/backend"
)

// wantList checks what List returns, and its order. Data may be cut after
// backend.HeadSize bytes.
func (c *check) wantList(s backend.Store, prefix string, limit int, want ...backend.Record) {
	got, err := backend.AbilitiesOf(s).Lister.List(c.ctx, prefix, limit)
	what := fmt.Sprintf("List(%s, %d)", brief(prefix), limit)
	c.ok(what, err)
	if len(got) != len(want) {
		c.errorf("%s: got %d records, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if n := len(got[i].Data); n >= backend.HeadSize && bytes.HasPrefix(want[i].Data, got[i].Data) {
			got[i].Data = want[i].Data
		}
		c.wantSame(fmt.Sprintf("%s, record %d", what, i), got[i], want[i])
	}
}

// testList follows records through the list of all.
func testList(c *check) {
	s := c.open()
	c.wantList(s, "", 10)
	first := c.create(s, newRecord("", "anonymous"))
	second := c.create(s, newRecord("ann", "second"))
	large := newRecord("bob", "")
	large.Data = bytes.Repeat([]byte("large "), 5_000)
	large = c.create(s, large)
	c.wantList(s, "", 10, large, second, first)
	c.wantList(s, "", 2, large, second)
	c.wantList(s, "", 0)

	first.User = "ann" // a login: still the oldest
	first = c.update(s, first)
	c.wantList(s, "", 10, large, second, first)
	c.wantList(s, "ann", 10, second, first)
	c.wantList(s, "ann", 1, second)

	second.Expires, second.Shorten = in(-time.Second), true
	c.update(s, second)
	c.wantList(s, "", 10, large, first)
	c.wantList(s, "ann", 10, first)
	c.ok("Delete", s.Delete(c.ctx, large.ID))
	c.wantList(s, "", 10, first)
}

// testListPrefix finds users by the beginnings of their names, byte by byte.
func testListPrefix(c *check) {
	s := c.open()
	recs := make([]backend.Record, len(userNames))
	for i, user := range userNames {
		recs[i] = c.create(s, newRecord(user, "data of "+user))
	}
	anonymous := c.create(s, newRecord("", "anonymous"))
	for _, prefix := range []string{
		"a", "an", "ann", "ann ", "A", "\u00fc", "\xc3", "\xff", "\xff\xfe", "\x00", "%", "_", "*", `\`, "'", "x", "nobody",
		strings.Repeat("x", backend.MaxUser), strings.Repeat("x", backend.MaxUser+1),
		strings.Repeat("\xff", backend.MaxUser), strings.Repeat("\xff", backend.MaxUser+1),
	} {
		var want []backend.Record
		for i := len(recs) - 1; i >= 0; i-- {
			if strings.HasPrefix(recs[i].User, prefix) {
				want = append(want, recs[i])
			}
		}
		c.wantList(s, prefix, len(recs), want...)
	}
	c.wantList(s, "", 1, anonymous)
}
