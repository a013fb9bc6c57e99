// Package gobs reads the gob streams of old session libraries within bounds.
//
// encoding/gob trusts its input: a count in a damaged or planted record makes
// it allocate before it reads (golang/go#24446), nesting costs stack
// (CVE-2024-34156), and one value of an unknown type spoils all the others.
// So the stream is walked first, here, without a value being made of it:
// every count is checked against the bytes that are left, nesting against a
// limit, type identifiers against their definitions. Each value is then cut
// out, put into a small stream of its own, and only that is handed to
// encoding/gob.
//
// The encoding is the one documented by encoding/gob.
package gobs

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"time"
)

// Limits bound what is read. Streams beyond them are refused whole.
type Limits struct {
	Bytes  int // of a stream
	Depth  int // of values in values
	Values int // keys of a session
}

// maxGrowth is how many times the limit of a stream its values may take
// together, each with the definitions of its types: all of them are decoded.
const maxGrowth = 16

// A Value is one value of a session, not yet decoded.
type Value struct {
	// Type is the name that its type was registered by with gob.Register,
	// empty for nil.
	Type string

	stream []byte // holding it as an interface value
}

// An Entry is a key with its value.
type Entry struct{ Key, Value Value }

// Decode returns the value, by encoding/gob: types other than the built-in
// ones must have been registered with gob.Register, under the same name. A
// panic of a type's own GobDecode is an error.
func (v Value) Decode() (value any, err error) {
	if v.Type == "" {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			value, err = nil, fmt.Errorf("decoding panicked: %v", p)
		}
	}()
	err = gob.NewDecoder(bytes.NewReader(v.stream)).Decode(&value)
	return value, err
}

// Map reads a map[interface{}]interface{} or a map[string]interface{}.
func Map(data []byte, limits Limits) ([]Entry, error) {
	w, id, err := begin(data, limits)
	if err != nil {
		return nil, err
	}
	t := w.types[id]
	if t == nil || t.kind != kindMap {
		return nil, errors.New("it is not a map")
	}
	w.singleton()
	entries := w.entries(t)
	return entries, w.end()
}

// Struct reads a struct whose field called values is a
// map[string]interface{}, and whose field called deadline is a time.Time, as
// it was encoded; both may be missing, as fields that are zero are.
func Struct(data []byte, limits Limits, values, deadline string) ([]Entry, time.Time, error) {
	w, id, err := begin(data, limits)
	if err != nil {
		return nil, time.Time{}, err
	}
	t := w.types[id]
	if t == nil || t.kind != kindStruct {
		return nil, time.Time{}, errors.New("it is not a struct")
	}
	var entries []Entry
	var at time.Time
	w.fields(len(t.fields), func(i int) {
		field := t.fields[i]
		inner := w.types[field.id]
		switch {
		case field.name == values && inner != nil && inner.kind == kindMap:
			entries = w.entries(inner)
		case field.name == deadline && inner != nil && inner.kind == kindOpaque:
			if err := at.UnmarshalBinary(w.bytes()); err != nil {
				w.fail("the field %s is not a time", deadline)
			}
		default:
			w.value(field.id, 0)
		}
	})
	return entries, at, w.end()
}

// begin reads up to the value, and returns its type.
func begin(data []byte, limits Limits) (*walker, int64, error) {
	if len(data) > limits.Bytes {
		return nil, 0, fmt.Errorf("it has %d bytes, %d are allowed", len(data), limits.Bytes)
	}
	w := &walker{reader: reader{rest: data}, limits: limits, types: map[int64]*wireType{}}
	w.uint() // the length of the first message
	id := w.typeSequence()
	return w, id, w.err
}

// end reports what was wrong, trailing bytes included.
func (w *walker) end() error {
	if w.err == nil && len(w.rest) > 0 {
		w.fail("%d bytes follow the value", len(w.rest))
	}
	return w.err
}

// entries reads the pairs of a map whose elements are interfaces, and whose
// keys are interfaces or strings.
func (w *walker) entries(t *wireType) []Entry {
	if t.elem != idInterface || t.key != idInterface && t.key != idString {
		w.fail("it is not a map of interface values")
	}
	n := w.count()
	if n > w.limits.Values {
		w.fail("it has %d values, %d are allowed", n, w.limits.Values)
	}
	var entries []Entry
	for range n {
		if w.err != nil {
			return nil
		}
		var e Entry
		e.Key = w.cut(t.key)
		e.Value = w.cut(t.elem)
		entries = append(entries, e)
	}
	return entries
}

// cut reads a value of type id, an interface or a string, as a Value.
func (w *walker) cut(id int64) Value {
	w.out, w.used = nil, map[int64]bool{}
	name := "string"
	if id == idInterface {
		name = w.interfaceValue(1)
	} else {
		w.string(name) // the interface value that would hold it
		w.emitInt(idString)
		length := len(w.out)
		w.emitUint(0)
		w.value(idString, 1)
		w.delimit(length)
	}
	if w.err != nil || name == "" {
		return Value{}
	}
	body := w.out
	w.out = nil
	w.define()
	w.emitMessage(append([]byte{idInterface << 1, 0}, body...))
	if w.emitted += len(w.out); w.emitted > maxGrowth*w.limits.Bytes {
		w.fail("its types are too large for the number of their values")
	}
	return Value{Type: name, stream: w.out}
}

// define emits the definitions of the types that were used, and of those that
// they consist of.
func (w *walker) define() {
	var ids []int64
	for id := range w.used {
		ids = append(ids, id)
	}
	for i := 0; i < len(ids); i++ {
		t := w.types[ids[i]]
		w.emitMessage(t.definition)
		for _, id := range t.parts() {
			if w.types[id] != nil && !w.used[id] {
				w.used[id] = true
				ids = append(ids, id)
			}
		}
	}
}
