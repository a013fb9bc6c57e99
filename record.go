package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// A record's Data is a readable head, which the manager needs before it has a
// secret (and for lists of devices, without one), and the values.
//
//	format   1 byte
//	flags    1 byte
//	hash    32 bytes  SHA-256 of the secret
//	commit   8 bytes  random, new for every commit: a retry after a lost
//	                  reply recognises its own write by it
//	renewed  8 bytes  when the secret was last replaced, Unix ms; 0 = never
//	idle     uvarint  ms; 0 = the manager's
//	absolute uvarint  ms; 0 = the manager's
//	label    uvarint length, bytes
//	values            a body; or, if sealed, nonce and AES-256-GCM of it
const (
	format1 = 1

	flagSealed    = 1 << 0
	flagPersist   = 1 << 1 // Persist(true)
	flagTransient = 1 << 2 // Persist(false)
	flagsKnown    = flagSealed | flagPersist | flagTransient

	headFixed = 2 + sha256.Size + 8 + 8
	maxLabel  = 255

	nonceSize = 12
	tagSize   = 16
)

var errFormat = errors.New("record is damaged, or from another version")

// A head is the readable part of a record.
type head struct {
	flags    byte
	hash     [sha256.Size]byte
	commit   uint64
	renewed  int64 // Unix ms
	idle     time.Duration
	absolute time.Duration
	label    []byte // part of the record's Data
	size     int    // where the values begin
}

// parseHead reads the head of a record, within its bounds.
func parseHead(data []byte) (h head, err error) {
	if len(data) < headFixed || data[0] != format1 || data[1]&^flagsKnown != 0 {
		return h, errFormat
	}
	h.flags = data[1]
	copy(h.hash[:], data[2:])
	h.commit = binary.BigEndian.Uint64(data[34:])
	h.renewed = int64(binary.BigEndian.Uint64(data[42:]))
	rest := data[headFixed:]
	var numbers [3]uint64
	for i := range numbers {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return h, errFormat
		}
		numbers[i], rest = v, rest[n:]
	}
	limit := uint64(maxTimeout / time.Millisecond)
	if numbers[0] > limit || numbers[1] > limit || numbers[2] > maxLabel || numbers[2] > uint64(len(rest)) || h.renewed < 0 {
		return h, errFormat
	}
	h.idle = time.Duration(numbers[0]) * time.Millisecond
	h.absolute = time.Duration(numbers[1]) * time.Millisecond
	h.label = rest[:numbers[2]]
	h.size = len(data) - len(rest) + int(numbers[2])
	return h, nil
}

func appendHead(dst []byte, h *head) []byte {
	dst = append(dst, format1, h.flags)
	dst = append(dst, h.hash[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.commit)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.renewed))
	dst = binary.AppendUvarint(dst, uint64(h.idle/time.Millisecond))
	dst = binary.AppendUvarint(dst, uint64(h.absolute/time.Millisecond))
	dst = binary.AppendUvarint(dst, uint64(len(h.label)))
	return append(dst, h.label...)
}

func headLen(h *head) int {
	return headFixed + uvarintLen(uint64(h.idle/time.Millisecond)) +
		uvarintLen(uint64(h.absolute/time.Millisecond)) + uvarintLen(uint64(len(h.label))) + len(h.label)
}

// newCommit returns a commit ID. It has to be unique, not secret: it stands in
// the readable head. (The generator is ChaCha8, seeded by the system.)
func newCommit() uint64 {
	for {
		if id := mathrand.Uint64(); id != 0 { // 0 stands for none
			return id
		}
	}
}

// sealer returns the cipher that only the holder of the secret can make. Its
// key is derived (HKDF, RFC 5869) under a label of its own, so that the hash
// in the record's head tells nothing of it.
func sealer(secret []byte) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, secret, "chisession/session seal v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// associated returns what the seal covers besides the values: the record's
// ID, its user and its whole head. A record moved to another ID, given another
// user or longer timeouts does not open.
func associated(id uuid.UUID, user string, head []byte) []byte {
	ad := make([]byte, 0, len(id)+len(user)+len(head))
	ad = append(ad, id[:]...)
	ad = append(ad, head...) // it tells its own length
	return append(ad, user...)
}

// encodeRecord returns the Data of a record, and the body in it in the clear.
func encodeRecord(cred *credentials, user string, h *head, base *body, changes []change, seal bool) (data []byte, plain body, err error) {
	count, size := mergedSize(base, changes)
	length := bodyLen(count, size)
	if !seal {
		h.flags &^= flagSealed
		data = appendHead(make([]byte, 0, headLen(h)+length), h)
		n := len(data)
		data = appendBody(data, base, changes)
		plain, err = parseBody(data[n:])
		return data, plain, err
	}
	h.flags |= flagSealed
	aead, err := sealer(cred.secret())
	if err != nil {
		return nil, plain, err
	}
	text := appendBody(make([]byte, 0, length), base, changes)
	data = appendHead(make([]byte, 0, headLen(h)+nonceSize+length+tagSize), h)
	n := len(data)
	data = data[:n+nonceSize]
	rand.Read(data[n:])
	data = aead.Seal(data, data[n:], text, associated(cred.id(), user, data[:n]))
	plain, err = parseBody(text)
	return data, plain, err
}

// openRecord returns the values of a record whose secret has been compared
// already. A record that is not sealed where it must be is not read: whoever
// can write the store could otherwise put one there (CVE-2026-39324).
func openRecord(cred *credentials, user string, data []byte, h *head, mustSeal, trusted bool) (body, error) {
	values := data[h.size:]
	if h.flags&flagSealed == 0 {
		if mustSeal {
			return body{}, errors.New("record is not sealed")
		}
		b, err := parseBody(values)
		if err == nil && !trusted {
			err = b.check()
		}
		return b, err
	}
	if len(values) < nonceSize+tagSize {
		return body{}, errFormat
	}
	aead, err := sealer(cred.secret())
	if err != nil {
		return body{}, err
	}
	text, err := aead.Open(nil, values[:nonceSize], values[nonceSize:], associated(cred.id(), user, data[:h.size]))
	if err != nil {
		return body{}, fmt.Errorf("record does not open: %w", err)
	}
	return parseBody(text)
}
