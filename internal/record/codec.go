package record

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
)

// The kinds of encoded values. They are stored: never change a number, never
// use one again.
const (
	kindNil      = 1
	kindFalse    = 2
	kindTrue     = 3
	kindInt      = 4
	kindInt8     = 5
	kindInt16    = 6
	kindInt32    = 7
	kindInt64    = 8
	kindUint     = 9
	kindUint8    = 10
	kindUint16   = 11
	kindUint32   = 12
	kindUint64   = 13
	kindFloat32  = 14
	kindFloat64  = 15
	kindString   = 16
	kindBytes    = 17
	kindTime     = 18
	kindDuration = 19
	kindJSON     = 20 // a type of the application
	kindNamed    = 21 // one that was registered, or a composite type: uvarint length, name, JSON
	kindTree     = 22 // a map[string]any or []any, with values of any kind in it
)

var errValue = errors.New("value is damaged, or of a kind that this version does not know")

// A Text is what Marshal makes of a value that has no kind of its own.
type Text struct {
	text []byte // nil for a value of a built-in type
	name string // the type's registered name, if it has one
	tree bool   // the text is an encoded tree, not JSON
}

// Marshal returns the JSON of a value of the application's own types, or the
// tree of a map or slice of any values. It may call their methods: those must
// not find a lock held that they need.
func Marshal(value any) (Text, error) {
	switch value.(type) {
	case map[string]any, []any:
		text, err := appendTree(nil, value, 0)
		return Text{text: text, tree: true}, err
	case nil, bool, string, []byte, int, int8, int16, int32, int64, time.Duration,
		uint, uint8, uint16, uint32, uint64, float32, float64, time.Time:
		return Text{}, nil
	}
	t := reflect.TypeOf(value)
	if err := hidden(t); err != nil {
		return Text{}, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return Text{}, err
	}
	if replaced(text) {
		return Text{}, errors.New("a string in it is not valid UTF-8, which JSON cannot keep: use []byte, or Set it as a plain string")
	}
	name, _ := types.name(t)
	return Text{text: text, name: name}, nil
}

// encodedLen returns how many bytes the encoded form of value takes at most,
// and exactly where that may be many.
func encodedLen(value any, text Text) int {
	if text.text != nil {
		n := 1 + len(text.text)
		if text.name != "" {
			n += uvarintLen(uint64(len(text.name))) + len(text.name)
		}
		return n
	}
	zigzag := func(v int64) int { return 1 + uvarintLen(uint64(v)<<1^uint64(v>>63)) }
	switch v := value.(type) {
	case string:
		return 1 + len(v)
	case []byte:
		return 1 + len(v)
	case nil, bool:
		return 1
	case int:
		return zigzag(int64(v))
	case int64:
		return zigzag(v)
	case time.Time:
		return 1 + 16 // version 2 of its binary form
	}
	return 1 + binary.MaxVarintLen64
}

// appendValue appends the encoded form of value: a kind byte and a payload. The
// built-in types are kept exactly, and so are maps and slices of them and of
// any; everything else is JSON. What is no built-in type was made by Marshal.
func appendValue(dst []byte, value any, text Text) ([]byte, error) {
	if text.tree {
		return append(dst, text.text...), nil
	}
	if text.text != nil {
		if text.name == "" {
			return append(append(dst, kindJSON), text.text...), nil
		}
		dst = binary.AppendUvarint(append(dst, kindNamed), uint64(len(text.name)))
		return append(append(dst, text.name...), text.text...), nil
	}
	switch v := value.(type) {
	case nil:
		return append(dst, kindNil), nil
	case bool:
		if v {
			return append(dst, kindTrue), nil
		}
		return append(dst, kindFalse), nil
	case string:
		return append(append(dst, kindString), v...), nil
	case []byte:
		return append(append(dst, kindBytes), v...), nil
	case int:
		return binary.AppendVarint(append(dst, kindInt), int64(v)), nil
	case int8:
		return binary.AppendVarint(append(dst, kindInt8), int64(v)), nil
	case int16:
		return binary.AppendVarint(append(dst, kindInt16), int64(v)), nil
	case int32:
		return binary.AppendVarint(append(dst, kindInt32), int64(v)), nil
	case int64:
		return binary.AppendVarint(append(dst, kindInt64), v), nil
	case time.Duration:
		return binary.AppendVarint(append(dst, kindDuration), int64(v)), nil
	case uint:
		return binary.AppendUvarint(append(dst, kindUint), uint64(v)), nil
	case uint8:
		return binary.AppendUvarint(append(dst, kindUint8), uint64(v)), nil
	case uint16:
		return binary.AppendUvarint(append(dst, kindUint16), uint64(v)), nil
	case uint32:
		return binary.AppendUvarint(append(dst, kindUint32), uint64(v)), nil
	case uint64:
		return binary.AppendUvarint(append(dst, kindUint64), v), nil
	case float32:
		return binary.BigEndian.AppendUint32(append(dst, kindFloat32), math.Float32bits(v)), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, kindFloat64), math.Float64bits(v)), nil
	case time.Time:
		return v.AppendBinary(append(dst, kindTime))
	}
	return dst, errValue // not reached: Marshal has a text for all others
}

// hidden refuses a struct of which JSON would keep nothing at all, because
// its fields are all unexported and it does not marshal itself.
func hidden(t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.NumField() == 0 || marshals(t) {
		return nil
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous {
			return nil
		}
	}
	return errors.New("all its fields are unexported, so JSON would store {}: export them, or implement json.Marshaler")
}

func marshals(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, m := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](),
		reflect.TypeFor[interface{ MarshalText() ([]byte, error) }](),
	} {
		if p.Implements(m) {
			return true
		}
	}
	return false
}

// replaced reports whether json.Marshal put a replacement character in the
// place of bytes that are not UTF-8: those it writes as the escape \ufffd, a
// genuine one as itself.
func replaced(text []byte) bool {
	escape := []byte(`\ufffd`)
	for {
		i := bytes.Index(text, escape)
		if i < 0 {
			return false
		}
		backslashes := len(text[:i+1]) - len(bytes.TrimRight(text[:i+1], `\`))
		if backslashes%2 == 1 { // else it is an escaped backslash before ufffd
			return true
		}
		text = text[i+len(escape):]
	}
}

// Decode returns the value in its Go type: the exact one for the built-in
// types and the registered ones, the generic form of JSON for others.
func Decode(encoded []byte) (any, error) {
	if len(encoded) == 0 {
		return nil, errValue
	}
	kind, payload := encoded[0], encoded[1:]
	switch kind {
	case kindNil, kindFalse, kindTrue:
		if len(payload) != 0 {
			break
		}
		if kind == kindNil {
			return nil, nil
		}
		return kind == kindTrue, nil
	case kindString:
		return string(payload), nil
	case kindBytes:
		return append([]byte{}, payload...), nil
	case kindInt, kindInt8, kindInt16, kindInt32, kindInt64, kindDuration:
		return decodeInt(kind, payload)
	case kindUint, kindUint8, kindUint16, kindUint32, kindUint64:
		return decodeUint(kind, payload)
	case kindFloat32:
		if len(payload) == 4 {
			return math.Float32frombits(binary.BigEndian.Uint32(payload)), nil
		}
	case kindFloat64:
		if len(payload) == 8 {
			return math.Float64frombits(binary.BigEndian.Uint64(payload)), nil
		}
	case kindTime:
		var t time.Time
		err := t.UnmarshalBinary(payload)
		return t, err
	case kindJSON:
		var v any
		err := json.Unmarshal(payload, &v)
		return v, err
	case kindNamed:
		return decodeNamed(payload)
	case kindTree:
		return decodeTree(payload, 0)
	}
	return nil, errValue
}

func decodeInt(kind byte, payload []byte) (any, error) {
	v, n := binary.Varint(payload)
	if n <= 0 || n != len(payload) {
		return nil, errValue
	}
	switch {
	case kind == kindInt && int64(int(v)) == v:
		return int(v), nil
	case kind == kindInt8 && int64(int8(v)) == v:
		return int8(v), nil
	case kind == kindInt16 && int64(int16(v)) == v:
		return int16(v), nil
	case kind == kindInt32 && int64(int32(v)) == v:
		return int32(v), nil
	case kind == kindInt64:
		return v, nil
	case kind == kindDuration:
		return time.Duration(v), nil
	}
	return nil, errValue
}

func decodeUint(kind byte, payload []byte) (any, error) {
	v, n := binary.Uvarint(payload)
	if n <= 0 || n != len(payload) {
		return nil, errValue
	}
	switch {
	case kind == kindUint && uint64(uint(v)) == v:
		return uint(v), nil
	case kind == kindUint8 && v <= math.MaxUint8:
		return uint8(v), nil
	case kind == kindUint16 && v <= math.MaxUint16:
		return uint16(v), nil
	case kind == kindUint32 && v <= math.MaxUint32:
		return uint32(v), nil
	case kind == kindUint64:
		return v, nil
	}
	return nil, errValue
}

func splitNamed(payload []byte) (name string, text []byte, err error) {
	size, n := binary.Uvarint(payload)
	if n <= 0 || size > uint64(len(payload)-n) {
		return "", nil, errValue
	}
	return string(payload[n : n+int(size)]), payload[n+int(size):], nil
}

// decodeNamed decodes into the registered type of that name. A name that this
// program did not register (another version did) gives the generic form.
func decodeNamed(payload []byte) (any, error) {
	name, text, err := splitNamed(payload)
	if err != nil {
		return nil, err
	}
	t, ok := types.byName(name)
	if !ok {
		var v any
		err := json.Unmarshal(text, &v)
		return v, err
	}
	p := reflect.New(t)
	err = json.Unmarshal(text, p.Interface())
	return p.Elem().Interface(), err
}

// DecodeTo decodes into T: JSON of any type into whatever T takes it, other
// values only into their own type, or one defined from it.
func DecodeTo[T any](encoded []byte) (T, error) {
	var t T
	if len(encoded) == 0 {
		return t, errValue
	}
	switch encoded[0] {
	case kindJSON:
		return decodeJSON[T](encoded[1:])
	case kindNamed:
		_, text, err := splitNamed(encoded[1:])
		if err != nil {
			return t, err
		}
		return decodeJSON[T](text)
	}
	if v, ok := decodePlain[T](encoded); ok {
		return v, nil
	}
	v, err := Decode(encoded)
	if err != nil {
		return t, err
	}
	if encoded[0] == kindTree {
		return treeTo[T](v)
	}
	if exact, ok := v.(T); ok {
		return exact, nil
	}
	return convertTo[T](v)
}

// decodeJSON is apart from DecodeTo because its result has to live in the heap.
func decodeJSON[T any](text []byte) (T, error) {
	var t T
	err := json.Unmarshal(text, &t)
	return t, err
}

// decodePlain decodes the most frequent types without the allocation that it
// takes to hand them over as an any.
func decodePlain[T any](encoded []byte) (t T, ok bool) {
	payload := encoded[1:]
	switch encoded[0] {
	case kindInt:
		if v, n := binary.Varint(payload); n > 0 && n == len(payload) && int64(int(v)) == v {
			t, ok = any(int(v)).(T)
		}
	case kindInt64:
		if v, n := binary.Varint(payload); n > 0 && n == len(payload) {
			t, ok = any(v).(T)
		}
	case kindString:
		if _, is := any(t).(string); is {
			t, ok = any(string(payload)).(T)
		}
	}
	return t, ok
}

// convertTo serves defined types (type Role string) and nil. Numbers do not
// change their kind.
func convertTo[T any](v any) (T, error) {
	var t T
	into := reflect.ValueOf(&t).Elem()
	if v == nil {
		switch into.Kind() {
		case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice:
			return t, nil
		}
		return t, fmt.Errorf("it is nil, not %T", t)
	}
	from := reflect.ValueOf(v)
	if from.Kind() != into.Kind() || !from.CanConvert(into.Type()) {
		return t, fmt.Errorf("it is of type %T, not %s", v, into.Type())
	}
	into.Set(from.Convert(into.Type()))
	return t, nil
}

// KindName returns the Go type of an encoded value, as far as it tells.
func KindName(encoded []byte) string {
	if len(encoded) > 0 && encoded[0] == kindNamed {
		if name, _, err := splitNamed(encoded[1:]); err == nil {
			return name
		}
	}
	value, err := Decode(encoded)
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%T", value)
}

// IsGeneric reports whether Decode returns the generic form of JSON for an
// encoded value, as it does not know the type that was encoded.
func IsGeneric(encoded []byte) bool {
	if len(encoded) == 0 {
		return false
	}
	if encoded[0] == kindNamed {
		name, _, err := splitNamed(encoded[1:])
		_, known := types.byName(name)
		return err == nil && !known
	}
	return encoded[0] == kindJSON
}

// IsNil reports whether an encoded value is nil.
func IsNil(encoded []byte) bool { return len(encoded) > 0 && encoded[0] == kindNil }

// IsText reports whether an encoded value is of a type of the application, or
// holds several values: then it may not decode although it is of the kind that
// was asked for.
func IsText(encoded []byte) bool {
	return len(encoded) > 0 && (encoded[0] == kindJSON || encoded[0] == kindNamed || encoded[0] == kindTree)
}
