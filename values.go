package session

import (
	"errors"
	"fmt"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// Values are the values of one session while [Session.Update] works on them.
// They are valid until its function returns, and not safe for concurrent use.
type Values struct {
	c   record.Changes
	err error // the first value that could not be stored
}

// Format prints the number of values, whatever the verb; never a value.
func (v Values) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session.Values(%d)", v.Len()) }

// Get returns the value of key in the Go type it was Set with (see
// [Session.Get]), nil if there is none or it cannot be decoded.
func (v *Values) Get(key string) any {
	value, err := record.Decode(v.c.Find(key))
	if err != nil {
		return nil
	}
	return value
}

// lookup and unreadable make Values a [Getter].
func (v *Values) lookup(key string) []byte { return v.c.Find(key) }

func (v *Values) unreadable(string, error) {} // the function of Update decides what to do about it

// Has reports whether key is there, even if its value is nil.
func (v *Values) Has(key string) bool { return v.c.Find(key) != nil }

// Set stores value under key. A value that cannot be stored makes Update fail.
func (v *Values) Set(key string, value any) {
	text, err := record.Marshal(value)
	if err == nil {
		err = v.c.Set(key, value, text)
	}
	if err != nil {
		v.fail(valueError(key, value, err))
	}
}

// fail makes Update return err, unless it has failed before.
func (v *Values) fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

// Delete removes key; that there is none is no error.
func (v *Values) Delete(key string) { v.c.Delete(key) }

// Clear removes all keys.
func (v *Values) Clear() { v.c.Clear() }

// Keys returns all keys, sorted.
func (v *Values) Keys() []string { return v.c.Keys() }

// Len returns the number of keys.
func (v *Values) Len() int { return v.c.Len() }

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

// valueError says why value cannot be stored under key.
func valueError(key string, value any, err error) error {
	return &ValueError{Key: key, Type: fmt.Sprintf("%T", value), Err: tooLarge(err)}
}

// tooLarge makes the size error of package record an [ErrTooLarge].
func tooLarge(err error) error {
	if size, ok := errors.AsType[*record.SizeError](err); ok {
		return fmt.Errorf("%w: %w", ErrTooLarge, size)
	}
	return err
}

// fits returns an error if what is to be stored has become too large.
func fits(vals *record.Changes) error {
	key, kind, err := vals.Fits()
	if err != nil {
		return &ValueError{Key: key, Type: kind, Err: tooLarge(err)}
	}
	return nil
}

// ErrTooLarge says that a session would be larger than Config.MaxBytes, or than
// what the store can hold: it is backend.ErrTooLarge.
var ErrTooLarge = backend.ErrTooLarge

// Register makes Get return values of value's type as that type, where it
// would return the generic form of JSON (maps, slices, float64). Get[T] needs
// no registration. Call it from an init function, once for each type, with a
// value of exactly the type that is Set; a pointer type is another type.
//
// The type's name is stored with its values. A program that does not know the
// name gets the generic form and keeps the value intact. It panics if value
// is nil, of a built-in type, which needs none, or of one that cannot be stored.
func Register(value any) { record.Register(value) }
