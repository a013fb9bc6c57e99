package gobs

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

var limits = Limits{Bytes: 64 << 10, Depth: 32, Values: 1000}

type address struct {
	Street string
	Tags   []string
	More   map[string]int
}

type customer struct {
	Name   string
	Home   address
	Others []address
	Since  time.Time
	Bits   [3]uint8
	Any    any
}

type unknown struct{ A int }

type loud struct{ N int }

func (l loud) GobEncode() ([]byte, error) { return []byte{1}, nil }
func (l *loud) GobDecode([]byte) error    { panic("loud") }

func init() {
	for _, v := range []any{[]any{}, map[string]any{}, map[any]any{}, map[int]string{}, time.Time{}, time.Duration(0), customer{}, loud{}} {
		gob.Register(v)
	}
	gob.RegisterName("there", unknown{})
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func someValues() map[any]any {
	when := time.Date(2024, 5, 6, 7, 8, 9, 10, time.UTC)
	home := address{"High", []string{"a", "b"}, map[string]int{"x": 1}}
	return map[any]any{
		"nil": nil, "bool": true, "string": "s", "empty": "", "bytes": []byte{0, 255},
		"int": -5, "int8": int8(-8), "int16": int16(-16), "int32": int32(-32), "int64": int64(math.MinInt64),
		"uint": uint(5), "uint8": uint8(8), "uint16": uint16(16), "uint32": uint32(32), "uint64": uint64(math.MaxUint64),
		"float32": float32(1.5), "float64": math.Pi, "complex": complex(1, 2), "time": when, "duration": time.Hour,
		"strings": []string{"a", ""}, "anys": []any{1, "x", customer{Name: "in"}, nil},
		"maps":     map[string]any{"a": 1, "b": map[string]any{"c": []any{when}}},
		"customer": customer{Name: "Ann", Home: home, Others: []address{home, {}}, Since: when, Bits: [3]uint8{1, 2, 3}, Any: map[string]any{"n": 1}},
		7:          "int key", true: "bool key", 1.5: []int{1, 2},
	}
}

func TestMap(t *testing.T) {
	want := someValues()
	entries, err := Map(encode(t, want), limits)
	if err != nil {
		t.Fatalf("Map: %v", err)
	}
	got := map[any]any{}
	for _, e := range entries {
		key, err := e.Key.Decode()
		if err != nil {
			t.Fatalf("a key: %v", err)
		}
		value, err := e.Value.Decode()
		if err != nil {
			t.Errorf("%v (%s): %v", key, e.Value.Type, err)
		}
		got[key] = value
		if name := e.Value.Type; value != nil && name != "" && !strings.HasSuffix(name, "customer") && name != fmt.Sprintf("%T", value) {
			t.Errorf("%v: the type is called %q, want %T", key, name, value)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestMapOfStrings(t *testing.T) {
	entries, err := Map(encode(t, map[string]any{"a": 1}), limits)
	if err != nil || len(entries) != 1 {
		t.Fatalf("Map: %d entries, %v", len(entries), err)
	}
	key, _ := entries[0].Key.Decode()
	value, _ := entries[0].Value.Decode()
	if key != "a" || value != 1 {
		t.Errorf("got %v: %v, want a: 1", key, value)
	}
}

func TestStruct(t *testing.T) {
	deadline := time.Now().Add(time.Hour).UTC().Truncate(0)
	aux := &struct {
		Deadline time.Time
		Values   map[string]any
		Extra    []customer
	}{deadline, map[string]any{"user": 7, "c": customer{Name: "Ann"}}, []customer{{Any: unknown{3}}}}
	entries, got, err := Struct(encode(t, &aux), limits, "Values", "Deadline")
	if err != nil || len(entries) != 2 || !got.Equal(deadline) {
		t.Fatalf("Struct: %d entries, deadline %v, %v; want 2, %v", len(entries), got, err, deadline)
	}
	for _, e := range entries {
		if v, err := e.Value.Decode(); err != nil || v == nil {
			t.Errorf("%s: %v, %v", e.Value.Type, v, err)
		}
	}
}

// A value whose type this program does not know spoils only itself.
func TestUnregistered(t *testing.T) {
	data := encode(t, map[any]any{"a": unknown{1}, "b": []any{unknown{2}}, "c": "good", "d": loud{}, "e": unknown{3}})
	data = bytes.ReplaceAll(data, []byte("there"), []byte("where")) // registered there, not here
	entries, err := Map(data, limits)
	if err != nil {
		t.Fatalf("Map: %v", err)
	}
	bad := 0
	for _, e := range entries {
		key, _ := e.Key.Decode()
		value, err := e.Value.Decode()
		if key == "c" && (value != "good" || err != nil) {
			t.Errorf("c is %v, %v", value, err)
		}
		if err != nil {
			bad++
		}
	}
	if bad != 4 {
		t.Errorf("%d values cannot be decoded, want 4", bad)
	}
}

func TestLimits(t *testing.T) {
	deep := any("bottom")
	for range 40 {
		deep = []any{deep}
	}
	many := map[any]any{}
	for i := range 1001 {
		many[i] = i
	}
	for name, v := range map[string]any{
		"deep": map[any]any{"k": deep}, "many": many, "large": map[any]any{"k": strings.Repeat("x", 64<<10)},
	} {
		if _, err := Map(encode(t, v), limits); err == nil {
			t.Errorf("%s: Map reads it", name)
		}
	}
	for name, v := range map[string]any{"int": 1, "slice": []int{1}, "other map": map[string]int{"a": 1}, "struct": customer{}} {
		if _, err := Map(encode(t, v), limits); err == nil {
			t.Errorf("%s: Map reads it", name)
		}
	}
	if _, _, err := Struct(encode(t, map[string]any{}), limits, "Values", "Deadline"); err == nil {
		t.Error("Struct reads a map")
	}
}

// A definition is decoded again for each value of its type, so that one of
// thousands of fields, used by a thousand values, would cost seconds.
func TestAmplification(t *testing.T) {
	fields := make([]reflect.StructField, 3000)
	for i := range fields {
		fields[i] = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: reflect.TypeFor[int]()}
	}
	wide := reflect.Zero(reflect.StructOf(fields)).Interface()
	gob.RegisterName("wide", wide)
	values := map[any]any{}
	for i := range 500 {
		values[i] = wide
	}
	data := encode(t, values)
	if _, err := Map(data, limits); err == nil || len(data) > limits.Bytes {
		t.Errorf("Map of %d bytes: %v", len(data), err)
	}
}

// Every cut, and bytes changed here and there, is an error or a value, at no great cost.
func TestDamage(t *testing.T) {
	data := encode(t, someValues())
	for i := range data {
		if _, err := Map(data[:i], limits); err == nil {
			t.Errorf("the first %d of %d bytes are read", i, len(data))
		}
		if i%4 == 0 { // reading all takes its time
			damaged := bytes.Clone(data)
			damaged[i] ^= [...]byte{0xff, 0x80, 0x01}[i%3]
			readAll(damaged)
		}
	}
	// A map that claims 2^60 entries, which encoding/gob would make room for.
	huge := encode(t, map[any]any{"k": map[int]string{1: "x"}})
	at := bytes.LastIndex(huge, []byte{1, 2, 1, 'x'})
	huge = append(bytes.Clone(huge[:at]), 0xf8, 0x10, 0, 0, 0, 0, 0, 0, 0, 2, 1, 'x')
	if _, err := Map(huge, limits); err == nil {
		t.Error("a map of 2^60 entries is read")
	}
}

func readAll(data []byte) {
	entries, err := Map(data, limits)
	if err != nil {
		return
	}
	for _, e := range entries {
		_, _ = e.Key.Decode()
		_, _ = e.Value.Decode()
	}
}

// What encoding/gob reads, Map reads too, with the same result; and the other
// way round, value by value.
func FuzzMap(f *testing.F) {
	f.Add(encode(f, someValues()))
	f.Add(encode(f, map[any]any{}))
	f.Add(encode(f, map[string]any{"a": []any{1, map[string]any{"b": customer{Name: "x"}}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := Map(data, limits)
		if err != nil {
			return
		}
		again := map[any]any{}
		for _, e := range entries {
			key, err := e.Key.Decode()
			if err != nil || key == nil || !reflect.TypeOf(key).Comparable() {
				return
			}
			value, err := e.Value.Decode()
			if err != nil {
				return
			}
			again[key] = value
		}
		var whole map[any]any
		if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&whole); err != nil {
			return // gob also wants lengths to be right that say nothing
		}
		if len(whole) != len(again) || !strings.Contains(fmt.Sprint(again), "NaN") && fmt.Sprint(whole) != fmt.Sprint(again) {
			t.Errorf("encoding/gob reads %v, we read %v", whole, again)
		}
	})
}
