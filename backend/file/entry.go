package file

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

func recordName(id uuid.UUID) string { return id.String() }

// tempSuffix ends the name of a file that will replace a record's.
const tempSuffix = ".tmp"

func tempName(id uuid.UUID) string { return id.String() + tempSuffix }

// parseName returns the ID that a record's file name stands for.
func parseName(name string) (uuid.UUID, bool) {
	if len(name) != 36 {
		return uuid.UUID{}, false
	}
	id, err := uuid.Parse(name)
	return id, err == nil && id.String() == name
}

// scratch is a buffer for one read or write, big enough for most files.
type scratch struct{ buf []byte }

const scratchSize = 4 * pageSize

var scratches = sync.Pool{New: func() any { return &scratch{buf: make([]byte, scratchSize)} }}

func getScratch() *scratch { return scratches.Get().(*scratch) }

// put gives the buffer back. It holds nothing that is not also in the page
// cache; a record's bytes never leave it but as a copy.
func (sc *scratch) put() { scratches.Put(sc) }

// An entry is a record as its file has it.
type entry struct {
	frame
	head  head
	slot  int
	owned bool // data is not in a scratch buffer
}

func (e entry) expired() bool { return e.expires <= time.Now().UnixMilli() }

func (e entry) record(id uuid.UUID) backend.Record {
	rec := backend.Record{
		ID:      id,
		Version: e.version,
		Expires: time.UnixMilli(e.expires),
		User:    string(e.user),
		Data:    e.data,
	}
	if !e.owned {
		rec.Data = bytes.Clone(e.data)
	}
	return rec
}

// errUnreadable says that a file has no valid slot.
var errUnreadable = errors.New("no readable version")

// peek reads the record of id without a lock.
//
// A writer may be at work meanwhile. It fills one slot after the other, each
// after the one before is complete. So when a slot is found torn, what is
// read after that from any whole slot is at least as new as what was complete
// when peek began; what was read before may not be. Hence the second look.
func (s *Store) peek(ctx context.Context, sh *shard, id uuid.UUID, sc *scratch) (entry, error) {
	h, err := s.open(sh, id, forReading)
	if err != nil {
		return entry{}, err
	}
	for range 3 {
		e, torn, err := h.read(id, sc)
		if err == nil && torn {
			e, _, err = h.read(id, sc)
		}
		if err != errUnreadable || !torn {
			return e, cmp.Or(s.contain(err), h.close())
		}
	}
	if err := h.close(); err != nil {
		return entry{}, err
	}
	// Damaged, or overtaken by writers three times. With the lock there is
	// no doubt.
	if err := s.lock(ctx, sh); err != nil {
		return entry{}, err
	}
	defer s.unlock(sh)
	h, err = s.open(sh, id, forReading)
	if err != nil {
		return entry{}, err
	}
	e, err := s.readLocked(h, id, sc)
	return e, cmp.Or(err, h.close())
}

// readLocked reads the record of id while nobody writes.
func (s *Store) readLocked(h handle, id uuid.UUID, sc *scratch) (entry, error) {
	e, _, err := h.read(id, sc)
	return e, s.contain(err)
}

// contain makes what is no record, and can never become one, ErrNotFound.
func (s *Store) contain(err error) error {
	if err == errUnreadable || noRecord(err) {
		s.corrupt.Add(1)
		return backend.ErrNotFound
	}
	return err
}

// read reads the newest valid slot. torn says that the file has something
// half-written besides, or nothing else.
func (h handle) read(id uuid.UUID, sc *scratch) (e entry, torn bool, err error) {
	n, err := h.readAt(sc.buf, 0)
	if err != nil {
		return entry{}, false, err
	}
	b := sc.buf[:n]
	hd, ok := parseHead(b, id)
	if !ok {
		return entry{}, false, errUnreadable
	}
	if n == len(sc.buf) && hd.size() > n {
		return h.readLarge(hd, b)
	}
	found := false
	for i := range 2 {
		f, state := parseFrame(slotIn(b, hd, i), hd)
		switch {
		case state == slotTorn:
			torn = true
		case state == slotValid && (!found || f.version > e.version):
			e, found = entry{frame: f, head: hd, slot: i}, true
		}
	}
	return e.settle(found, torn)
}

// settle gives e the later of both instants of expiry.
func (e entry) settle(found, torn bool) (entry, bool, error) {
	if !found {
		return entry{}, torn, errUnreadable
	}
	if e.head.expiresOK {
		e.expires = max(e.expires, e.head.expires)
	}
	return e, torn || !e.head.expiresOK, nil
}

// slotIn returns what b, the beginning of a file, has of slot i.
func slotIn(b []byte, hd head, i int) []byte {
	from := min(hd.slotAt(i), int64(len(b)))
	to := min(hd.slotAt(i+1), int64(len(b)))
	return b[from:to]
}

// readLarge reads a file that is larger than the scratch buffer: from the
// beginnings of both slots it knows the newer one, and reads only that.
func (h handle) readLarge(hd head, b []byte) (e entry, torn bool, err error) {
	var length [2]int
	var version [2]uint64
	for i := range 2 {
		start := slotIn(b, hd, i)
		if len(start) < frameHead {
			start = make([]byte, frameHead)
			n, err := h.readAt(start, hd.slotAt(i))
			if err != nil {
				return entry{}, false, err
			}
			start = start[:n]
		}
		var state slotState
		length[i], version[i], state = peekFrame(start, hd.capacity)
		torn = torn || state == slotTorn
	}
	newer := 0
	if version[1] > version[0] {
		newer = 1
	}
	for _, i := range [2]int{newer, 1 - newer} {
		if length[i] == 0 {
			continue
		}
		f, state, err := h.readSlot(hd, i, length[i])
		if err != nil {
			return entry{}, false, err
		}
		if state == slotValid {
			return entry{frame: f, head: hd, slot: i, owned: true}.settle(true, torn)
		}
		torn = true
	}
	return entry{}.settle(false, torn)
}

// readSlot reads a frame of length bytes into memory of its own.
func (h handle) readSlot(hd head, i, length int) (frame, slotState, error) {
	if length > frameHead+backend.MaxUser+maxData {
		return frame{}, slotTorn, nil
	}
	b := make([]byte, length)
	for n := 0; n < length; {
		m, err := h.readAt(b[n:], hd.slotAt(i)+int64(n))
		if err != nil {
			return frame{}, slotTorn, err
		}
		if m == 0 {
			return frame{}, slotTorn, nil
		}
		n += m
	}
	f, state := parseFrame(b, hd)
	return f, state, nil
}

// appendFile appends the content of a new file: the head and the first slot.
func appendFile(b []byte, rec backend.Record, version uint64, ms int64) []byte {
	size := frameSize(rec.User, rec.Data)
	if cap(b) < headSize+size {
		b = make([]byte, 0, headSize+size)
	}
	b = appendHead(b, rec.ID, ms, capacityFor(size))
	return appendFrame(b, binary.LittleEndian.Uint32(b[sumAt:]), version, ms, rec.User, rec.Data)
}
