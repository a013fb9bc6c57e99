package migrate

import (
	"cmp"
	"encoding/gob"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chisession/session/migrate/internal/gobs"
)

// init makes known to encoding/gob what the old libraries did, or had their
// users do: the types that Beego registers, of which gorilla/sessions has the
// first, and the two of package time that are in so many sessions.
func init() {
	for _, value := range []any{
		[]any{}, map[string]any{}, map[any]any{}, map[int]any{},
		map[string]string{}, map[int]string{}, map[int]int{}, map[int]int64{},
		time.Time{}, time.Duration(0),
	} {
		register(value)
	}
}

// register registers a type, unless the program has given it another name: the
// program's word counts.
func register(value any) {
	defer func() { _ = recover() }() // what gob.Register does then
	gob.Register(value)
}

// DecodeMap decodes a gob of a map[string]interface{} or a
// map[interface{}]interface{}, of at most max bytes. Keys become strings:
// those that are bool, int, uint or float values by fmt.Sprint, unless a
// string key reads the same; values with other keys are skipped.
func DecodeMap(data []byte, max int) (Record, error) {
	entries, err := gobs.Map(data, limits(max))
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return record(entries, time.Time{}), nil
}

// DecodeStruct decodes a gob of a struct with a map[string]interface{} in the
// field values and a time.Time in the field deadline, of at most max bytes.
func DecodeStruct(data []byte, max int, values, deadline string) (Record, error) {
	entries, at, err := gobs.Struct(data, limits(max), values, deadline)
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return record(entries, at), nil
}

// RecordOf returns the record of values that something else has decoded, which
// ends at deadline, if that is not zero. Keys become strings as [DecodeMap] has
// it.
func RecordOf(values map[any]any, deadline time.Time) Record {
	r := Record{Values: make(map[string]any, len(values)), Deadline: deadline}
	for _, strings := range []bool{true, false} { // a string key comes before others that read the same
		for k, value := range values {
			key, isString, err := keyText(k)
			if isString != strings {
				continue
			}
			if _, taken := r.Values[key]; taken && err == nil {
				err = errors.New("another key reads the same")
			}
			if err != nil {
				r.skip(cmp.Or(key, fmt.Sprintf("(%T)", k)), fmt.Sprintf("%T", value), err)
				continue
			}
			r.Values[key] = plain(value)
		}
	}
	return r
}

func limits(max int) gobs.Limits { return gobs.Limits{Bytes: max, Depth: maxDepth, Values: maxValues} }

func record(entries []gobs.Entry, deadline time.Time) Record {
	r := Record{Values: make(map[string]any, len(entries)), Deadline: deadline}
	exact := map[string]bool{} // string keys
	taken := map[string]string{}
	for _, e := range entries {
		key, isString, err := keyOf(e.Key)
		if err != nil {
			r.skip(key, e.Value.Type, err)
			continue
		}
		value, err := e.Value.Decode()
		if err != nil {
			r.skip(key, e.Value.Type, cure(err))
			continue
		}
		if other, ok := taken[key]; ok {
			if !isString || exact[key] {
				r.skip(key, e.Value.Type, errors.New("another key reads the same"))
				continue
			}
			r.skip(key, other, errors.New("another key reads the same"))
		}
		taken[key], exact[key] = e.Value.Type, isString
		r.Values[key] = plain(value)
	}
	return r
}

func (r *Record) skip(key, typ string, err error) {
	r.Skipped = append(r.Skipped, Skip{Key: key, Type: typ, Err: err})
}

// cure says how a type becomes known that encoding/gob does not know.
func cure(err error) error {
	const unknown = "gob: name not registered for interface: "
	name, ok := strings.CutPrefix(err.Error(), unknown)
	if !ok {
		return err
	}
	return fmt.Errorf("encoding/gob does not know the type %s: in an init function, call gob.Register with a value of it, "+
		"or gob.RegisterName(%s, value) if its package has moved or it is another type now", name, name)
}

// keyOf returns a key as text, and whether it was text before.
func keyOf(v gobs.Value) (key string, isString bool, err error) {
	k, err := v.Decode()
	if err != nil {
		return "(" + v.Type + ")", false, fmt.Errorf("its key: %w", err)
	}
	key, isString, err = keyText(k)
	if err != nil {
		return "(" + v.Type + ")", false, err
	}
	return key, isString, nil
}

func keyText(key any) (text string, isString bool, err error) {
	switch k := key.(type) {
	case string:
		return k, true, nil
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		return fmt.Sprint(k), false, nil
	}
	return "", false, errors.New("its key is neither a string nor a number")
}

// plain makes maps of any values maps with string keys, in which the new
// session keeps the values exactly, as the keys of the session itself are made
// strings. One whose keys would not be told apart then stays as it is, and
// cannot be stored.
func plain(value any) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	case map[int]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[strconv.Itoa(key)] = plain(value)
		}
		return m
	case map[any]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			name, _, err := keyText(key)
			if _, taken := m[name]; taken || err != nil {
				return v
			}
			m[name] = plain(value)
		}
		return m
	}
	return value
}
