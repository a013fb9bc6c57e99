package record

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

var compositeValues = []any{
	[]string{"a", ""}, []string{}, []string(nil), []bool{true}, []int{-1}, []int64{math.MaxInt64}, []uint16{1}, []float32{1.5}, []float64{0.1},
	[]time.Time{time.Unix(1, 2).UTC()}, []time.Duration{time.Hour}, [][]byte{{1}, {}}, [][]string{{"a"}, nil},
	map[string]string{"lang": "pt"}, map[string]string{}, map[string]string(nil), map[string]int{"a": 1}, map[string]bool{"a": true},
	map[int]string{1: "one"}, map[int]int{1: 2}, map[int]int64{-1: 1 << 40}, map[int64]bool{1: true}, map[string][]string{"a": {"b"}},
	map[string]map[string]string{"a": {"b": "c"}},
	map[string]any{}, map[string]any(nil), []any{}, []any(nil),
	map[string]any{
		"int": 1, "int64": int64(math.MinInt64), "uint8": uint8(1), "float32": float32(0.1), "nil": nil, "text": "\xff", "raw": []byte{0},
		"when": time.Unix(1, 5).UTC(), "for": time.Minute, "tags": []string{"a"}, "prefs": map[string]string{"a": "b"}, "inf": math.Inf(1),
		"deep": map[string]any{"n": 7, "more": []any{int8(1), []any{nil}}}, "": registered{"a", []string{"b"}},
	},
}

func TestMapsAndSlicesKeepTheirType(t *testing.T) {
	for _, want := range compositeValues {
		if got := roundTrip(t, want); !reflect.DeepEqual(got, want) {
			t.Errorf("Decode(encode(%T %v)) = %T %v", want, want, got, got)
		}
		one, _ := encode(nil, want)
		two, _ := encode(nil, want)
		if !bytes.Equal(one, two) {
			t.Errorf("%T is encoded in two ways", want)
		}
	}
}

// A map is not tied to the type that it was Set with: after a deploy, a struct
// may read it.
func TestMapsAreReadAsOtherTypes(t *testing.T) {
	encoded := func(v any) []byte {
		b, err := encode(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	type prefs struct {
		N    int
		Tags []string
		When time.Time
		For  time.Duration
		Raw  []byte
	}
	when := time.Unix(1, 5).UTC()
	want := prefs{1, []string{"a"}, when, time.Hour, []byte{1}}
	tree := encoded(map[string]any{"N": int8(1), "Tags": []any{"a"}, "When": when, "For": time.Hour, "Raw": []byte{1}})
	if got, err := DecodeTo[prefs](tree); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("DecodeTo[prefs] = %+v, %v", got, err)
	}
	if got, err := DecodeTo[any](encoded([]any{1})); err != nil || !reflect.DeepEqual(got, []any{1}) {
		t.Errorf("DecodeTo[any] = %v, %v", got, err)
	}
	if got, err := DecodeTo[[]any](encoded([]string{"a"})); err != nil || !reflect.DeepEqual(got, []any{"a"}) {
		t.Errorf("DecodeTo[[]any] of []string = %v, %v", got, err)
	}
	type roles []role
	if got, err := DecodeTo[roles](encoded([]string{"a"})); err != nil || !reflect.DeepEqual(got, roles{"a"}) {
		t.Errorf("DecodeTo[roles] of []string = %v, %v", got, err)
	}
	if got, err := DecodeTo[map[string]int](encoded(map[string]any{"a": 1})); err != nil || got["a"] != 1 {
		t.Errorf("DecodeTo[map[string]int] = %v, %v", got, err)
	}
	if got, err := DecodeTo[int](encoded([]any{1})); err == nil {
		t.Errorf("DecodeTo[int] of a slice = %v", got)
	}
	if got, err := DecodeTo[map[string]string](encoded(map[string]any{"a": "\xff"})); err == nil {
		t.Errorf("DecodeTo of what JSON cannot keep = %q", got)
	}
}

// What a release before this one stored is read as it was then.
func TestMapsStoredAsJSON(t *testing.T) {
	for text, want := range map[string]any{`["a"]`: []any{"a"}, `{"a":1}`: map[string]any{"a": 1.0}, `null`: nil} {
		if got, err := Decode(append([]byte{kindJSON}, text...)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("decode of JSON %s = %v, %v", text, got, err)
		}
	}
	if got, err := DecodeTo[[]string](append([]byte{kindJSON}, `["a"]`...)); err != nil || len(got) != 1 {
		t.Errorf("DecodeTo[[]string] of JSON = %v, %v", got, err)
	}
}

func TestTypesThatNamesMake(t *testing.T) {
	for _, name := range []string{
		"", "string", "int", "[]", "[]byte", "[]error", "[]any", "[]interface {}", "map[string]interface {}", "map[bool]string", "map[float64]int", "map[[]int]string",
		"map[time.Time]int", "map[string]", "map[string", "*[]string", "[2]string", "[] string", "[][][][]string", "map[string]map[string]map[string][]int",
		"chan string", "[]os.File", "func()", strings.Repeat("[]", 1<<16) + "int", "[]time.Location", "map[time.Duration]int",
	} {
		if got, ok := compositeType(name); ok {
			t.Errorf("the name %.40q makes a %v", name, got)
		}
	}
	for _, value := range compositeValues {
		name, ok := compositeName(reflect.TypeOf(value))
		if got, made := compositeType(name); ok != made || ok && got != reflect.TypeOf(value) {
			t.Errorf("%T: the name %q makes a %v", value, name, got)
		}
	}
}

func TestDamagedTrees(t *testing.T) {
	whole, err := encode(nil, compositeValues[len(compositeValues)-1])
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := Decode(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are a value", n, len(whole))
		}
	}
	if _, err := Decode(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("trailing bytes are taken")
	}
	deep := any(1)
	for range maxNesting + 1 {
		deep = []any{deep}
	}
	if _, err := encode(nil, deep.([]any)[0]); err != nil {
		t.Errorf("nested %d deep: %v", maxNesting, err)
	}
	if _, err := encode(nil, map[string]any{"deeper": deep}); err == nil {
		t.Error("a value of any depth is encoded")
	}
	cycle := []any{nil}
	cycle[0] = cycle
	if _, err := encode(nil, cycle); err == nil {
		t.Error("a slice that contains itself is encoded")
	}
	for name, data := range map[string][]byte{
		"out of order": {kindTree, treeMap, 2, 1, 'b', 0, 0, 0, 1, kindNil, 1, 'a', 0, 0, 0, 1, kindNil},
		"twice":        {kindTree, treeMap, 2, 1, 'a', 0, 0, 0, 1, kindNil, 1, 'a', 0, 0, 0, 1, kindNil},
		"many":         {kindTree, treeSlice, 255, 255, 255, 255, 15, 0, 0, 0, 1, kindNil},
		"no shape":     {kindTree, 9},
		"long":         {kindTree, treeSlice, 1, 255, 255, 255, 255, kindNil},
		"empty value":  {kindTree, treeSlice, 1, 0, 0, 0, 0, kindNil},
		"nested":       bytes.Repeat([]byte{kindTree, treeSlice, 1, 0, 255, 255, 255}, 1<<16),
	} {
		if got, err := Decode(data); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}
