package session

import (
	"fmt"
	"log/slog"
	"reflect"
	"sync"

	"github.com/chisession/session/internal/caller"
	"github.com/chisession/session/internal/record"
)

// A Key is the name of a value together with its type: what is Set by it comes
// back as that type, structs included, and without registering anything. Make
// keys once, as variables of a package:
//
//	var cart = session.NewKey[[]Item]("cart")
//
//	items, ok := cart.Get(s)
//	cart.Set(s, append(items, item))
//
// The name is what is stored, so a key finds what was stored by that name
// before. A key may be used by any number of goroutines.
type Key[T any] struct{ name string }

// NewKey returns the key of that name for values of type T: of a built-in type,
// or of any that encoding/json can encode and decode.
func NewKey[T any](name string) Key[T] { return Key[T]{name} }

// Name returns the name that values are stored under.
func (k Key[T]) Name() string { return k.name }

// String returns name and type, for logs.
func (k Key[T]) String() string {
	return fmt.Sprintf("%s (%v)", shortKey(k.name), reflect.TypeFor[T]())
}

// Get returns the value, and whether there is one. One that is no T, stored by
// another version of the program, say, reads as absent: that is logged with
// both types and counted in [Stats] as Unreadable (but for nil), and the value stays as it
// is. In the function of an Update it makes the Update fail, so that it is not
// overwritten unseen.
func (k Key[T]) Get(from Getter) (value T, ok bool) {
	encoded := from.lookup(k.name)
	if encoded == nil {
		return value, false
	}
	decoded, err := record.DecodeTo[T](encoded)
	if err == nil {
		return decoded, true
	}
	if record.IsNil(encoded) { // as Update has it: a zero T
		return value, false
	}
	if v, updating := from.(*Values); updating {
		v.fail(notA[T](k.name, encoded))
	} else {
		from.unreadable(k.name, err)
	}
	return value, false
}

// Or returns the value, or otherwise if there is none, or one that is no T: see
// [Key.Get].
func (k Key[T]) Or(from Getter, otherwise T) T {
	if value, ok := k.Get(from); ok {
		return value
	}
	return otherwise
}

// Set stores value. See [Session.Set] for when, and for what cannot be stored.
func (k Key[T]) Set(to Setter, value T) { to.Set(k.name, value) }

// Delete removes the value; that there is none is no error.
func (k Key[T]) Delete(from Setter) { from.Delete(k.name) }

// Pop returns the value and removes it; see [Pop].
func (k Key[T]) Pop(s *Session) (T, bool) { return Pop[T](s, k.name) }

// Update replaces the value by what fn makes of it, in one atomic step, and
// returns what was stored; see [Update].
func (k Key[T]) Update(s *Session, fn func(T) T) (T, error) { return Update(s, k.name, fn) }

// A Setter is what a [Key] writes to: a *[Session], or the *[Values] that an
// Update works on.
type Setter interface {
	Set(key string, value any)
	Delete(key string)
}

// Pop returns the value of key as a T and removes it. One that is no T is left
// where it is, logged and counted, as by [Key.Get]. Several requests that pop at
// once may each get the value; where only one may, use Update.
func Pop[T any](s *Session, key string) (value T, ok bool) {
	value, ok = NewKey[T](key).Get(s)
	if !ok && s.Has(key) { // of another type
		return value, false
	}
	if s.pop(key) == nil { // which says, too, that this session takes no changes
		var zero T
		return zero, false
	}
	return value, ok
}

// notA says that the value of key is no T. It names both types.
func notA[T any](key string, encoded []byte) error {
	return fmt.Errorf("session: Update of key %q: its value is a %s and cannot be read as a %v; it is left as it is: use its own type, or Delete it first",
		shortKey(key), record.KindName(encoded), reflect.TypeFor[T]())
}

// warnGeneric says, once for each key, that Get returned maps, slices and
// float64s where the program Set a type of its own: an assertion to that type
// fails without a word.
func (s *Session) warnGeneric(key string) {
	if !s.m.generic.first(key) {
		return
	}
	s.x.log(slog.LevelWarn, "session: Get returned the generic form of JSON, as the type that was Set is not known to it: "+
		"use a session.Key or session.Get with the type, or session.Register it at start", slog.String("key", shortKey(key)), slog.Any("caller", caller.Here()))
}

// seen remembers which keys something was said about, up to a bound: programs
// make up keys.
type seen struct {
	mu   sync.Mutex
	keys map[string]struct{}
}

const mostSeen = 256

// first reports whether key is new, and remembers it.
func (o *seen) first(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.keys[key]; known || len(o.keys) == mostSeen {
		return false
	}
	if o.keys == nil {
		o.keys = make(map[string]struct{})
	}
	o.keys[key] = struct{}{}
	return true
}
