package file

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// A list of sessions reads a small record whole, and of a large one only the
// beginnings of both slots. The checksum covers all of a slot, so a beginning
// alone cannot be checked. Three things stand in for that:
//
//   - It is read under the lock, so that no write is under way, and a slot that
//     the file ends in was never completed.
//   - A large slot's beginning is written last (see writeSlot). If the process
//     is killed before that, the slot still claims the older version it had,
//     and the other one is the record.
//   - What is left is a power cut, after which a beginning may be on the disk
//     and its end not, and later damage. Then a list may show what was written
//     but never acknowledged. Whoever acts on it names the version it shows:
//     DeleteVersion reads the whole record, and clears such a slot.
//
// What a beginning says against listing a session (it is another user's, or has
// expired) is not believed before the whole record was read: no list lacks a
// session.

// startSize is how much of a slot a list needs.
const startSize = frameHead + backend.MaxUser + backend.HeadSize

// listWait is how long a list waits for the lock, before it reads the whole
// record, which takes none.
const listWait = 100 * time.Millisecond

// errUnsure says that only the whole record can tell.
var errUnsure = errors.New("what was read of the record does not tell")

// listed returns the live record of id, with no more than [backend.HeadSize]
// bytes of its Data. of says whose sessions are wanted; the record may turn out
// to be somebody else's.
func (s *Store) listed(ctx context.Context, id uuid.UUID, of func(user string) bool) (backend.Record, error) {
	var rec backend.Record
	err := s.try(ctx, s.shardOf(id), func(sh *shard) error {
		if _, doubtful := s.doubts.get(id); doubtful {
			return errUnsure
		}
		sc := getScratch()
		defer sc.put()
		e, large, err := s.readSmall(sh, id, sc)
		if large {
			e, err = s.readStart(ctx, sh, id, sc)
		}
		if err != nil {
			return err
		}
		if large && (e.expired() || !of(string(e.user))) {
			return errUnsure
		}
		if e.expired() {
			return backend.ErrNotFound
		}
		e.data = e.data[:min(len(e.data), backend.HeadSize)]
		rec = e.record(id)
		return nil
	})
	if err == nil || err == backend.ErrNotFound {
		return rec, err
	}
	rec, err = s.Load(ctx, id) // which says what is wrong, if anything is
	rec.Data = rec.Data[:min(len(rec.Data), backend.HeadSize)]
	return rec, err
}

// readSmall reads and checks a record whose file fits into the scratch; of a
// larger one it reads a page.
func (s *Store) readSmall(sh *shard, id uuid.UUID, sc *scratch) (e entry, large bool, err error) {
	h, err := sh.dir.open(recordName(id), forReading)
	if err != nil {
		return entry{}, false, err
	}
	defer h.close() // it was only read
	n, err := h.readAt(sc.first[:pageSize], 0)
	if err != nil {
		return entry{}, false, err
	}
	hd, ok := parseHead(sc.first[:n], id)
	switch {
	case !ok:
		return entry{}, false, errUnsure
	case hd.size() > firstSize:
		return entry{}, true, nil
	}
	if n == pageSize {
		more, err := h.readAt(sc.first[pageSize:], pageSize)
		if err != nil {
			return entry{}, false, err
		}
		n += more
	}
	e, torn, err := newestIn(sc.first[:n], hd)
	return e, false, sure(torn, err)
}

// readStart reads what a list needs of the newer slot of a large file.
func (s *Store) readStart(ctx context.Context, sh *shard, id uuid.UUID, sc *scratch) (entry, error) {
	waiting, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	if err := s.lock(waiting, sh); err != nil {
		return entry{}, err
	}
	defer s.unlock(sh)
	h, err := sh.dir.open(recordName(id), forReading)
	if err != nil {
		return entry{}, err
	}
	defer h.close() // it was only read
	info, err := h.stat()
	if err != nil {
		return entry{}, err
	}
	n, err := h.readAt(sc.first[:headSize+startSize], 0)
	if err != nil {
		return entry{}, err
	}
	hd, ok := parseHead(sc.first[:n], id)
	if !ok || hd.size() <= firstSize {
		return entry{}, errUnsure
	}
	m, err := h.readAt(sc.first[n:n+startSize], hd.slotAt(1))
	if err != nil {
		return entry{}, err
	}
	e, found := entry{head: hd}, false
	for i, start := range [2][]byte{sc.first[headSize:n], sc.first[n : n+m]} {
		f, state := parseStart(start, hd.capacity, info.size-hd.slotAt(i))
		switch {
		case state == slotTorn:
			return entry{}, errUnsure
		case state == slotValid && (!found || f.version > e.version):
			e, found = entry{frame: f, head: hd, slot: i}, true
		}
	}
	e, torn, err := e.settle(found, false)
	return e, sure(torn, err)
}

// sure makes a doubt an error.
func sure(torn bool, err error) error {
	if torn {
		return errUnsure
	}
	return err
}

// parseStart reads the beginning of a slot, of which the file has size bytes.
// It cannot see whether the checksum is right.
func parseStart(b []byte, capacity int, size int64) (frame, slotState) {
	n, version, state := peekFrame(b, capacity)
	if state != slotValid {
		return frame{}, state
	}
	userEnd := frameHead + int(b[24])
	if userEnd > min(n, len(b)) || int64(n) > size {
		return frame{}, slotTorn
	}
	return frame{
		version: version,
		expires: int64(binary.LittleEndian.Uint64(b[16:])),
		user:    b[frameHead:userEnd],
		data:    b[userEnd:min(n, len(b))],
	}, slotValid
}

// writeSlot writes a slot; of one that only a part may be read of, the
// beginning last.
func (s *Store) writeSlot(h handle, hd head, i int, frame []byte) error {
	at := hd.slotAt(i)
	if hd.size() > firstSize && len(frame) > startSize {
		if err := s.write(h, frame[startSize:], at+startSize); err != nil {
			return err
		}
		frame = frame[:startSize]
	}
	return s.write(h, frame, at)
}

// clearClaim clears the slot that claims to be version, which is later than
// that of e, the record: it was never completed. The caller has the lock.
func (s *Store) clearClaim(sh *shard, id uuid.UUID, e entry, version uint64) error {
	if version <= e.version {
		return nil
	}
	h, err := s.open(sh, id, forWriting)
	if err != nil {
		return err
	}
	at := e.head.slotAt(1 - e.slot)
	var b [frameHead]byte
	n, err := h.readAt(b[:], at)
	if err == nil {
		if _, claimed, state := peekFrame(b[:n], e.head.capacity); state == slotValid && claimed == version {
			b = [frameHead]byte{}
			err = s.write(h, b[:], at)
		}
	}
	return cmp.Or(err, s.close(h))
}
