package record

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

// encode is appendValue with what it needs.
func encode(dst []byte, value any) ([]byte, error) {
	text, err := Marshal(value)
	if err != nil {
		return dst, err
	}
	return appendValue(dst, value, text)
}

type point struct{ X, Y int }

type role string

type registered struct {
	Name string
	Tags []string
}

func init() { Register(registered{}) }

// roundTrip encodes and decodes value.
func roundTrip(t *testing.T, value any) any {
	t.Helper()
	encoded, err := encode(nil, value)
	if err != nil {
		t.Fatalf("encode(%T): %v", value, err)
	}
	got, err := Decode(encoded)
	if err != nil {
		t.Fatalf("Decode(encode(%T)): %v", value, err)
	}
	return got
}

func TestValuesKeepTheirType(t *testing.T) {
	values := []any{
		nil, true, false, "", "text", "\x00\xff invalid UTF-8", []byte{}, []byte{0, 255},
		int(-1), int8(math.MinInt8), int16(math.MaxInt16), int32(math.MinInt32), int64(math.MinInt64), int64(math.MaxInt64),
		uint(1), uint8(255), uint16(math.MaxUint16), uint32(math.MaxUint32), uint64(math.MaxUint64),
		float32(1.5), 0.1, math.Inf(-1), math.MaxFloat64, time.Duration(-5), registered{"a", []string{"b"}},
	}
	for _, want := range values {
		if got := roundTrip(t, want); !reflect.DeepEqual(got, want) {
			t.Errorf("Decode(encode(%T %v)) = %T %v", want, want, got, got)
		}
	}
	if got := roundTrip(t, math.NaN()).(float64); !math.IsNaN(got) {
		t.Errorf("NaN came back as %v", got)
	}
	when := time.Date(2026, 3, 29, 1, 30, 0, 123456789, time.FixedZone("", 3600))
	if got := roundTrip(t, when).(time.Time); !got.Equal(when) || got.Format(time.RFC3339Nano) != when.Format(time.RFC3339Nano) {
		t.Errorf("%v came back as %v", when, got)
	}
}

func TestValuesProperty(t *testing.T) {
	same := func(value any) bool { return reflect.DeepEqual(roundTrip(t, value), value) }
	properties := []any{
		func(v string) bool { return same(v) }, func(v []byte) bool { return v == nil || same(v) },
		func(v int64) bool { return same(v) && same(int(v)) && same(int32(v)) && same(time.Duration(v)) },
		func(v uint64) bool { return same(v) && same(uint16(v)) && same(uint8(v)) },
		func(v float64) bool { return same(v) && same(float32(v)) },
		func(name string, tags []byte) bool {
			v := registered{Name: strings.ToValidUTF8(name, "?"), Tags: []string{}}
			for _, b := range tags {
				v.Tags = append(v.Tags, string(rune(b)))
			}
			return same(v)
		},
	}
	for _, p := range properties {
		if err := quick.Check(p, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestDecodeTo(t *testing.T) {
	encoded := func(v any) []byte {
		b, err := encode(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if got, err := DecodeTo[point](encoded(point{1, 2})); err != nil || got != (point{1, 2}) {
		t.Errorf("DecodeTo[point] = %v, %v", got, err)
	}
	if got, err := DecodeTo[*point](encoded(&point{1, 2})); err != nil || *got != (point{1, 2}) {
		t.Errorf("DecodeTo[*point] = %v, %v", got, err)
	}
	if got, err := DecodeTo[role](encoded(role("admin"))); err != nil || got != "admin" {
		t.Errorf("DecodeTo[role] = %q, %v", got, err)
	}
	if got, err := DecodeTo[role](encoded("admin")); err != nil || got != "admin" {
		t.Errorf("DecodeTo[role] of a string = %q, %v", got, err)
	}
	if got, err := DecodeTo[registered](encoded(registered{Name: "a"})); err != nil || got.Name != "a" {
		t.Errorf("DecodeTo[registered] = %v, %v", got, err)
	}
	if got, err := DecodeTo[any](encoded(int8(3))); err != nil || got != int8(3) {
		t.Errorf("DecodeTo[any] = %T %v, %v", got, got, err)
	}
	if got, err := DecodeTo[*point](encoded(nil)); err != nil || got != nil {
		t.Errorf("DecodeTo[*point] of nil = %v, %v", got, err)
	}
	for _, wrong := range []any{int64(1), uint(1), 1.0, "1", true, nil, []byte("1")} {
		if got, err := DecodeTo[int](encoded(wrong)); err == nil {
			t.Errorf("DecodeTo[int] of %T = %v, want an error", wrong, got)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	type hiddenFields struct{ a, b int }
	cycle := map[string]any{}
	cycle["self"] = cycle
	for name, value := range map[string]any{
		"func": func() {}, "chan": make(chan int), "complex": complex(1, 2), "cycle": cycle,
		"unexported": hiddenFields{1, 2}, "pointer to unexported": &hiddenFields{}, "NaN in a struct": struct{ F float64 }{math.NaN()},
		"invalid UTF-8 in a struct": struct{ S string }{"\xff"}, "invalid after a backslash": []string{"\\\xff"},
	} {
		if encoded, err := encode(nil, value); err == nil {
			t.Errorf("%s: encode = %q, want an error", name, encoded)
		}
	}
	for name, value := range map[string]any{
		"a genuine U+FFFD": []string{"\ufffd"}, "a backslash and ufffd": []string{`\ufffd`}, "two": []string{`\\ufffd`},
	} {
		if _, err := encode(nil, value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A value of a type that this program does not know is kept, and readable in
// the generic form: a rolling deploy.
func TestUnknownName(t *testing.T) {
	encoded := append([]byte{kindNamed, 7}, `other.T{"A":1}`...)
	got, err := Decode(encoded)
	if want := map[string]any{"A": 1.0}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decode = %v, %v, want %v", got, err, want)
	}
	if got, err := Decode([]byte{200, 1, 2}); err == nil {
		t.Errorf("decode of an unknown kind = %v, want an error", got)
	}
}

func TestRegisterRefuses(t *testing.T) {
	for _, value := range []any{nil, 1, "x", time.Duration(1), true, make(chan int), func() {}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Register(%T) did not panic", value)
				}
			}()
			Register(value)
		}()
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range []any{nil, true, 1, "x", []byte("y"), 1.5, time.Unix(0, 0), time.Second, point{1, 2}, registered{Name: "n"},
		[]string{"a"}, map[int]string{1: "b"}, map[string]any{"a": 1, "b": []any{int8(2), nil, map[string]any{}}}, []any(nil)} {
		encoded, err := encode(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add([]byte{kindNamed, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Add(append([]byte{kindJSON}, strings.Repeat("[", 20000)...))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		value, err := Decode(encoded)
		if err != nil {
			return
		}
		switch encoded[0] {
		case kindJSON, kindNamed, kindInt, kindInt8, kindInt16, kindInt32, kindInt64, kindDuration,
			kindUint, kindUint8, kindUint16, kindUint32, kindUint64, kindTime, kindTree:
			return // these have several spellings, of which encode writes one
		}
		again, err := encode(nil, value)
		if err != nil || !bytes.Equal(again, encoded) {
			t.Errorf("encode(Decode(%x)) = %x, %v", encoded, again, err)
		}
	})
}
