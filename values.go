package session

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chisession/session/backend"
)

// Values are the values of one session while [Session.Update] works on them.
// They are valid until its function returns, and not safe for concurrent use.
type Values struct {
	base    body     // as loaded
	changes []change // what was done since, sorted by key
	err     error    // the first value that could not be stored
	max     int      // bytes
	size    int      // bytes of base with the changes, kept while setting
	before  []change // of a clone: what it began with

	// Room for what most requests do, so that they allocate nothing.
	room    [2]change
	scratch [40]byte
	arena   []byte
}

// A change is a key that was set (value is its encoded form) or deleted
// (value is nil).
type change struct {
	key   string
	value []byte
}

// A ValueError says which value could not be stored. It names the key and the
// type, never the value.
type ValueError struct {
	Key  string // the key
	Type string // the value's Go type
	Err  error  // why
}

// Error names key, type and cause.
func (e *ValueError) Error() string {
	return fmt.Sprintf("session: cannot store %q (type %s): %v", shortKey(e.Key), e.Type, e.Err)
}

// shortKey is what errors and logs show of a key, which may be of any length.
func shortKey(key string) string {
	const most = 128
	if len(key) <= most {
		return key
	}
	return cut(key, most) + "…"
}

// Unwrap returns the cause; it is [ErrTooLarge] for a session over MaxBytes.
func (e *ValueError) Unwrap() error { return e.Err }

func (v *Values) reset(base body, max int) {
	v.base, v.changes, v.err, v.max = base, nil, nil, max
	v.size = base.size()
	if v.arena == nil {
		v.arena = v.scratch[:0] // else go on: what it holds may still be read
	}
}

// Format prints the number of values, whatever the verb; never a value.
func (v Values) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session.Values(%d)", v.Len()) }

// Get returns the value of key in the Go type it was Set with (see
// [Session.Get]), nil if there is none or it cannot be decoded.
func (v *Values) Get(key string) any {
	value, err := decode(v.find(key))
	if err != nil {
		return nil
	}
	return value
}

// ValueOf returns the value of key as a T: what [Get] is to a session.
func ValueOf[T any](v *Values, key string) (T, bool) {
	t, err := decodeTo[T](v.find(key))
	return t, err == nil
}

// Has reports whether key is there, even if its value is nil.
func (v *Values) Has(key string) bool { return v.find(key) != nil }

// find returns the encoded value of key, nil if there is none.
func (v *Values) find(key string) []byte {
	if i, ok := v.changed(key); ok {
		return v.changes[i].value
	}
	return v.base.find(key)
}

func (v *Values) changed(key string) (int, bool) {
	if len(v.changes) == 0 {
		return 0, false
	}
	return slices.BinarySearchFunc(v.changes, key, func(c change, key string) int {
		return strings.Compare(c.key, key)
	})
}

// Set stores value under key. A value that cannot be stored makes Update fail.
func (v *Values) Set(key string, value any) {
	start := len(v.arena)
	arena, err := encode(v.arena, value)
	if err != nil {
		v.fail(key, value, err)
		return
	}
	v.arena = arena
	encoded := arena[start:len(arena):len(arena)]
	old := v.find(key)
	if string(old) == string(encoded) && old != nil {
		v.arena = arena[:start]
		return
	}
	size := v.size + entrySize(key, encoded)
	if old != nil {
		size -= entrySize(key, old)
	}
	if size > v.max {
		v.arena = arena[:start]
		v.fail(key, value, fmt.Errorf("%w: %d bytes with it, MaxBytes is %d", ErrTooLarge, size, v.max))
		return
	}
	v.size = size
	if stored := v.base.find(key); stored != nil && string(stored) == string(encoded) {
		v.drop(key) // back to what is stored
		return
	}
	v.put(change{key, encoded})
}

// Delete removes key; that there is none is no error.
func (v *Values) Delete(key string) {
	old := v.find(key)
	if old == nil {
		return
	}
	v.size -= entrySize(key, old)
	if v.base.find(key) == nil {
		v.drop(key) // it was never stored
		return
	}
	v.put(change{key, nil})
}

// Clear removes all keys.
func (v *Values) Clear() {
	v.changes = slices.Grow(v.changes[:0], v.base.count)
	for i := range v.base.count {
		if key, value := v.base.at(i); value != nil {
			v.changes = append(v.changes, change{string(key), nil})
		}
	}
	v.size = 0
}

// Keys returns all keys, sorted.
func (v *Values) Keys() []string {
	keys := make([]string, 0, v.base.count+len(v.changes))
	merge(&v.base, v.changes, func(key string, k, _ []byte) {
		if k != nil {
			key = string(k)
		}
		keys = append(keys, key)
	})
	return keys
}

// Len returns the number of keys.
func (v *Values) Len() int {
	count, _ := mergedSize(&v.base, v.changes)
	return count
}

func (v *Values) put(c change) {
	if v.changes == nil {
		v.changes = v.room[:0]
	}
	i, ok := v.changed(c.key)
	if ok {
		v.changes[i] = c
		return
	}
	v.changes = slices.Insert(v.changes, i, c)
}

func (v *Values) drop(key string) {
	if i, ok := v.changed(key); ok {
		v.changes = slices.Delete(v.changes, i, i+1)
	}
}

func (v *Values) fail(key string, value any, err error) {
	if v.err == nil {
		v.err = &ValueError{Key: key, Type: fmt.Sprintf("%T", value), Err: err}
	}
}

// rebase puts the changes on top of a newer base.
func (v *Values) rebase(base body) {
	v.base = base
	_, v.size = mergedSize(&v.base, v.changes)
}

// detach takes the values off the record that they were loaded from: what is
// kept of it, with the changes, is all to be stored anew.
func (v *Values) detach(kept body) {
	var all []change
	merge(&kept, v.changes, func(key string, k, value []byte) {
		if k != nil {
			key = string(k)
		}
		all = append(all, change{key, value})
	})
	v.base, v.changes = body{}, all
	_, v.size = mergedSize(&v.base, v.changes)
}

// fits checks the size after a rebase, which may have added what another
// request stored.
func (v *Values) fits() error {
	if v.size <= v.max || len(v.changes) == 0 {
		return nil
	}
	largest := slices.MaxFunc(v.changes, func(a, b change) int { return len(a.value) - len(b.value) })
	return &ValueError{Key: largest.key, Type: kindName(largest.value),
		Err: fmt.Errorf("%w: %d bytes with what other requests stored, MaxBytes is %d", ErrTooLarge, v.size, v.max)}
}

// kindName returns the Go type of an encoded value, as far as it tells.
func kindName(encoded []byte) string {
	if len(encoded) > 0 && encoded[0] == kindNamed {
		if name, _, err := splitNamed(encoded[1:]); err == nil {
			return name
		}
	}
	value, err := decode(encoded)
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%T", value)
}

// clone returns a copy that can be changed without changing v.
func (v *Values) clone() *Values {
	c := &Values{base: v.base, err: v.err, max: v.max, size: v.size}
	c.changes = slices.Clone(v.changes)
	c.before = slices.Clone(v.changes)
	c.arena = c.scratch[:0]
	return c
}

// since returns what was done to v after clone was made of it.
func (v *Values) since(clone *Values) []change {
	var done []change
	for _, c := range v.changes {
		if i := slices.IndexFunc(clone.before, func(b change) bool { return b.key == c.key }); i < 0 || string(clone.before[i].value) != string(c.value) {
			done = append(done, c)
		}
	}
	for _, b := range clone.before {
		if _, ok := v.changed(b.key); !ok { // set back to what is stored
			done = append(done, change{b.key, v.base.find(b.key)})
		}
	}
	return done
}

// take makes v what clone has become, and then does what was done to v since
// the clone was made.
func (v *Values) take(clone *Values) {
	since := v.since(clone)
	v.changes, v.size = clone.changes, clone.size
	v.replay(since)
}

// replay does changes once more.
func (v *Values) replay(changes []change) {
	for _, c := range changes {
		stored := v.base.find(c.key)
		if (stored == nil) == (c.value == nil) && string(stored) == string(c.value) {
			v.drop(c.key)
		} else {
			v.put(c)
		}
	}
	if len(changes) > 0 {
		_, v.size = mergedSize(&v.base, v.changes)
	}
}

// ErrTooLarge says that a session would be larger than Config.MaxBytes, or than
// what the store can hold: it is backend.ErrTooLarge.
var ErrTooLarge = backend.ErrTooLarge
