package devicebound

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"math/big"
	"time"
)

// The sizes of RSA keys that are taken, in bits: less is weak, more is no TPM's and
// costs a server time.
const (
	minRSA = 2048
	maxRSA = 4096
)

// A bond is what a session's record keeps of its binding: one byte of format, the
// secret of its stamps, when it was bound (Unix ms), and the device's public key
// (PKIX). The record is sealed, so that who reads the store can make no proof.
//
// The secret is its own, and not made from the session's token: that is another
// after a Renew, and a proof that was on its way then would be wrong but present,
// which no browser renews.
type bond []byte

const (
	bondFormat = 1
	secretSize = 32
	bondHead   = 1 + secretSize + 8
)

// newBond makes one of a device's key.
func newBond(key crypto.PublicKey, now time.Time) (bond, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	b := make(bond, bondHead, bondHead+len(der))
	b[0] = bondFormat
	rand.Read(b[1 : 1+secretSize])
	binary.BigEndian.PutUint64(b[1+secretSize:], uint64(now.UnixMilli()))
	return append(b, der...), nil
}

// readable reports whether b is of a format that this version knows.
func (b bond) readable() bool { return len(b) > bondHead && b[0] == bondFormat }

func (b bond) secret() []byte { return b[1 : 1+secretSize] }

// at returns when the session was bound.
func (b bond) at() time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[1+secretSize:])))
}

// settles reports whether b has just been made. If it was made in the future, by a
// clock that was wrong, it has not.
func (b bond) settles(now time.Time) bool {
	age := now.Sub(b.at())
	return -leeway <= age && age < settling
}

// key returns the device's public key.
func (b bond) key() (crypto.PublicKey, error) { return x509.ParsePKIXPublicKey(b[bondHead:]) }

// A jwk is a public key as a browser sends it (RFC 7517).
type jwk struct {
	Kty string    `json:"kty"`
	Crv string    `json:"crv"`
	X   base64URL `json:"x"`
	Y   base64URL `json:"y"`
	N   base64URL `json:"n"`
	E   base64URL `json:"e"`
}

var errKey = errors.New("not a key that is taken: P-256, or RSA of 2048 to 4096 bits with the exponent 65537")

// public returns the key, which is then known to be sound.
func (k *jwk) public() (crypto.PublicKey, error) {
	const coordinate = 32
	switch {
	case k.Kty == "EC" && k.Crv == "P-256" && len(k.X) == coordinate && len(k.Y) == coordinate:
		point := append(append([]byte{4}, k.X...), k.Y...)
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point) // on the curve, or an error
	case k.Kty == "RSA" && len(k.E) == 3 && string(k.E) == "\x01\x00\x01" && len(k.N) <= maxRSA/8 && len(k.N) > 0 && k.N[0] != 0:
		n := new(big.Int).SetBytes(k.N)
		if n.BitLen() >= minRSA && n.Bit(0) == 1 {
			return &rsa.PublicKey{N: n, E: 65537}, nil
		}
	}
	return nil, errKey
}

// verify reports whether signature is that of text by the key with the algorithm
// alg. The key decides which algorithm that must be.
func verify(key crypto.PublicKey, alg string, text string, signature []byte) bool {
	digest := sha256.Sum256([]byte(text))
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		const half = 32
		if alg != "ES256" || len(signature) != 2*half {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
		return ecdsa.Verify(key, digest[:], r, s)
	case *rsa.PublicKey:
		return alg == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}
