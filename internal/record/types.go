package record

import (
	"fmt"
	"reflect"
	"sync"
	"time"
)

// types are the registered types, as encoding/gob keeps its own.
var types typeRegistry

type typeRegistry struct {
	names sync.Map // reflect.Type → string
	types sync.Map // string → reflect.Type
}

// Register makes Decode return values of value's type as that type. It panics
// as session.Register says.
func Register(value any) {
	t := reflect.TypeOf(value)
	if builtin(t) {
		panic(fmt.Sprintf("session: Register(%T): give a value of one of your own types; built-in ones come back as they are", value))
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		panic(fmt.Sprintf("session: Register(%T): no JSON can hold it, so it cannot be stored", value))
	}
	name := t.String()
	if t.PkgPath() != "" {
		name = t.PkgPath() + "." + t.Name()
	}
	if other, taken := types.types.LoadOrStore(name, t); taken && other != t {
		panic(fmt.Sprintf("session: Register: two types are called %s", name))
	}
	types.names.Store(t, name)
}

// builtin reports whether values of t have a kind of their own, or no name.
func builtin(t reflect.Type) bool {
	return t == nil || t.PkgPath() == "" && t.Name() != "" ||
		t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[time.Duration]() || t == reflect.TypeFor[[]byte]()
}

func (r *typeRegistry) name(t reflect.Type) (string, bool) {
	name, ok := r.names.Load(t)
	if !ok {
		return compositeName(t)
	}
	return name.(string), true
}

func (r *typeRegistry) byName(name string) (reflect.Type, bool) {
	t, ok := r.types.Load(name)
	if !ok {
		return compositeType(name)
	}
	return t.(reflect.Type), true
}

// compositeTypes are the slices and maps of built-in types that come back as
// they were Set, by their names. The bytes of a record choose among them, and
// make no others.
var compositeTypes = map[string]reflect.Type{}

func init() {
	for _, t := range []reflect.Type{
		reflect.TypeFor[[]bool](), reflect.TypeFor[[]string](), reflect.TypeFor[[]time.Time](), reflect.TypeFor[[]time.Duration](),
		reflect.TypeFor[[]int](), reflect.TypeFor[[]int8](), reflect.TypeFor[[]int16](), reflect.TypeFor[[]int32](), reflect.TypeFor[[]int64](),
		reflect.TypeFor[[]uint](), reflect.TypeFor[[]uint16](), reflect.TypeFor[[]uint32](), reflect.TypeFor[[]uint64](),
		reflect.TypeFor[[]float32](), reflect.TypeFor[[]float64](), reflect.TypeFor[[][]byte](), reflect.TypeFor[[][]string](),
		reflect.TypeFor[map[string]bool](), reflect.TypeFor[map[string]string](), reflect.TypeFor[map[string]time.Time](),
		reflect.TypeFor[map[string]int](), reflect.TypeFor[map[string]int64](), reflect.TypeFor[map[string]uint64](), reflect.TypeFor[map[string]float64](),
		reflect.TypeFor[map[string][]string](), reflect.TypeFor[map[string]map[string]string](),
		reflect.TypeFor[map[int]bool](), reflect.TypeFor[map[int]string](), reflect.TypeFor[map[int]int](), reflect.TypeFor[map[int]int64](), reflect.TypeFor[map[int]float64](),
		reflect.TypeFor[map[int64]bool](), reflect.TypeFor[map[int64]string](), reflect.TypeFor[map[int64]int](), reflect.TypeFor[map[int64]int64](),
	} {
		compositeTypes[t.String()] = t
	}
}

// compositeName returns the name of a type that is one of compositeTypes.
func compositeName(t reflect.Type) (string, bool) {
	if t.Name() != "" {
		return "", false
	}
	name := t.String()
	return name, compositeTypes[name] == t
}

// compositeType returns the one of compositeTypes that has this name.
func compositeType(name string) (reflect.Type, bool) {
	t, ok := compositeTypes[name]
	return t, ok
}
