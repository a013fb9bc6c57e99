package record

import (
	"bytes"
	"crypto/cipher"
	"slices"
	"strings"
	"testing"
	"time"
)

var protections = []Protection{Plain, Tagged, Sealed}

// keyIf returns the key of cred, where one is needed.
func keyIf(t testing.TB, cred *Credentials, how Protection) cipher.AEAD {
	t.Helper()
	if how == Plain {
		return nil
	}
	seal, err := sealer(cred.secret())
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

func sampleHead(cred *Credentials) Head {
	return Head{Hash: cred.Hash(), Commit: 7, Renewed: 8, Idle: time.Minute, Absolute: time.Hour, Label: []byte("Firefox")}
}

func TestRecordRoundTrip(t *testing.T) {
	cred := NewCredentials(time.Now())
	changes := []change{{"a", []byte{kindTrue}}, {"secret", append([]byte{kindString}, "canary"...)}}
	for _, how := range protections {
		h := sampleHead(&cred)
		data, plain, err := encodeRecord(cred.ID(), "ada", &h, &Body{}, changes, how, keyIf(t, &cred, how))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseHead(data)
		if err != nil || got.Commit != 7 || got.Renewed != 8 || got.Idle != time.Minute || got.Absolute != time.Hour || string(got.Label) != "Firefox" {
			t.Errorf("protection %v: ParseHead = %+v, %v", how, got, err)
		}
		values, _, err := Open(&cred, "ada", data, &got, how)
		if err != nil || string(values.Find("secret")) != string(plain.Find("secret")) || values.count != 2 {
			t.Errorf("protection %v: Open: %v", how, err)
		}
		if shown := bytes.Contains(data, []byte("canary")); shown != (how != Sealed) {
			t.Errorf("protection %v: the record shows its value: %v", how, shown)
		}
		if bytes.Contains(data, cred.secret()) {
			t.Errorf("protection %v: the record holds the secret", how)
		}
	}
}

// What seal and tag cover: the values, the ID, the user and the whole head.
func TestSealCovers(t *testing.T) {
	for _, how := range []Protection{Tagged, Sealed} {
		cred := NewCredentials(time.Now())
		h := sampleHead(&cred)
		h.Ends = 1_700_000_000_000
		data, _, err := encodeRecord(cred.ID(), "ada", &h, &Body{}, []change{{"a", []byte{kindTrue}}}, how, keyIf(t, &cred, how))
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			for bit := range 8 {
				spoilt := bytes.Clone(data)
				spoilt[i] ^= 1 << bit
				got, err := ParseHead(spoilt)
				if err != nil {
					continue
				}
				if _, _, err := Open(&cred, "ada", spoilt, &got, how); err == nil {
					t.Errorf("protection %v: bit %d of byte %d changed, and the record opens", how, bit, i)
				}
			}
		}
		got, _ := ParseHead(data)
		for _, user := range []string{"eve", "", "ada\x00", "adaa"} {
			if _, _, err := Open(&cred, user, data, &got, how); err == nil {
				t.Errorf("protection %v: it opens for the user %q", how, user)
			}
		}
		other := NewCredentials(time.Now())
		copy(other[16:], cred[16:])
		if _, _, err := Open(&other, "ada", data, &got, how); err == nil {
			t.Errorf("protection %v: it opens under another ID", how)
		}
	}
}

// TestTagUserEndsWhereItEnds: bytes of the values cannot be passed off as the
// end of the user's name.
func TestTagUserEndsWhereItEnds(t *testing.T) {
	cred := NewCredentials(time.Now())
	h := sampleHead(&cred)
	data, _, err := encodeRecord(cred.ID(), "ada", &h, &Body{}, []change{{"a", []byte{kindTrue}}}, Tagged, keyIf(t, &cred, Tagged))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := ParseHead(data)
	start := int(got.size) + nonceSize + tagSize
	for moved := 1; moved < len(data)-start; moved++ {
		user := "ada" + string(data[start:start+moved])
		forged := slices.Concat(data[:start], data[start+moved:])
		if _, _, err := Open(&cred, user, forged, &got, Tagged); err == nil || !strings.Contains(err.Error(), "not as it was written") {
			t.Errorf("%d bytes moved from the values to the user: %v", moved, err)
		}
	}
}

// There is no fallback to a record without a seal or a tag where records have
// them (CVE-2026-39324). A tag will do for a seal, as after NoSeal was set and
// is not any more.
func TestPlainRecordWhereSealed(t *testing.T) {
	cred := NewCredentials(time.Now())
	for _, was := range protections {
		h := sampleHead(&cred)
		data, _, err := encodeRecord(cred.ID(), "ada", &h, &Body{}, nil, was, keyIf(t, &cred, was))
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range protections {
			got, _ := ParseHead(data)
			_, _, err := Open(&cred, "ada", data, &got, is)
			if opens := err == nil; opens != (is == Plain || was != Plain) {
				t.Errorf("a record written with protection %v, read with %v: opens %v, %v", was, is, opens, err)
			}
			data := bytes.Clone(data)
			data[1] &^= flagSealed | flagTagged
			got, _ = ParseHead(data)
			if _, _, err := Open(&cred, "ada", data, &got, is); err == nil && is != Plain {
				t.Errorf("a record written with protection %v, its flags taken off, opens with %v", was, is)
			}
		}
	}
}

func FuzzRecord(f *testing.F) {
	cred := NewCredentials(time.UnixMilli(1_700_000_000_000))
	for _, how := range protections {
		h := sampleHead(&cred)
		data, _, err := encodeRecord(cred.ID(), "", &h, &Body{}, []change{{"a", []byte{kindTrue}}}, how, keyIf(f, &cred, how))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-1])
		f.Add(append([]byte{2}, data[1:]...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ParseHead(data)
		if err != nil {
			return
		}
		for _, how := range protections {
			if values, _, err := Open(&cred, "", data, &h, how); err == nil {
				values.Find("a")
			}
		}
		again := appendHead(nil, &h)
		if parsed, err := ParseHead(again); err != nil || parsed.Commit != h.Commit || !bytes.Equal(parsed.Label, h.Label) {
			t.Errorf("a head that parses does not survive being written: %v", err)
		}
	})
}
