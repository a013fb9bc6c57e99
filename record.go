package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
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
//	renewed  8 bytes  when the secret was last replaced, Unix µs (MaxPerUser
//	                  orders logins by it); 0 = never
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
	renewed  int64 // Unix µs
	idle     time.Duration
	absolute time.Duration
	label    []byte // part of the record's Data
	size     int    // where the values begin
}

// parseHead reads the head of a record, within its bounds.
func parseHead(data []byte) (h head, err error) {
	err = h.parse(data)
	return h, err
}

func (h *head) parse(data []byte) error {
	if len(data) < headFixed || data[0] != format1 || data[1]&^flagsKnown != 0 {
		return errFormat
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
			return errFormat
		}
		numbers[i], rest = v, rest[n:]
	}
	limit := uint64(maxTimeout / time.Millisecond)
	if numbers[0] > limit || numbers[1] > limit || numbers[2] > maxLabel || numbers[2] > uint64(len(rest)) || h.renewed < 0 {
		return errFormat
	}
	h.idle = time.Duration(numbers[0]) * time.Millisecond
	h.absolute = time.Duration(numbers[1]) * time.Millisecond
	h.label = rest[:numbers[2]]
	h.size = len(data) - len(rest) + int(numbers[2])
	return nil
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

// sealLabel separates the key of the seal from the hash in the record's head,
// which is of the secret alone.
const sealLabel = "chi session seal 1"

// sealer returns the cipher that only the holder of the secret can make. The
// key is the one-step derivation of NIST SP 800-56C r2 §4 (option 1): a hash
// of a counter, the secret and a label. The secret is 256 uniform bits, so
// there is nothing to extract or stretch; the label fits the first block.
func sealer(secret []byte) (cipher.AEAD, error) {
	input := make([]byte, 0, 4+secretSize+len(sealLabel))
	input = append(input, 0, 0, 0, 1)
	input = append(input, secret...)
	input = append(input, sealLabel...)
	key := sha256.Sum256(input)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block) // nonce (12 bytes), text, tag (16)
}

// adPool holds scratch for associated data, which is gone when a record has
// been sealed or opened.
var adPool = sync.Pool{New: func() any { return new([]byte) }}

// associated returns what the seal covers besides the values: the record's
// ID, its user and its whole head. A record moved to another ID, given another
// user or longer timeouts does not open.
func associated(dst []byte, id uuid.UUID, user string, head []byte) []byte {
	dst = append(dst, id[:]...)
	dst = append(dst, head...) // it tells its own length
	return append(dst, user...)
}

// encodeRecord returns the Data of a record, and the body in it in the clear.
// Without a seal, the body is not encrypted.
func encodeRecord(id uuid.UUID, user string, h *head, base *body, changes []change, seal cipher.AEAD) (data []byte, plain body, err error) {
	count, size := mergedSize(base, changes)
	length := bodyLen(count, size)
	if seal == nil {
		h.flags &^= flagSealed
		data = appendHead(make([]byte, 0, headLen(h)+length), h)
		n := len(data)
		data = appendBody(data, base, changes)
		plain, err = parseBody(data[n:])
		return data, plain, err
	}
	h.flags |= flagSealed
	text := appendBody(make([]byte, 0, length), base, changes)
	data = appendHead(make([]byte, 0, headLen(h)+nonceSize+length+tagSize), h)
	ad := adPool.Get().(*[]byte)
	*ad = associated((*ad)[:0], id, user, data)
	data = seal.Seal(data, nil, text, *ad)
	adPool.Put(ad)
	plain, err = parseBody(text)
	return data, plain, err
}

// openRecord returns the values of a record whose secret has been compared
// already, and the seal that it opened. A record that is not sealed where it
// must be is not read: whoever can write the store could otherwise put one
// there (CVE-2026-39324).
func openRecord(cred *credentials, user string, data []byte, h *head, mustSeal, trusted bool) (body, cipher.AEAD, error) {
	values := data[h.size:]
	if h.flags&flagSealed == 0 {
		if mustSeal {
			return body{}, nil, errors.New("record is not sealed")
		}
		b, err := parseBody(values)
		if err == nil && !trusted {
			err = b.check()
		}
		return b, nil, err
	}
	if len(values) < nonceSize+tagSize {
		return body{}, nil, errFormat
	}
	seal, err := sealer(cred.secret())
	if err != nil {
		return body{}, nil, err
	}
	ad := adPool.Get().(*[]byte)
	*ad = associated((*ad)[:0], cred.id(), user, data[:h.size])
	text, err := seal.Open(nil, nil, values, *ad)
	adPool.Put(ad)
	if err != nil {
		return body{}, nil, fmt.Errorf("record does not open: %w", err)
	}
	b, err := parseBody(text)
	return b, seal, err
}
