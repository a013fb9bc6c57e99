package record

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestToken(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	cred := NewCredentials(time.Now())
	id := cred.ID()
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Errorf("ID %v: version %v, variant %v, want a UUIDv7", id, id.Version(), id.Variant())
	}
	if at := CreatedAt(id); at.Before(before) || at.After(time.Now()) {
		t.Errorf("CreatedAt = %v, want now", at)
	}
	got, ok := ParseToken(cred.Token())
	if !ok || got != cred {
		t.Errorf("ParseToken(token()) = %v, %v", got == cred, ok)
	}
	next := cred.Renewed()
	if next.ID() != id || bytes.Equal(next.secret(), cred.secret()) {
		t.Error("renewed: want the same ID and another secret")
	}
	hash := cred.Hash()
	if !cred.Matches(&hash) || next.Matches(&hash) {
		t.Error("matches: want true for the own hash, false for another")
	}
}

func TestParseTokenRefuses(t *testing.T) {
	cred := NewCredentials(time.Now())
	good := cred.Token()
	v4 := cred
	v4[6] = v4[6]&0x0f | 0x40
	variant := cred
	variant[8] = 0xff
	bad := []string{
		"", good[:63], good + "A", good + "=", " " + good[1:], good[:63] + " ", good[:63] + "\n", good[:10] + "\r\n" + good[12:],
		good[:5] + "+" + good[6:], good[:5] + "/" + good[6:], good[:5] + "." + good[6:], good[:5] + "\x00" + good[6:], `"` + good[:62] + `"`,
		v4.Token(), variant.Token(), strings.Repeat("A", 64), strings.Repeat("..", 32), strings.Repeat("%", 64),
		base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 48)), strings.Repeat("x", 10<<10),
	}
	for _, s := range bad {
		if _, ok := ParseToken(s); ok {
			t.Errorf("ParseToken(%q) is ok, want refused", s)
		}
	}
}

// A token has one spelling: what parses is what it would be written as.
func FuzzParseToken(f *testing.F) {
	cred := NewCredentials(time.Now())
	f.Add(cred.Token())
	f.Add(cred.Token()[:63] + "\n")
	f.Add(strings.Repeat("_", 64))
	f.Fuzz(func(t *testing.T, s string) {
		if cred, ok := ParseToken(s); ok && cred.Token() != s {
			t.Errorf("ParseToken(%q) is ok but is written %q", s, cred.Token())
		}
	})
}
