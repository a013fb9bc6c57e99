// Package record is the stored form of a session: the token that names it, the
// readable head, the values and their encodings, the seal that closes them, and
// the changes that lie over them. It is pure: it does no I/O, and no clock is in
// it but what is handed in.
package record

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"
)

// A record's Data is a readable head, which the manager needs before it has a
// secret (and for lists of devices, without one), and the values.
//
//	format   1 byte
//	flags    1 byte
//	hash    32 bytes  SHA-256 of the secret
//	commit   8 bytes  random, new for every commit: a retry after a lost
//	                  reply recognises its own write by it
//	renewed  8 bytes  when the secret was last replaced, Unix µs (MaxPerUser
//	                  orders logins by it); 0 = never
//	idle     uvarint  ms; 0 = the manager's
//	absolute uvarint  ms; 0 = the manager's
//	label    uvarint length, bytes
//	ends     8 bytes  Unix ms; only with flagEnds
//	login    4 bytes  Unix s; only with flagLogin
//	values            sealed: nonce and AES-256-GCM of a body; tagged: nonce
//	                  and tag, then a body in the clear; else just a body
const (
	format1 = 1

	flagSealed    = 1 << 0
	FlagPersist   = 1 << 1 // SetPersistent(true)
	FlagTransient = 1 << 2 // SetPersistent(false)
	flagTagged    = 1 << 3 // Config.NoSeal: readable, and authenticated all the same
	flagEnds      = 1 << 4 // the expiry is in the head: see Head.Ends
	flagLogin     = 1 << 5 // it is known when the user logged in: see Head.Login
	flagsKnown    = flagSealed | FlagPersist | FlagTransient | flagTagged | flagEnds | flagLogin

	headFixed = 2 + sha256.Size + 8 + 8
	MaxLabel  = 255

	nonceSize = 12
	tagSize   = 16
)

// MaxTimeout is the longest timeout that a head can hold.
const MaxTimeout = 100 * 365 * 24 * time.Hour

var errFormat = errors.New("record is damaged, or from another version")

// A Head is the readable part of a record.
type Head struct {
	Flags    byte              // FlagPersist, FlagTransient or neither, and what Encode sets
	size     uint16            // where the values begin
	Login    uint32            // when the user last proved who it is, Unix s (until 2106); 0 if nobody knows
	Hash     [sha256.Size]byte // of the secret
	Commit   uint64            // see NewCommit
	Renewed  int64             // Unix µs; 0 if never
	Idle     time.Duration     // this session's own; 0 is the manager's
	Absolute time.Duration     // likewise
	Label    []byte            // part of the record's Data

	// Ends is when the session expires, in Unix ms, whatever the store says;
	// 0 leaves it to the store. It is there once an idle timeout was made
	// shorter: a request that loaded the session before can still Touch it,
	// by the longer one that it knows, and must not undo that. From then on
	// activity is noted by an Update, which such a request cannot overtake.
	Ends int64
}

// Ended reports whether a session with this head is over at now, in Unix ms,
// although the store still has it.
func (h *Head) Ended(now int64) bool { return h.Ends != 0 && h.Ends <= now }

// Sealed reports whether the values can be opened with the secret alone; false
// if they are readable.
func (h *Head) Sealed() bool { return h.Flags&flagSealed != 0 }

// ParseHead reads the head of a record, within its bounds.
func ParseHead(data []byte) (h Head, err error) {
	err = h.Parse(data)
	return h, err
}

func (h *Head) Parse(data []byte) error {
	if len(data) < headFixed || data[0] != format1 || data[1]&^flagsKnown != 0 {
		return errFormat
	}
	h.Flags = data[1]
	copy(h.Hash[:], data[2:])
	h.Commit = binary.BigEndian.Uint64(data[34:])
	h.Renewed = int64(binary.BigEndian.Uint64(data[42:]))
	rest := data[headFixed:]
	var numbers [3]uint64
	for i := range numbers {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return errFormat
		}
		numbers[i], rest = v, rest[n:]
	}
	limit := uint64(MaxTimeout / time.Millisecond)
	if numbers[0] > limit || numbers[1] > limit || numbers[2] > MaxLabel || numbers[2] > uint64(len(rest)) || h.Renewed < 0 {
		return errFormat
	}
	h.Idle = time.Duration(numbers[0]) * time.Millisecond
	h.Absolute = time.Duration(numbers[1]) * time.Millisecond
	h.Label = rest[:numbers[2]]
	size := len(data) - len(rest) + int(numbers[2])
	if h.Flags&flagEnds != 0 {
		if len(data)-size < 8 {
			return errFormat
		}
		h.Ends = int64(binary.BigEndian.Uint64(data[size:]))
		if h.Ends <= 0 {
			return errFormat
		}
		size += 8
	}
	if h.Flags&flagLogin != 0 {
		if len(data)-size < 4 {
			return errFormat
		}
		if h.Login = binary.BigEndian.Uint32(data[size:]); h.Login == 0 {
			return errFormat
		}
		size += 4
	}
	h.size = uint16(size)
	return nil
}

func appendHead(dst []byte, h *Head) []byte {
	dst = append(dst, format1, h.Flags)
	dst = append(dst, h.Hash[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.Commit)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Renewed))
	dst = binary.AppendUvarint(dst, uint64(h.Idle/time.Millisecond))
	dst = binary.AppendUvarint(dst, uint64(h.Absolute/time.Millisecond))
	dst = binary.AppendUvarint(dst, uint64(len(h.Label)))
	dst = append(dst, h.Label...)
	if h.Flags&flagEnds != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Ends))
	}
	if h.Flags&flagLogin != 0 {
		dst = binary.BigEndian.AppendUint32(dst, h.Login)
	}
	return dst
}

func headLen(h *Head) int {
	n := headFixed + uvarintLen(uint64(h.Idle/time.Millisecond)) +
		uvarintLen(uint64(h.Absolute/time.Millisecond)) + uvarintLen(uint64(len(h.Label))) + len(h.Label)
	if h.Flags&flagEnds != 0 {
		n += 8
	}
	if h.Flags&flagLogin != 0 {
		n += 4
	}
	return n
}

// NewCommit returns a commit ID. It has to be unique, not secret: it stands in
// the readable head. (The generator is ChaCha8, seeded by the system.)
func NewCommit() uint64 {
	for {
		if id := rand.Uint64(); id != 0 { // 0 stands for none
			return id
		}
	}
}
