package migrate

import (
	"errors"
	"fmt"
	"time"

	"github.com/chisession/session/migrate/internal/gobs"
)

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
			r.skip(key, e.Value.Type, err)
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

// keyOf returns a key as text, and whether it was text before.
func keyOf(v gobs.Value) (key string, isString bool, err error) {
	k, err := v.Decode()
	if err != nil {
		return "(" + v.Type + ")", false, fmt.Errorf("its key: %w", err)
	}
	switch k := k.(type) {
	case string:
		return k, true, nil
	case bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		return fmt.Sprint(k), false, nil
	}
	return "(" + v.Type + ")", false, errors.New("its key is neither a string nor a number")
}

// plain makes the maps with keys of any type that Beego registers, of which
// JSON knows nothing, maps with string keys, where all keys are strings.
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
	case map[any]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			name, ok := key.(string)
			if !ok {
				return v
			}
			m[name] = plain(value)
		}
		return m
	}
	return value
}
