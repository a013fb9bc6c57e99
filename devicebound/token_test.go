package devicebound

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// FuzzToken feeds anything to the parser of tokens, and to the check of signatures
// that follows it. What is taken has one spelling: parts of base64url without
// padding, joined by two dots.
func FuzzToken(f *testing.F) {
	b64 := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, seed := range []string{
		"", ".", "..", "...", "a.b.c", b64(`{}`) + "." + b64(`{}`) + ".",
		b64(`{"alg":"ES256","typ":"dbsc+jwt"}`) + "." + b64(`{"jti":"c"}`) + "." + b64(strings.Repeat("s", 64)),
		b64(`{"alg":"ES256","typ":"dbsc+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`) + "." + b64(`{"jti":"c"}`) + "." + b64("s"),
		b64(`{"alg":"RS256","typ":"dbsc+jwt","jwk":{"kty":"RSA","n":"AQAB","e":"AQAB"}}`) + "." + b64(`{"jti":"c"}`) + "." + b64("s"),
		b64(`{"alg":"ES256","typ":"dbsc+jwt"}`) + "." + b64(`{"jti":"c"}`) + "." + b64("s") + "\r\n",
		b64(`{"alg":"none","typ":"dbsc+jwt"}`) + "." + b64(`{"jti":1}`) + ".",
		b64(`null`) + "." + b64(`[]`) + "." + b64("s"), strings.Repeat("a", maxToken+1),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseToken(text)
		if err != nil {
			return
		}
		if got.alg != "ES256" && got.alg != "RS256" || len(text) > maxToken || strings.Count(text, ".") != 2 {
			t.Fatalf("parseToken(%q) takes %+v", text, got)
		}
		if again := got.signed + "." + base64.RawURLEncoding.EncodeToString(got.signature); again != text {
			t.Fatalf("parseToken(%q) takes what is spelt %q", text, again)
		}
		if got.key == nil {
			return
		}
		if key, err := got.key.public(); err == nil && verify(key, got.alg, got.signed+"x", got.signature) {
			t.Fatal("the signature of another text is taken")
		}
	})
}

// TestStamp: a stamp is good for one secret, purpose and session, for its time and a
// minute more, and by a clock that is at most a minute behind.
func TestStamp(t *testing.T) {
	secret, id, now := []byte("secret"), uuid.New(), time.Now()
	text := stamp(secret, forProof, id, now)
	ok := func(text string, secret []byte, to purpose, id uuid.UUID, after time.Duration) bool {
		return fresh(text, secret, to, id, now.Add(after), 10*time.Minute)
	}
	for _, tc := range []struct {
		what string
		got  bool
		want bool
	}{
		{"at once", ok(text, secret, forProof, id, 0), true},
		{"at its end", ok(text, secret, forProof, id, 11*time.Minute-time.Second), true},
		{"after it", ok(text, secret, forProof, id, 11*time.Minute), false},
		{"by a clock that is behind", ok(text, secret, forProof, id, -time.Minute+time.Second), true},
		{"by one that is too far behind", ok(text, secret, forProof, id, -time.Minute-time.Second), false},
		{"for another purpose", ok(text, secret, forChallenge, id, 0), false},
		{"of another session", ok(text, secret, forProof, uuid.New(), 0), false},
		{"of another secret", ok(text, []byte("other"), forProof, id, 0), false},
		{"shortened", ok(text[:len(text)-1], secret, forProof, id, 0), false},
		{"longer", ok(text+"A", secret, forProof, id, 0), false},
		{"with a spare bit", ok(text[:len(text)-1]+string(text[len(text)-1]+1), secret, forProof, id, 0), false},
		{"none", ok("", secret, forProof, id, 0), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: fresh = %t, want %t", tc.what, tc.got, tc.want)
		}
	}
}

// TestSettles: a session needs no proof for ten seconds after it was bound, by a clock
// that may be a minute behind; not for as long as a clock that bound it was wrong.
func TestSettles(t *testing.T) {
	made := time.Now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bond, err := newBond(&key.PublicKey, made)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{
		0: true, settling - time.Second: true, settling + time.Second: false,
		-leeway + time.Second: true, -leeway - time.Second: false, -time.Hour: false,
	} {
		if got := bond.settles(made.Add(after)); got != want {
			t.Errorf("%v after: settles = %t, want %t", after, got, want)
		}
	}
}

// TestSign: it is the HMAC that crypto/hmac makes, for every length of a secret.
func TestSign(t *testing.T) {
	id := uuid.New()
	for n := range sha256.BlockSize + 1 {
		secret := bytes.Repeat([]byte{0xa5}, n)
		h := hmac.New(sha256.New, secret)
		h.Write([]byte{byte(forProof), 0, 1, 2, 3, 4, 5, 6, 7})
		h.Write(id[:])
		if got := sign(secret, forProof, id, 0x0001020304050607); !hmac.Equal(got[:], h.Sum(nil)) {
			t.Errorf("with a secret of %d bytes: another HMAC", n)
		}
	}
}
