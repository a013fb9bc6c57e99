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
//	ends     8 bytes  Unix ms; only with flagEnds
//	values            sealed: nonce and AES-256-GCM of a body; tagged: nonce
//	                  and tag, then a body in the clear; else just a body
const (
	format1 = 1

	flagSealed    = 1 << 0
	flagPersist   = 1 << 1 // SetPersistent(true)
	flagTransient = 1 << 2 // SetPersistent(false)
	flagTagged    = 1 << 3 // Config.NoSeal: readable, and authenticated all the same
	flagEnds      = 1 << 4 // the expiry is in the head: see head.ends
	flagsKnown    = flagSealed | flagPersist | flagTransient | flagTagged | flagEnds

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

	// ends is when the session expires, in Unix ms, whatever the store says;
	// 0 leaves it to the store. It is there once an idle timeout was made
	// shorter: a request that loaded the session before can still Touch it,
	// by the longer one that it knows, and must not undo that. From then on
	// activity is noted by an Update, which such a request cannot overtake.
	ends int64

	size int // where the values begin
}

// ended reports whether a session with this head is over at now, in Unix ms,
// although the store still has it.
func (h *head) ended(now int64) bool { return h.ends != 0 && h.ends <= now }

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
	if h.flags&flagEnds != 0 {
		if len(data)-h.size < 8 {
			return errFormat
		}
		h.ends = int64(binary.BigEndian.Uint64(data[h.size:]))
		if h.ends <= 0 {
			return errFormat
		}
		h.size += 8
	}
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
	dst = append(dst, h.label...)
	if h.flags&flagEnds != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.ends))
	}
	return dst
}

func headLen(h *head) int {
	n := headFixed + uvarintLen(uint64(h.idle/time.Millisecond)) +
		uvarintLen(uint64(h.absolute/time.Millisecond)) + uvarintLen(uint64(len(h.label))) + len(h.label)
	if h.flags&flagEnds != 0 {
		n += 8
	}
	return n
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

// associatedTagged is associated for values that are readable: they are covered
// too. The user's name tells its length, so that no byte of it can become one
// of the values.
func associatedTagged(dst []byte, id uuid.UUID, user string, head, values []byte) []byte {
	dst = associated(dst, id, "", head)
	dst = binary.AppendUvarint(dst, uint64(len(user)))
	dst = append(dst, user...)
	return append(dst, values...)
}

// A protection is what keeps whoever can write the store from making records
// of its own: it could put another user into one, and be that user.
type protection byte

const (
	protectNothing protection = iota // the store is in this process
	protectByTag                     // readable, but changed by nobody (Config.NoSeal)
	protectBySeal                    // neither readable nor changed
)

// encodeRecord returns the Data of a record, and the body in it in the clear.
// The key is of the record's secret; protectNothing needs none.
func encodeRecord(id uuid.UUID, user string, h *head, base *body, changes []change, how protection, key cipher.AEAD) (data []byte, plain body, err error) {
	count, size := mergedSize(base, changes)
	length := bodyLen(count, size)
	h.flags &^= flagSealed | flagTagged
	if how != protectBySeal {
		text := 0
		if how == protectByTag {
			h.flags |= flagTagged
			text = nonceSize + tagSize
		}
		data = appendHead(make([]byte, 0, headLen(h)+text+length), h)
		headEnd := len(data)
		text += headEnd
		data = appendBody(data[:text], base, changes)
		if how == protectByTag {
			ad := adPool.Get().(*[]byte)
			*ad = associatedTagged((*ad)[:0], id, user, data[:headEnd], data[text:])
			copy(data[headEnd:], key.Seal(nil, nil, nil, *ad))
			adPool.Put(ad)
		}
		plain, err = parseBody(data[text:])
		return data, plain, err
	}
	h.flags |= flagSealed
	text := appendBody(make([]byte, 0, length), base, changes)
	data = appendHead(make([]byte, 0, headLen(h)+nonceSize+length+tagSize), h)
	ad := adPool.Get().(*[]byte)
	*ad = associated((*ad)[:0], id, user, data)
	data = key.Seal(data, nil, text, *ad)
	adPool.Put(ad)
	plain, err = parseBody(text)
	return data, plain, err
}

// openRecord returns the values of a record whose secret has been compared
// already, and the key that it opened with. A record that has neither seal nor
// tag where it must is not read: whoever can write the store could otherwise
// put one there (CVE-2026-39324). The tag will do where a seal is asked for:
// the record was made by somebody who had the secret, while NoSeal was set.
func openRecord(cred *credentials, user string, data []byte, h *head, how protection) (body, cipher.AEAD, error) {
	values := data[h.size:]
	if h.flags&(flagSealed|flagTagged) == 0 {
		if how != protectNothing {
			return body{}, nil, errors.New("record is neither sealed nor authenticated")
		}
		b, err := parseBody(values)
		return b, nil, err
	}
	if len(values) < nonceSize+tagSize {
		return body{}, nil, errFormat
	}
	key, err := sealer(cred.secret())
	if err != nil {
		return body{}, nil, err
	}
	ad := adPool.Get().(*[]byte)
	defer adPool.Put(ad)
	if h.flags&flagSealed == 0 {
		tag, plain := values[:nonceSize+tagSize], values[nonceSize+tagSize:]
		*ad = associatedTagged((*ad)[:0], cred.id(), user, data[:h.size], plain)
		if _, err := key.Open(nil, nil, tag, *ad); err != nil {
			return body{}, nil, fmt.Errorf("record is not as it was written: %w", err)
		}
		b, err := parseBody(plain)
		return b, key, err
	}
	*ad = associated((*ad)[:0], cred.id(), user, data[:h.size])
	text, err := key.Open(nil, nil, values, *ad)
	if err != nil {
		return body{}, nil, fmt.Errorf("record does not open: %w", err)
	}
	b, err := parseBody(text)
	return b, key, err
}
