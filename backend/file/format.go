package file

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/google/uuid"
)

// A record's file, all numbers little-endian:
//
//	 0  magic     8  with the version of the format
//	 8  expires   8  milliseconds since 1970 in 6 bytes, their checksum in 2
//	16  ID       16
//	32  capacity  4  bytes a slot
//	36  checksum  4  of ID and capacity
//	40  slot 0       capacity bytes
//	    slot 1       capacity bytes
//
// and a slot, unless it is all zeros or not there:
//
//	 0  checksum  4  of all that follows, begun with the head's
//	 4  length    4  of all of this
//	 8  version   8
//	16  expires   8  milliseconds since 1970
//	24  user      1  its length
//	25  user, data
//
// The valid slot with the higher version is the record. It expires at the
// later of its own instant and that of the head; so a Touch writes only the
// head, and an Update only a slot. The head's instant is never later than the
// record's, but between the two writes of an Update that shortens.
const (
	magic      = "chisess\x01"
	headSize   = 40
	expiresAt  = 8
	idAt       = 16
	capacityAt = 32
	sumAt      = 36
	frameHead  = 25

	pageSize = 4096

	// maxData is more than any session should hold, and what one Load may
	// be made to allocate.
	maxData = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maxMillis is what six bytes hold: the year 10889.
const maxMillis = 1<<48 - 1

// millis returns t as it is stored.
func millis(t time.Time) int64 {
	return min(max(t.UnixMilli(), 0), maxMillis)
}

// appendExpires appends the head's eight bytes of expiry. They check
// themselves, because they are replaced while others read.
func appendExpires(b []byte, ms int64) []byte {
	n := uint64(ms) & maxMillis
	return binary.LittleEndian.AppendUint64(b, n|uint64(fold(n))<<48)
}

func parseExpires(b []byte) (ms int64, ok bool) {
	n := binary.LittleEndian.Uint64(b)
	return int64(n & maxMillis), fold(n&maxMillis) == uint16(n>>48)
}

// fold is a checksum of 48 bits in 16.
func fold(n uint64) uint16 {
	return uint16((n + 1) * 0x9E3779B97F4A7C15 >> 48)
}

// capacityFor returns the capacity of each slot of a new file for a frame of
// size bytes. Small files fill one page, so that they can neither grow nor
// run out of disk later; larger ones leave room for a quarter more.
func capacityFor(size int) int {
	total := headSize + 2*(size+size/4)
	if headSize+2*size <= pageSize {
		total = pageSize
	}
	return ((total+pageSize-1)/pageSize*pageSize - headSize) / 2
}

// fits reports whether a frame of size bytes belongs into a slot of that
// capacity, or the file should be replaced, because it is too small or far
// too large.
func fits(size, capacity int) bool {
	return size <= capacity && (capacity < 16*pageSize || size > capacity/8)
}

func appendHead(b []byte, id uuid.UUID, expires int64, capacity int) []byte {
	start := len(b)
	b = append(b, magic...)
	b = appendExpires(b, expires)
	b = append(b, id[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(capacity))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start+idAt:], castagnoli))
}

// A head is what the first bytes of a file say.
type head struct {
	sum       uint32 // begins the slots' checksums, and so binds them to the ID
	capacity  int
	expires   int64
	expiresOK bool // false while it is being replaced, or if it was damaged
}

func parseHead(b []byte, id uuid.UUID) (h head, ok bool) {
	if len(b) < headSize || string(b[:len(magic)]) != magic || uuid.UUID(b[idAt:capacityAt]) != id {
		return head{}, false
	}
	h.sum = binary.LittleEndian.Uint32(b[sumAt:])
	if h.sum != crc32.Checksum(b[idAt:sumAt], castagnoli) {
		return head{}, false
	}
	h.capacity = int(binary.LittleEndian.Uint32(b[capacityAt:]))
	h.expires, h.expiresOK = parseExpires(b[expiresAt:])
	return h, true
}

// slotAt returns where slot i begins.
func (h head) slotAt(i int) int64 { return headSize + int64(i)*int64(h.capacity) }

// size returns the size of a file whose slots are both full.
func (h head) size() int { return headSize + 2*h.capacity }

func frameSize(user string, data []byte) int { return frameHead + len(user) + len(data) }

func appendFrame(b []byte, headSum uint32, version uint64, expires int64, user string, data []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(frameSize(user, data)))
	b = binary.LittleEndian.AppendUint64(b, version)
	b = binary.LittleEndian.AppendUint64(b, uint64(expires))
	b = append(b, byte(len(user)))
	b = append(b, user...)
	b = append(b, data...)
	binary.LittleEndian.PutUint32(b[start:], frameSum(headSum, b[start:]))
	return b
}

func frameSum(headSum uint32, frame []byte) uint32 {
	return crc32.Update(headSum, castagnoli, frame[4:])
}

// A frame is the content of a slot. It points into the bytes it was read from.
type frame struct {
	version uint64
	expires int64
	user    []byte
	data    []byte
}

// A slotState says what is in a slot.
type slotState int

const (
	slotEmpty slotState = iota
	slotTorn            // half-written, now or for ever
	slotValid
)

// peekFrame returns the length and version that the beginning of a slot
// claims; length 0 if it is empty or cannot be.
func peekFrame(b []byte, capacity int) (length int, version uint64, state slotState) {
	if len(b) < frameHead {
		if len(bytes.Trim(b, "\x00")) == 0 {
			return 0, 0, slotEmpty
		}
		return 0, 0, slotTorn
	}
	n := binary.LittleEndian.Uint32(b[4:])
	switch {
	case n == 0 && len(bytes.Trim(b[:frameHead], "\x00")) == 0:
		return 0, 0, slotEmpty
	case n < frameHead || uint64(n) > uint64(capacity):
		return 0, 0, slotTorn
	}
	return int(n), binary.LittleEndian.Uint64(b[8:]), slotValid
}

// parseFrame reads a slot; b is as much of it as the file has.
func parseFrame(b []byte, h head) (frame, slotState) {
	n, version, state := peekFrame(b, h.capacity)
	if state != slotValid {
		return frame{}, state
	}
	if n > len(b) || binary.LittleEndian.Uint32(b) != frameSum(h.sum, b[:n]) {
		return frame{}, slotTorn
	}
	userEnd := frameHead + int(b[24])
	if userEnd > n {
		return frame{}, slotTorn
	}
	return frame{
		version: version,
		expires: int64(binary.LittleEndian.Uint64(b[16:])),
		user:    b[frameHead:userEnd],
		data:    b[userEnd:n],
	}, slotValid
}
