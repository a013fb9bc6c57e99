package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
)

// sealLabel separates the key of the seal from the hash in the record's head,
// which is of the secret alone.
const sealLabel = "chi session seal 1"

// Key returns what the record of c is sealed or tagged with.
func (c *Credentials) Key() (cipher.AEAD, error) { return sealer(c.secret()) }

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

// A Protection is what keeps whoever can write the store from making records
// of its own: it could put another user into one, and be that user.
type Protection byte

// The three, from least to most.
const (
	Plain  Protection = iota // the store is in this process
	Tagged                   // readable, but changed by nobody (Config.NoSeal)
	Sealed                   // neither readable nor changed
)

// Encode returns the Data of a record with the head h and the values c, and
// these values as they are in it, in the clear. The key is of the record's
// secret; Plain needs none. Encode sets those flags of h that follow from the
// rest.
func Encode(id uuid.UUID, user string, h *Head, c *Changes, how Protection, key cipher.AEAD) (data []byte, plain Body, err error) {
	return encodeRecord(id, user, h, &c.base, c.sorted(), how, key)
}

func encodeRecord(id uuid.UUID, user string, h *Head, base *Body, changes []change, how Protection, key cipher.AEAD) (data []byte, plain Body, err error) {
	count, size := mergedSize(base, changes)
	length := bodyLen(base, count, size)
	h.Flags &^= flagSealed | flagTagged | flagEnds | flagLogin
	if h.Ends != 0 {
		h.Flags |= flagEnds
	}
	if h.Login != 0 {
		h.Flags |= flagLogin
	}
	if how != Sealed {
		text := 0
		if how == Tagged {
			h.Flags |= flagTagged
			text = nonceSize + tagSize
		}
		data = appendHead(make([]byte, 0, headLen(h)+text+length), h)
		headEnd := len(data)
		text += headEnd
		data = appendBody(data[:text], base, changes)
		if how == Tagged {
			ad := adPool.Get().(*[]byte)
			*ad = associatedTagged((*ad)[:0], id, user, data[:headEnd], data[text:])
			copy(data[headEnd:], key.Seal(nil, nil, nil, *ad))
			adPool.Put(ad)
		}
		plain, err = parseBody(data[text:])
		return data, plain, err
	}
	h.Flags |= flagSealed
	text := appendBody(make([]byte, 0, length), base, changes)
	data = appendHead(make([]byte, 0, headLen(h)+nonceSize+length+tagSize), h)
	ad := adPool.Get().(*[]byte)
	*ad = associated((*ad)[:0], id, user, data)
	data = key.Seal(data, nil, text, *ad)
	adPool.Put(ad)
	plain, err = parseBody(text)
	return data, plain, err
}

// Open returns the values of a record whose secret has been compared
// already, and the key that it opened with. A record that has neither seal nor
// tag where it must is not read: whoever can write the store could otherwise
// put one there (CVE-2026-39324). The tag will do where a seal is asked for:
// the record was made by somebody who had the secret, while NoSeal was set.
func Open(cred *Credentials, user string, data []byte, h *Head, how Protection) (Body, cipher.AEAD, error) {
	values := data[h.size:]
	if h.Flags&(flagSealed|flagTagged) == 0 {
		if how != Plain {
			return Body{}, nil, errors.New("record is neither sealed nor authenticated")
		}
		b, err := parseBody(values)
		return b, nil, err
	}
	if len(values) < nonceSize+tagSize {
		return Body{}, nil, errFormat
	}
	key, err := sealer(cred.secret())
	if err != nil {
		return Body{}, nil, err
	}
	ad := adPool.Get().(*[]byte)
	defer adPool.Put(ad)
	if h.Flags&flagSealed == 0 {
		tag, plain := values[:nonceSize+tagSize], values[nonceSize+tagSize:]
		*ad = associatedTagged((*ad)[:0], cred.ID(), user, data[:h.size], plain)
		if _, err := key.Open(nil, nil, tag, *ad); err != nil {
			return Body{}, nil, fmt.Errorf("record is not as it was written: %w", err)
		}
		b, err := parseBody(plain)
		return b, key, err
	}
	*ad = associated((*ad)[:0], cred.ID(), user, data[:h.size])
	text, err := key.Open(nil, nil, values, *ad)
	if err != nil {
		return Body{}, nil, fmt.Errorf("record does not open: %w", err)
	}
	b, err := parseBody(text)
	return b, key, err
}
