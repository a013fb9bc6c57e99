package devicebound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// A stamp says that somebody who knew a secret wrote it at some time, for one
// session and one purpose: 8 bytes of Unix ms and an HMAC-SHA256 over purpose,
// time and session ID. Nothing of it is stored, so any process can make and check
// them.
const (
	stampSize = 8 + sha256.Size
	stampLen  = (stampSize*8 + 5) / 6 // characters, without padding
)

// A purpose keeps the stamp for one thing from being used for another.
type purpose byte

const (
	forProof     purpose = 'p' // the value of the proof's cookie, under the binding's secret
	forChallenge purpose = 'c' // to be signed for the next proof, under the binding's secret
	forOffer     purpose = 'o' // to be signed to bind a session, under its token
)

// stamp writes one.
func stamp(secret []byte, to purpose, id uuid.UUID, at time.Time) string {
	ms := uint64(at.UnixMilli())
	mac := sign(secret, to, id, ms)
	var text [stampSize]byte
	binary.BigEndian.PutUint64(text[:], ms)
	copy(text[8:], mac[:])
	return base64.RawURLEncoding.EncodeToString(text[:])
}

var strict = base64.RawURLEncoding.Strict()

// fresh reports whether text is a stamp of the last lifetime, or at most leeway
// older, or of a clock that is at most leeway ahead.
func fresh(text string, secret []byte, to purpose, id uuid.UUID, now time.Time, lifetime time.Duration) bool {
	var raw [stampSize]byte
	if len(text) != stampLen {
		return false
	}
	var spelt [stampLen]byte // which Decode takes without an allocation
	copy(spelt[:], text)
	if n, err := strict.Decode(raw[:], spelt[:]); err != nil || n != stampSize {
		return false
	}
	ms := binary.BigEndian.Uint64(raw[:])
	mac := sign(secret, to, id, ms)
	if !hmac.Equal(mac[:], raw[8:]) {
		return false
	}
	age := now.Sub(time.UnixMilli(int64(ms)))
	return -leeway <= age && age < lifetime+leeway
}

// sign returns the HMAC-SHA256 of a stamp (RFC 2104). It is written out, because
// each page of a bound session needs one, and crypto/hmac makes five allocations for
// it, which cost more than the four blocks that are hashed. No secret here is longer
// than a block.
func sign(secret []byte, to purpose, id uuid.UUID, ms uint64) [sha256.Size]byte {
	var inner [sha256.BlockSize + 1 + 8 + 16]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:sha256.BlockSize], secret)
	copy(outer[:sha256.BlockSize], secret)
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	message := inner[sha256.BlockSize:]
	message[0] = byte(to)
	binary.BigEndian.PutUint64(message[1:], ms)
	copy(message[9:], id[:])
	hash := sha256.Sum256(inner[:])
	copy(outer[sha256.BlockSize:], hash[:])
	return sha256.Sum256(outer[:])
}
