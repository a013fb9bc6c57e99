package backendtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/chisession/session/backend"
)

// testImmutable checks that neither what a caller handed over nor what it got
// changes when the record does.
func testImmutable(c *check) {
	s := c.open()
	given := newRecord("", "the first version")
	keep := bytes.Clone(given.Data)
	rec := c.create(s, given)
	first, err := s.Load(c.ctx, rec.ID)
	c.ok("Load", err)
	for _, data := range []string{"THE OTHER VERSION", "short", "one that is longer than what was there before"} {
		rec.Data = []byte(data)
		rec = c.update(s, rec)
	}
	c.ok("Touch", s.Touch(c.ctx, rec.ID, in(2*3600e9)))
	c.ok("Delete", s.Delete(c.ctx, rec.ID))
	c.create(s, newRecord("", "another record"))
	if !bytes.Equal(first.Data, keep) {
		c.errorf("Data that Load returned was changed by later calls: got %q, want %q", first.Data, keep)
	}
	if !bytes.Equal(given.Data, keep) {
		c.errorf("Data that was given to Create was changed by later calls: got %q, want %q", given.Data, keep)
	}
	if !bytes.Equal(rec.Data, []byte("one that is longer than what was there before")) {
		c.errorf("Data that was given to Update was changed by later calls: got %q", rec.Data)
	}
}

// mustHold is the size of Data that every store must hold; more may be
// backend.ErrTooLarge.
const mustHold = 4 << 10

func testDataSizes(c *check) {
	s := c.open()
	small := c.create(s, newRecord("ann", "small"))
	for _, size := range []int{0, 1, 255, 256, mustHold, 64<<10 - 1, 64 << 10, 1 << 20} {
		rec := newRecord("ann", "")
		rec.Data = make([]byte, size)
		rand.Read(rec.Data) // it cannot fail
		err := s.Create(c.ctx, rec)
		if errors.Is(err, backend.ErrTooLarge) && size > mustHold {
			c.notef("Data of %d bytes is too large for the store", size)
			c.wantGone(s, rec.ID) // nothing is written
			big := small
			big.Data = rec.Data
			c.wantErr(fmt.Sprintf("Update to %d bytes", size), s.Update(c.ctx, big), backend.ErrTooLarge)
			c.wantRecord(s, small)
			continue
		}
		c.ok(fmt.Sprintf("Create with %d bytes", size), err)
		rec.Version = 1
		c.wantRecord(s, rec)
		small.Data = rec.Data
		small = c.update(s, small)
		c.wantRecord(s, small)
		small.Data = []byte("small again")
		small = c.update(s, small)
		c.wantRecord(s, small)
	}
}

func testDataBytes(c *check) {
	s := c.open()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	rec := c.create(s, newRecord("", "start"))
	for _, data := range [][]byte{
		all, bytes.Repeat([]byte{0}, 100), bytes.Repeat([]byte{0xff}, 100), []byte("trailing blanks  \r\n\x00 "),
		[]byte(`'; DROP TABLE sessions; --"\`), []byte("\xc3\x28 \xed\xa0\x80 invalid UTF-8"), []byte("u\u0308 \u00fc \U0001f600"),
		[]byte("12345"), []byte("1e5"), []byte("%s %d %"), []byte("$1 ? :name"),
	} {
		created := newRecord("", "")
		created.Data = data
		c.wantRecord(s, c.create(s, created))
		rec.Data = data
		rec = c.update(s, rec)
		c.wantRecord(s, rec)
	}
}

// testIDs checks that IDs which differ in a single bit are different records.
func testIDs(c *check) {
	s := c.open()
	base := c.create(s, newRecord("", "base"))
	recs := []backend.Record{base}
	for bit := range 128 {
		if at := bit / 8; at == 6 || at == 8 {
			continue // the version and variant of a UUIDv7
		}
		rec := newRecord("", fmt.Sprintf("bit %d", bit))
		rec.ID = base.ID
		rec.ID[bit/8] ^= 1 << (bit % 8)
		recs = append(recs, c.create(s, rec))
	}
	for _, fill := range []byte{0x00, 0xff, ' ', '\n', '\'', '%', '/'} {
		rec := newRecord("", fmt.Sprintf("bytes %#x", fill))
		for i := 9; i < 16; i++ {
			rec.ID[i] = fill
		}
		recs = append(recs, c.create(s, rec))
	}
	c.ok("Delete", s.Delete(c.ctx, base.ID))
	c.wantGone(s, base.ID)
	recs[1].Data = []byte("changed")
	recs[1] = c.update(s, recs[1])
	for _, rec := range recs[1:] {
		c.wantRecord(s, rec)
	}
}
