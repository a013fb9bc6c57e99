package session

import (
	"bytes"
	"crypto/cipher"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestToken(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	cred := newCredentials(time.Now())
	id := cred.id()
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		t.Errorf("ID %v: version %v, variant %v, want a UUIDv7", id, id.Version(), id.Variant())
	}
	if at := createdAt(id); at.Before(before) || at.After(time.Now()) {
		t.Errorf("createdAt = %v, want now", at)
	}
	got, ok := parseToken(cred.token())
	if !ok || got != cred {
		t.Errorf("parseToken(token()) = %v, %v", got == cred, ok)
	}
	next := cred.renewed()
	if next.id() != id || bytes.Equal(next.secret(), cred.secret()) {
		t.Error("renewed: want the same ID and another secret")
	}
	hash := cred.hash()
	if !cred.matches(&hash) || next.matches(&hash) {
		t.Error("matches: want true for the own hash, false for another")
	}
}

// TestParseTokenRefuses: ID-4 of SECURITY-BAR.
func TestParseTokenRefuses(t *testing.T) {
	cred := newCredentials(time.Now())
	good := cred.token()
	v4 := cred
	v4[6] = v4[6]&0x0f | 0x40
	variant := cred
	variant[8] = 0xff
	bad := []string{
		"", good[:63], good + "A", good + "=", " " + good[1:], good[:63] + " ", good[:63] + "\n", good[:10] + "\r\n" + good[12:],
		good[:5] + "+" + good[6:], good[:5] + "/" + good[6:], good[:5] + "." + good[6:], good[:5] + "\x00" + good[6:], `"` + good[:62] + `"`,
		v4.token(), variant.token(), strings.Repeat("A", 64), strings.Repeat("..", 32), strings.Repeat("%", 64),
		base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 48)), strings.Repeat("x", 10<<10),
	}
	for _, s := range bad {
		if _, ok := parseToken(s); ok {
			t.Errorf("parseToken(%q) is ok, want refused", s)
		}
	}
}

// A token has one spelling: what parses is what it would be written as.
// Of SECURITY-BAR: ID-11.
func FuzzParseToken(f *testing.F) {
	cred := newCredentials(time.Now())
	f.Add(cred.token())
	f.Add(cred.token()[:63] + "\n")
	f.Add(strings.Repeat("_", 64))
	f.Fuzz(func(t *testing.T, s string) {
		if cred, ok := parseToken(s); ok && cred.token() != s {
			t.Errorf("parseToken(%q) is ok but is written %q", s, cred.token())
		}
	})
}

var protections = []protection{protectNothing, protectByTag, protectBySeal}

// keyIf returns the key of cred, where one is needed.
func keyIf(t testing.TB, cred *credentials, how protection) cipher.AEAD {
	t.Helper()
	if how == protectNothing {
		return nil
	}
	seal, err := sealer(cred.secret())
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

func sampleHead(cred *credentials) head {
	return head{hash: cred.hash(), commit: 7, renewed: 8, idle: time.Minute, absolute: time.Hour, label: []byte("Firefox")}
}

func TestRecordRoundTrip(t *testing.T) {
	cred := newCredentials(time.Now())
	changes := []change{{"a", []byte{kindTrue}}, {"secret", append([]byte{kindString}, "canary"...)}}
	for _, how := range protections {
		h := sampleHead(&cred)
		data, plain, err := encodeRecord(cred.id(), "ada", &h, &body{}, changes, how, keyIf(t, &cred, how))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseHead(data)
		if err != nil || got.commit != 7 || got.renewed != 8 || got.idle != time.Minute || got.absolute != time.Hour || string(got.label) != "Firefox" {
			t.Errorf("protection %v: parseHead = %+v, %v", how, got, err)
		}
		values, _, err := openRecord(&cred, "ada", data, &got, how)
		if err != nil || string(values.find("secret")) != string(plain.find("secret")) || values.count != 2 {
			t.Errorf("protection %v: openRecord: %v", how, err)
		}
		if shown := bytes.Contains(data, []byte("canary")); shown != (how != protectBySeal) {
			t.Errorf("protection %v: the record shows its value: %v", how, shown)
		}
		if bytes.Contains(data, cred.secret()) {
			t.Errorf("protection %v: the record holds the secret", how)
		}
	}
}

// What seal and tag cover: the values, the ID, the user and the whole head.
// Of SECURITY-BAR: DR-2.
func TestSealCovers(t *testing.T) {
	for _, how := range []protection{protectByTag, protectBySeal} {
		cred := newCredentials(time.Now())
		h := sampleHead(&cred)
		h.flags, h.ends = flagEnds, 1_700_000_000_000
		data, _, err := encodeRecord(cred.id(), "ada", &h, &body{}, []change{{"a", []byte{kindTrue}}}, how, keyIf(t, &cred, how))
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			for bit := range 8 {
				spoilt := bytes.Clone(data)
				spoilt[i] ^= 1 << bit
				got, err := parseHead(spoilt)
				if err != nil {
					continue
				}
				if _, _, err := openRecord(&cred, "ada", spoilt, &got, how); err == nil {
					t.Errorf("protection %v: bit %d of byte %d changed, and the record opens", how, bit, i)
				}
			}
		}
		got, _ := parseHead(data)
		for _, user := range []string{"eve", "", "ada\x00", "adaa"} {
			if _, _, err := openRecord(&cred, user, data, &got, how); err == nil {
				t.Errorf("protection %v: it opens for the user %q", how, user)
			}
		}
		other := newCredentials(time.Now())
		copy(other[16:], cred[16:])
		if _, _, err := openRecord(&other, "ada", data, &got, how); err == nil {
			t.Errorf("protection %v: it opens under another ID", how)
		}
	}
}

// TestTagUserEndsWhereItEnds: bytes of the values cannot be passed off as the
// end of the user's name.
func TestTagUserEndsWhereItEnds(t *testing.T) {
	cred := newCredentials(time.Now())
	h := sampleHead(&cred)
	data, _, err := encodeRecord(cred.id(), "ada", &h, &body{}, []change{{"a", []byte{kindTrue}}}, protectByTag, keyIf(t, &cred, protectByTag))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := parseHead(data)
	start := got.size + nonceSize + tagSize
	for moved := 1; moved < len(data)-start; moved++ {
		user := "ada" + string(data[start:start+moved])
		forged := slices.Concat(data[:start], data[start+moved:])
		if _, _, err := openRecord(&cred, user, forged, &got, protectByTag); err == nil || !strings.Contains(err.Error(), "not as it was written") {
			t.Errorf("%d bytes moved from the values to the user: %v", moved, err)
		}
	}
}

// There is no fallback to a record without a seal or a tag where records have
// them (CVE-2026-39324). A tag will do for a seal, as after NoSeal was set and
// is not any more.
// Of SECURITY-BAR: DR-4.
func TestPlainRecordWhereSealed(t *testing.T) {
	cred := newCredentials(time.Now())
	for _, was := range protections {
		h := sampleHead(&cred)
		data, _, err := encodeRecord(cred.id(), "ada", &h, &body{}, nil, was, keyIf(t, &cred, was))
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range protections {
			got, _ := parseHead(data)
			_, _, err := openRecord(&cred, "ada", data, &got, is)
			if opens := err == nil; opens != (is == protectNothing || was != protectNothing) {
				t.Errorf("a record written with protection %v, read with %v: opens %v, %v", was, is, opens, err)
			}
			data := bytes.Clone(data)
			data[1] &^= flagSealed | flagTagged
			got, _ = parseHead(data)
			if _, _, err := openRecord(&cred, "ada", data, &got, is); err == nil && is != protectNothing {
				t.Errorf("a record written with protection %v, its flags taken off, opens with %v", was, is)
			}
		}
	}
}

// FuzzRecord: DS-2 of SECURITY-BAR.
func FuzzRecord(f *testing.F) {
	cred := newCredentials(time.UnixMilli(1_700_000_000_000))
	for _, how := range protections {
		h := sampleHead(&cred)
		data, _, err := encodeRecord(cred.id(), "", &h, &body{}, []change{{"a", []byte{kindTrue}}}, how, keyIf(f, &cred, how))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-1])
		f.Add(append([]byte{2}, data[1:]...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseHead(data)
		if err != nil {
			return
		}
		for _, how := range protections {
			if values, _, err := openRecord(&cred, "", data, &h, how); err == nil {
				values.find("a")
			}
		}
		again := appendHead(nil, &h)
		if parsed, err := parseHead(again); err != nil || parsed.commit != h.commit || !bytes.Equal(parsed.label, h.label) {
			t.Errorf("a head that parses does not survive being written: %v", err)
		}
	})
}
