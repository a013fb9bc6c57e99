package record

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

const (
	secretSize = 32 // bytes: 256 bits, twice what ASVS 5 V7.2.3 asks for
	tokenSize  = 16 + secretSize
	tokenLen   = tokenSize / 3 * 4 // characters: 64, without padding or spare bits, so a token has one spelling
)

// Credentials are what the browser holds: the public ID of a record, and the
// secret that opens it.
type Credentials [tokenSize]byte

// NewCredentials makes up an ID and a secret. The ID is a UUIDv7 (RFC 9562
// §5.7) built here, not with uuid.NewV7, whose process-wide clock never goes
// back: after a clock that jumped ahead was set right, it would date every
// new session into the future.
//
// crypto/rand has no error to report: if the system cannot give randomness,
// the program ends. There is no weaker source to fall back to.
func NewCredentials(now time.Time) (c Credentials) {
	rand.Read(c[6:])
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(c[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(c[2:], uint32(ms))
	c[6] = c[6]&0x0f | 0x70
	c[8] = c[8]&0x3f | 0x80
	return c
}

// ParseToken reads a token. Anything but 64 characters of the URL-safe
// alphabet that begin with a UUIDv7 is refused, so it never reaches a store.
func ParseToken(s string) (c Credentials, ok bool) {
	if len(s) != tokenLen {
		return c, false
	}
	var bad byte // encoding/base64 would skip line breaks, so it is done here
	for i, j := 0, 0; i < tokenLen; i, j = i+4, j+3 {
		v0, v1, v2, v3 := sextets[s[i]], sextets[s[i+1]], sextets[s[i+2]], sextets[s[i+3]]
		bad |= v0 | v1 | v2 | v3
		c[j] = v0<<2 | v1>>4
		c[j+1] = v1<<4 | v2>>2
		c[j+2] = v2<<6 | v3
	}
	ok = bad < 64 && c[6]>>4 == 7 && c[8]>>6 == 2
	return c, ok
}

// sextets gives the value of each character of the URL-safe alphabet (RFC 4648
// §5), and 0xff for all others.
var sextets = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i, r := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		table[r] = byte(i)
	}
	return table
}()

// Token returns the text that the browser gets.
func (c *Credentials) Token() string {
	var text [tokenLen]byte
	base64.RawURLEncoding.Encode(text[:], c[:])
	return string(text[:])
}

func (c *Credentials) ID() uuid.UUID  { return uuid.UUID(c[:16]) }
func (c *Credentials) secret() []byte { return c[16:] }

// Hash is what the store keeps of the secret. The secret is random, so a fast
// Hash is enough; the store's reader learns nothing that a browser could send
// (CVE-2019-16782 was a store looked up by the secret itself).
func (c *Credentials) Hash() [sha256.Size]byte { return sha256.Sum256(c.secret()) }

// Matches compares the secret with a stored hash in constant time.
func (c *Credentials) Matches(hash *[sha256.Size]byte) bool {
	own := c.Hash()
	return subtle.ConstantTimeCompare(own[:], hash[:]) == 1
}

// Renewed returns the same ID with a new secret.
func (c *Credentials) Renewed() Credentials {
	next := *c
	rand.Read(next[16:])
	return next
}

// CreatedMillis returns the time in a UUIDv7, in Unix ms.
func CreatedMillis(id uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint16(id[0:]))<<32 | int64(binary.BigEndian.Uint32(id[2:]))
}

// CreatedAt returns the time in a UUIDv7.
func CreatedAt(id uuid.UUID) time.Time { return time.UnixMilli(CreatedMillis(id)) }
