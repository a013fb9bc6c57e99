package record

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// contents reads a body through its own methods.
func contents(t *testing.T, b *Body) map[string]string {
	t.Helper()
	if err := b.check(); err != nil {
		t.Fatalf("check: %v", err)
	}
	all := map[string]string{}
	for i := range b.len() {
		key, value := b.at(i)
		all[string(key)] = string(value)
		if got := b.Find(string(key)); !bytes.Equal(got, value) {
			t.Errorf("find(%q) = %q, want %q", key, got, value)
		}
	}
	return all
}

// Random changes over random bodies give what a map gives, and leave what is kept.
func TestBodyAgainstMap(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for round := range 300 {
		want := map[string]string{}
		kept := bytes.Repeat([]byte{byte(round)}, r.IntN(3)*r.IntN(200))
		var before Changes
		Keep(&before, kept)
		base := before.base
		for step := range 4 {
			changes := map[string][]byte{}
			for range r.IntN(40) {
				key := fmt.Sprint(r.IntN(30))
				if r.IntN(3) == 0 {
					changes[key] = nil
					delete(want, key)
					continue
				}
				value := bytes.Repeat([]byte{byte(1 + r.IntN(20))}, 1+r.IntN(1<<r.IntN(15)))
				changes[key] = value
				want[key] = string(value)
			}
			var sorted []change
			for _, key := range slices.Sorted(maps.Keys(changes)) {
				sorted = append(sorted, change{key, changes[key]})
			}
			count, size := mergedSize(&base, sorted)
			encoded := appendBody(nil, &base, sorted)
			if length := bodyLen(&base, count, size); len(encoded) != length {
				t.Fatalf("seed %d: bodyLen = %d, the body has %d", seed, length, len(encoded))
			}
			var err error
			if base, err = parseBody(encoded); err != nil {
				t.Fatalf("seed %d, round %d, step %d: parseBody: %v", seed, round, step, err)
			}
			if got := contents(t, &base); !maps.Equal(got, want) {
				t.Fatalf("seed %d, round %d, step %d: got %d keys, want %d", seed, round, step, len(got), len(want))
			}
			if !bytes.Equal(Kept(&base), kept) {
				t.Fatalf("seed %d, round %d, step %d: %d bytes are kept, want %d", seed, round, step, len(Kept(&base)), len(kept))
			}
		}
	}
}

func TestEmptyKeyAndValue(t *testing.T) {
	base, err := parseBody(appendBody(nil, &Body{}, []change{{"", []byte{kindNil}}}))
	if err != nil || base.Find("") == nil || base.Find("x") != nil {
		t.Errorf("the empty key: %v, %v", base, err)
	}
}

// Bytes that this code did not write: no panic, no out-of-bounds read, and
// whatever check lets pass is consistent.
func FuzzBody(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendBody(nil, &Body{}, []change{{"a", []byte{kindTrue}}, {"b", []byte{kindInt, 2}}}))
	f.Add(appendBody(nil, &Body{}, []change{{"k", bytes.Repeat([]byte{kindString}, 300)}}))
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Add([]byte{1, 1, 2, 5, 'k'})                                     // a key that is longer than its entry
	f.Add([]byte{1, 0x81, 0x80, 0x00})                                 // a count in more bytes than it takes, and no end
	f.Add([]byte{4, 1, 0xff, 0xff, 0xff, 0xf0, 1, 'k'})                // an end that is negative in an int of 32 bits
	f.Add([]byte{4, 2, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 3, 1, 'k', 2}) // likewise, before one that is not
	f.Add([]byte{1, 0, 'k', 'e', 'p', 't'})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parseBody(data)
		if err != nil {
			return
		}
		b.Find("a")
		b.Find("\xff")
		for i := range b.len() {
			b.at(i)
		}
		if b.check() != nil {
			return
		}
		again, err := parseBody(appendBody(nil, &b, nil))
		if err != nil || again.count != b.count || !bytes.Equal(Kept(&again), Kept(&b)) {
			t.Errorf("a body that passes check does not survive being written: %v", err)
		}
	})
}

// check reads every entry: keys must be in order, each once, each with a value.
func (b *Body) check() error {
	var last []byte
	for i := range b.len() {
		key, value := b.at(i)
		if value == nil || i > 0 && bytes.Compare(last, key) >= 0 {
			return errBody
		}
		last = key
	}
	return nil
}
