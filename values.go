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
	base    body           // as loaded
	changes []change       // what was done since; sorted by key while index is nil
	index   map[string]int // where the change of a key is, while there are many
	err     error          // the first value that could not be stored
	max     int            // bytes
	size    int            // bytes of base with the changes, kept while setting
	count   int            // keys of base with the changes, likewise
	before  []change       // of a clone: what it began with

	// While a commit is under way, changes stays a list of all keys that any
	// of its tries may have stored: one that is set back to what base has
	// stays in it. moved says that there is one.
	frozen bool
	moved  bool

	// Room for what most requests do, so that they allocate nothing.
	room    [2]change
	scratch [40]byte
	arena   arena
}

// manyChanges is the number of changes above which an insertion into the
// sorted list costs more than one into a map.
const manyChanges = 64

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
	v.base, v.changes, v.index, v.err, v.max = base, nil, nil, nil, max
	v.size, v.count, v.moved = base.size(), base.count, false
	if v.arena.chunk == nil {
		v.arena.chunk = v.scratch[:0] // else go on: what it holds may still be read
	}
	v.arena.held = 0
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

// Has reports whether key is there, even if its value is nil.
func (v *Values) Has(key string) bool { return v.find(key) != nil }

// lookup and unreadable make Values a [Getter].
func (v *Values) lookup(key string) []byte { return v.find(key) }

func (v *Values) unreadable(string, error) {} // the function of Update decides what to do about it

// find returns the encoded value of key, nil if there is none.
func (v *Values) find(key string) []byte {
	if i, ok := v.changed(key); ok {
		return v.changes[i].value
	}
	return v.base.find(key)
}

func (v *Values) changed(key string) (int, bool) {
	if v.index != nil {
		i, ok := v.index[key]
		return i, ok
	}
	if len(v.changes) == 0 {
		return 0, false
	}
	return slices.BinarySearchFunc(v.changes, key, func(c change, key string) int {
		return strings.Compare(c.key, key)
	})
}

// sorted returns the changes in the order of their keys.
func (v *Values) sorted() []change {
	if v.index != nil {
		slices.SortFunc(v.changes, func(a, b change) int { return strings.Compare(a.key, b.key) })
		v.index = nil
	}
	return v.changes
}

// Set stores value under key. A value that cannot be stored makes Update fail.
func (v *Values) Set(key string, value any) {
	text, err := marshal(value)
	v.set(key, value, text, err)
}

// set is Set with what marshal returned, which runs code of the application:
// none runs in here.
func (v *Values) set(key string, value any, text jsonText, err error) {
	if err != nil {
		v.fail(key, value, err)
		return
	}
	dst := v.arena.room(encodedLen(value, text))
	encoded, err := appendValue(dst, value, text)
	if err != nil {
		v.fail(key, value, err)
		return
	}
	old := v.find(key)
	if string(old) == string(encoded) && old != nil {
		return
	}
	size := v.size + entrySize(key, encoded)
	if old != nil {
		size -= entrySize(key, old)
	}
	if size > v.max {
		v.fail(key, value, fmt.Errorf("%w: %d bytes with it, MaxBytes is %d", ErrTooLarge, size, v.max))
		return
	}
	v.size = size
	if old == nil {
		v.count++
	}
	if stored := v.base.find(key); stored != nil && string(stored) == string(encoded) {
		v.drop(key) // back to what is stored
		return
	}
	v.put(change{key, encoded[:len(encoded):len(encoded)]})
	if v.arena.keep(encoded) {
		v.arena.compact(v.changes)
	}
}

// Delete removes key; that there is none is no error.
func (v *Values) Delete(key string) {
	old := v.find(key)
	if old == nil {
		return
	}
	v.size -= entrySize(key, old)
	v.count--
	if v.base.find(key) == nil {
		v.drop(key) // it was never stored
		return
	}
	v.put(change{key, nil})
}

// Clear removes all keys.
func (v *Values) Clear() {
	before := v.sorted()
	v.changes = nil
	if v.base.count > 0 {
		v.changes = make([]change, 0, v.base.count)
	}
	merge(&v.base, nil, func(_ string, k, _ []byte) {
		v.changes = append(v.changes, change{string(k), nil})
	})
	v.size, v.count = 0, 0
	if v.frozen { // others may be stored at this moment
		for _, c := range before {
			v.put(change{c.key, nil})
		}
	}
}

// Keys returns all keys, sorted.
func (v *Values) Keys() []string {
	keys := make([]string, 0, v.count)
	merge(&v.base, v.sorted(), func(key string, k, _ []byte) {
		if k != nil {
			key = string(k)
		}
		keys = append(keys, key)
	})
	return keys
}

// Len returns the number of keys.
func (v *Values) Len() int { return v.count }

func (v *Values) put(c change) {
	v.moved = v.frozen
	if v.changes == nil {
		v.changes = v.room[:0]
	}
	i, ok := v.changed(c.key)
	switch {
	case ok:
		v.changes[i] = c
	case v.index == nil && len(v.changes) < manyChanges:
		v.changes = slices.Insert(v.changes, i, c)
	default:
		v.indexed()
		v.index[c.key] = len(v.changes)
		v.changes = append(v.changes, c)
	}
}

// indexed makes the index if there is none.
func (v *Values) indexed() {
	if v.index != nil {
		return
	}
	v.index = make(map[string]int, 2*len(v.changes))
	for i := range v.changes {
		v.index[v.changes[i].key] = i
	}
}

// drop takes back what was done to key.
func (v *Values) drop(key string) {
	if v.frozen {
		v.put(change{key, v.base.find(key)})
		return
	}
	i, ok := v.changed(key)
	if !ok {
		return
	}
	if v.index == nil && len(v.changes) < manyChanges {
		v.changes = slices.Delete(v.changes, i, i+1)
		return
	}
	v.indexed()
	last := len(v.changes) - 1
	v.index[v.changes[last].key] = i
	v.changes[i], v.changes[last] = v.changes[last], change{}
	v.changes = v.changes[:last]
	delete(v.index, key)
}

// settle puts what is left to do on top of base, which has just been stored:
// all that was changed while it was, and no more.
func (v *Values) settle(base body) {
	if !v.moved {
		v.reset(base, v.max)
		return
	}
	v.base, v.moved = base, false
	v.changes = slices.DeleteFunc(v.sorted(), func(c change) bool {
		stored := base.find(c.key)
		return (stored == nil) == (c.value == nil) && string(stored) == string(c.value)
	})
	v.count, v.size = mergedSize(&v.base, v.changes)
}

// thaw ends what frozen began.
func (v *Values) thaw() {
	v.frozen = false
	if v.moved {
		v.settle(v.base)
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
	v.count, v.size = mergedSize(&v.base, v.changes)
}

// detach takes the values off the record that they were loaded from: what is
// kept of it, with the changes, is all to be stored anew.
func (v *Values) detach(kept body) {
	var all []change
	merge(&kept, v.sorted(), func(key string, k, value []byte) {
		if k != nil {
			key = string(k)
		}
		all = append(all, change{key, value})
	})
	v.base, v.changes, v.index = body{}, all, nil
	v.count, v.size = mergedSize(&v.base, v.changes)
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
	c := &Values{base: v.base, err: v.err, max: v.max, size: v.size, count: v.count}
	c.changes = slices.Clone(v.sorted())
	c.before = slices.Clone(v.changes)
	c.arena.chunk = c.scratch[:0]
	return c
}

// since returns what was done to v after clone was made of it, sorted by key.
func (v *Values) since(clone *Values) []change {
	var done []change
	before := clone.before
	back := func() { // set back to what is stored
		done = append(done, change{before[0].key, v.base.find(before[0].key)})
		before = before[1:]
	}
	for _, c := range v.sorted() {
		for len(before) > 0 && before[0].key < c.key {
			back()
		}
		if len(before) > 0 && before[0].key == c.key {
			same := string(before[0].value) == string(c.value)
			before = before[1:]
			if same {
				continue
			}
		}
		done = append(done, c)
	}
	for len(before) > 0 {
		back()
	}
	return done
}

// take makes v what clone has become, and then does what was done to v since
// the clone was made.
func (v *Values) take(clone *Values) {
	since := v.since(clone)
	v.changes, v.index = clone.sorted(), nil
	v.size, v.count = clone.size, clone.count
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
		v.count, v.size = mergedSize(&v.base, v.changes)
	}
}

// ErrTooLarge says that a session would be larger than Config.MaxBytes, or than
// what the store can hold: it is backend.ErrTooLarge.
var ErrTooLarge = backend.ErrTooLarge
