package file

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
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

// firstSize is the size up to which a file is read whole.
const firstSize = 4 * pageSize

// A scratch has the buffers for one read and one write. Files of usual size
// are read whole into first.
type scratch struct {
	first [firstSize]byte
	large []byte // one slot of a larger file, for those who do not keep it
	out   []byte
}

// keepLarge is the size up to which buffers for larger files are kept.
const keepLarge = 256 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func getScratch() *scratch { return scratches.Get().(*scratch) }

// put gives the buffers back. A record's bytes leave them only as a copy.
func (sc *scratch) put() {
	if cap(sc.large) > keepLarge {
		sc.large = nil
	}
	if cap(sc.out) > keepLarge {
		sc.out = nil
	}
	scratches.Put(sc)
}

// frame returns the bytes of a slot, until the next frame or file.
func (sc *scratch) frame(headSum uint32, rec backend.Record, version uint64, ms int64) []byte {
	sc.out = slices.Grow(sc.out[:0], frameSize(rec.User, rec.Data))
	sc.out = appendFrame(sc.out, headSum, version, ms, rec.User, rec.Data)
	return sc.out
}

// file returns the content of a new file, the head and the first slot, until
// the next frame or file.
func (sc *scratch) file(rec backend.Record, version uint64, ms int64) []byte {
	size := frameSize(rec.User, rec.Data)
	sc.out = slices.Grow(sc.out[:0], headSize+size)
	sc.out = appendHead(sc.out, rec.ID, ms, capacityFor(size))
	headSum := binary.LittleEndian.Uint32(sc.out[sumAt:])
	sc.out = appendFrame(sc.out, headSum, version, ms, rec.User, rec.Data)
	return sc.out
}

// An entry is a record as its file has it.
type entry struct {
	frame
	head head
	slot int
	kept bool // data is in memory of its own, not in a scratch
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
	if !e.kept {
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
	if _, doubtful := s.doubts.get(id); doubtful {
		if err := s.settle(ctx, sh, id); err != nil {
			return entry{}, err
		}
	}
	h, err := s.open(sh, id, forReading)
	if err != nil {
		return entry{}, err
	}
	for range 3 {
		e, torn, err := h.read(id, sc, true)
		if err == nil && torn {
			e, _, err = h.read(id, sc, true)
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
	e, _, err := h.read(id, sc, true)
	return e, cmp.Or(s.contain(err), h.close())
}

// readLocked reads the record of id while nobody writes. Its data is good
// until sc is put back.
func (s *Store) readLocked(h handle, id uuid.UUID, sc *scratch) (entry, error) {
	e, _, err := h.read(id, sc, false)
	return e, s.contain(err)
}

// contain makes what is no record, and can never become one, ErrCorrupt.
func (s *Store) contain(err error) error {
	if err == errUnreadable || noRecord(err) {
		s.corrupt.Add(1)
		return backend.ErrCorrupt
	}
	return err
}

// read reads the newest valid slot. torn says that the file has something
// half-written besides, or nothing else. With keep, the data of a large
// record is read into memory of its own.
func (h handle) read(id uuid.UUID, sc *scratch, keep bool) (e entry, torn bool, err error) {
	n, err := h.readAt(sc.first[:], 0)
	if err != nil {
		return entry{}, false, err
	}
	b := sc.first[:n]
	hd, ok := parseHead(b, id)
	if !ok {
		return entry{}, false, errUnreadable
	}
	if n == len(sc.first) && hd.size() > n {
		return h.readLarge(hd, sc, keep)
	}
	return newestIn(b, hd)
}

// newestIn returns the newest valid slot in b, all that a file has. torn is as
// read has it.
func newestIn(b []byte, hd head) (e entry, torn bool, err error) {
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
func (h handle) readLarge(hd head, sc *scratch, keep bool) (e entry, torn bool, err error) {
	var length [2]int
	var version [2]uint64
	for i := range 2 {
		start := slotIn(sc.first[:], hd, i)
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
		if length[i] > frameHead+backend.MaxUser+maxData {
			torn = true
			continue
		}
		var b []byte
		if keep {
			b = make([]byte, length[i])
		} else {
			sc.large = slices.Grow(sc.large[:0], length[i])[:length[i]]
			b = sc.large
		}
		f, state, err := h.readSlot(hd, i, b)
		if err != nil {
			return entry{}, false, err
		}
		if state == slotValid {
			return entry{frame: f, head: hd, slot: i, kept: keep}.settle(true, torn)
		}
		torn = true
	}
	return entry{}.settle(false, torn)
}

// readSlot reads the frame that fills b.
func (h handle) readSlot(hd head, i int, b []byte) (frame, slotState, error) {
	for n := 0; n < len(b); {
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
