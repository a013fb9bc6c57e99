package record

import (
	"fmt"
	"slices"
	"strings"
)

// Changes are the values of one record with what was done to them since: Base
// is what is stored, and every change lies over it until it is stored, too. The
// zero Changes need a Reset. They are not safe for concurrent use; the encoded
// values that Find returns are never changed, and can be read at any time.
type Changes struct {
	base    Body
	changes []change       // what was done since; sorted by key while index is nil
	index   map[string]int // where the change of a key is, while there are many
	max     int            // bytes
	size    int            // bytes of base with the changes, kept while setting
	count   int            // keys of base with the changes, likewise

	// While a commit is under way, changes stays a list of all keys that any
	// of its tries may have stored: one that is set back to what base has
	// stays in it. moved says that there is one.
	frozen bool
	moved  bool

	memory *memory // nil until something is changed: most requests only read
}

// A memory is what changes are kept in: one allocation for what most requests
// change.
type memory struct {
	arena   arena
	room    [3]change
	scratch [40]byte
	before  []change // of a clone: what it was made with
}

// own returns the memory of c.
func (c *Changes) own() *memory {
	if c.memory == nil {
		c.memory = &memory{}
		c.memory.arena.chunk = c.memory.scratch[:0]
	}
	return c.memory
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

// A SizeError says that the values would take more bytes than they may.
type SizeError struct {
	Size, Max int  // bytes
	Merged    bool // with what others have stored meanwhile
}

// Error gives both sizes.
func (e *SizeError) Error() string {
	with := "it"
	if e.Merged {
		with = "what other requests stored"
	}
	return fmt.Sprintf("%d bytes with %s, MaxBytes is %d", e.Size, with, e.Max)
}

// Reset drops all changes and begins anew with base; keys and values may take
// up to max bytes.
func (c *Changes) Reset(base Body, max int) {
	c.base, c.max = base, max
	c.Drop()
}

// Drop takes all changes back.
func (c *Changes) Drop() {
	c.changes, c.index, c.moved = nil, nil, false
	c.size, c.count = c.base.size(), c.base.len()
	if c.memory != nil { // its arena goes on: what it holds may still be read
		c.memory.arena.held = 0
	}
}

// Base returns what is stored.
func (c *Changes) Base() Body { return c.base }

// Changed reports whether there is something to store.
func (c *Changes) Changed() bool { return len(c.changes) > 0 }

// Find returns the encoded value of key, nil if there is none.
func (c *Changes) Find(key string) []byte {
	if i, ok := c.changed(key); ok {
		return c.changes[i].value
	}
	return c.base.Find(key)
}

func (c *Changes) changed(key string) (int, bool) {
	if c.index != nil {
		i, ok := c.index[key]
		return i, ok
	}
	if len(c.changes) == 0 {
		return 0, false
	}
	return slices.BinarySearchFunc(c.changes, key, func(one change, key string) int {
		return strings.Compare(one.key, key)
	})
}

// sorted returns the changes in the order of their keys.
func (c *Changes) sorted() []change {
	if c.index != nil {
		slices.SortFunc(c.changes, func(a, b change) int { return strings.Compare(a.key, b.key) })
		c.index = nil
	}
	return c.changes
}

// Set stores value under key. The text is what [Marshal] made of value: that
// runs code of the application, and nothing in here does. The error is a
// [SizeError] if the values become too large, or of a time.Time that cannot be
// encoded; then nothing has changed.
func (c *Changes) Set(key string, value any, text Text) error {
	arena := &c.own().arena
	dst := arena.room(encodedLen(value, text))
	encoded, err := appendValue(dst, value, text)
	if err != nil {
		return err
	}
	old := c.Find(key)
	if string(old) == string(encoded) && old != nil {
		return nil
	}
	size := c.size + entrySize(key, encoded)
	if old != nil {
		size -= entrySize(key, old)
	}
	if size > c.max {
		return &SizeError{Size: size, Max: c.max}
	}
	c.size = size
	if old == nil {
		c.count++
	}
	if stored := c.base.Find(key); stored != nil && string(stored) == string(encoded) {
		c.drop(key) // back to what is stored
		return nil
	}
	c.put(change{key, encoded[:len(encoded):len(encoded)]})
	if arena.keep(encoded) {
		arena.compact(c.changes)
	}
	return nil
}

// Delete removes key; that there is none is no error.
func (c *Changes) Delete(key string) {
	old := c.Find(key)
	if old == nil {
		return
	}
	c.size -= entrySize(key, old)
	c.count--
	if c.base.Find(key) == nil {
		c.drop(key) // it was never stored
		return
	}
	c.put(change{key, nil})
}

// Clear removes all keys.
func (c *Changes) Clear() {
	before := c.sorted()
	c.changes = nil
	if c.base.len() > 0 {
		c.changes = make([]change, 0, c.base.len())
	}
	merge(&c.base, nil, func(_ string, k, _ []byte) {
		c.changes = append(c.changes, change{string(k), nil})
	})
	c.size, c.count = 0, 0
	if c.frozen { // others may be stored at this moment
		for _, one := range before {
			c.put(change{one.key, nil})
		}
	}
}

// Keys returns all keys, sorted.
func (c *Changes) Keys() []string {
	keys := make([]string, 0, c.count)
	merge(&c.base, c.sorted(), func(key string, k, _ []byte) {
		if k != nil {
			key = string(k)
		}
		keys = append(keys, key)
	})
	return keys
}

// Len returns the number of keys.
func (c *Changes) Len() int { return c.count }

// Keep has value kept beside the values from now on, in place of what was. It takes
// none of their room.
func Keep(c *Changes, value []byte) {
	end := len(c.base.data)
	c.base.data = slices.Concat(c.base.data, value)[: end : end+len(value)]
	if !c.Changed() { // a key goes that is not there, so that there is something to store
		key := ""
		for c.base.Find(key) != nil {
			key += "\x00"
		}
		c.put(change{key: key})
	}
}

func (c *Changes) put(one change) {
	c.moved = c.frozen
	if c.changes == nil {
		c.changes = c.own().room[:0]
	}
	i, ok := c.changed(one.key)
	switch {
	case ok:
		c.changes[i] = one
	case c.index == nil && len(c.changes) < manyChanges:
		c.changes = slices.Insert(c.changes, i, one)
	default:
		c.indexed()
		c.index[one.key] = len(c.changes)
		c.changes = append(c.changes, one)
	}
}

// indexed makes the index if there is none.
func (c *Changes) indexed() {
	if c.index != nil {
		return
	}
	c.index = make(map[string]int, 2*len(c.changes))
	for i := range c.changes {
		c.index[c.changes[i].key] = i
	}
}

// drop takes back what was done to key.
func (c *Changes) drop(key string) {
	if c.frozen {
		c.put(change{key, c.base.Find(key)})
		return
	}
	i, ok := c.changed(key)
	if !ok {
		return
	}
	if c.index == nil && len(c.changes) < manyChanges {
		c.changes = slices.Delete(c.changes, i, i+1)
		return
	}
	c.indexed()
	last := len(c.changes) - 1
	c.index[c.changes[last].key] = i
	c.changes[i], c.changes[last] = c.changes[last], change{}
	c.changes = c.changes[:last]
	delete(c.index, key)
}

// Freeze marks the beginning of a commit: until Thaw, what is changed is told
// apart from what its tries may store. Thaw ends it.
func (c *Changes) Freeze() { c.frozen = true }

// Thaw ends what Freeze did.
func (c *Changes) Thaw() {
	c.frozen = false
	if c.moved {
		c.settle(c.base)
	}
}

// Settle notes that stored, which is c itself or a Clone of it, has been stored
// as base. What was done to c meanwhile is left to do, and no more.
func (c *Changes) Settle(stored *Changes, base Body) {
	if stored == c {
		c.settle(base)
		return
	}
	since := c.since(stored)
	c.Reset(base, c.max)
	c.replay(since)
}

// settle puts what is left to do on top of base, which has just been stored:
// all that was changed while it was, and no more.
func (c *Changes) settle(base Body) {
	if !c.moved {
		c.Reset(base, c.max)
		return
	}
	c.base, c.moved = base, false
	c.changes = slices.DeleteFunc(c.sorted(), func(one change) bool {
		stored := base.Find(one.key)
		return (stored == nil) == (one.value == nil) && string(stored) == string(one.value)
	})
	c.count, c.size = mergedSize(&c.base, c.changes)
}

// Rebase puts the changes on top of a newer base, or of one that is emptied first:
// what is kept in it stays.
func (c *Changes) Rebase(base Body, emptied bool) {
	if emptied {
		base = Body{data: base.data[len(base.data):]}
	}
	c.base = base
	c.count, c.size = mergedSize(&c.base, c.changes)
}

// Detach takes the values off the record that they were loaded from: those of from,
// with the changes, are all to be stored in another one, without what is kept in from.
func (c *Changes) Detach(from Body) {
	var all []change
	merge(&from, c.sorted(), func(key string, k, value []byte) {
		if k != nil {
			key = string(k)
		}
		all = append(all, change{key, value})
	})
	c.base, c.changes, c.index = Body{}, all, nil
	c.count, c.size = mergedSize(&c.base, c.changes)
}

// Fits checks the size after a Rebase, which may have added what another
// request stored. It returns the key and the type of the largest change, and a
// [SizeError], if the values have become too large.
func (c *Changes) Fits() (key, kind string, err error) {
	if c.size <= c.max || len(c.changes) == 0 {
		return "", "", nil
	}
	largest := slices.MaxFunc(c.changes, func(a, b change) int { return len(a.value) - len(b.value) })
	return largest.key, KindName(largest.value), &SizeError{Size: c.size, Max: c.max, Merged: true}
}

// Clone makes into, which must be zero, a copy that can be changed without
// changing c. Take or Settle brings it back.
func (c *Changes) Clone(into *Changes) {
	into.base, into.max, into.size, into.count = c.base, c.max, c.size, c.count
	into.changes = slices.Clone(c.sorted())
	into.own().before = slices.Clone(into.changes)
}

// since returns what was done to c after clone was made of it, sorted by key.
func (c *Changes) since(clone *Changes) []change {
	var done []change
	before := clone.memory.before
	back := func() { // set back to what is stored
		done = append(done, change{before[0].key, c.base.Find(before[0].key)})
		before = before[1:]
	}
	for _, one := range c.sorted() {
		for len(before) > 0 && before[0].key < one.key {
			back()
		}
		if len(before) > 0 && before[0].key == one.key {
			same := string(before[0].value) == string(one.value)
			before = before[1:]
			if same {
				continue
			}
		}
		done = append(done, one)
	}
	for len(before) > 0 {
		back()
	}
	return done
}

// Take makes c what clone has become, and then does what was done to c since
// the clone was made.
func (c *Changes) Take(clone *Changes) {
	since := c.since(clone)
	c.changes, c.index = clone.sorted(), nil
	c.size, c.count = clone.size, clone.count
	c.replay(since)
}

// replay does changes once more.
func (c *Changes) replay(changes []change) {
	for _, one := range changes {
		stored := c.base.Find(one.key)
		if (stored == nil) == (one.value == nil) && string(stored) == string(one.value) {
			c.drop(one.key)
		} else {
			c.put(one)
		}
	}
	if len(changes) > 0 {
		c.count, c.size = mergedSize(&c.base, c.changes)
	}
}
