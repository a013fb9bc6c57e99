package gobs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The identifiers of the types that need no definition.
const (
	idBool      = 1
	idInt       = 2
	idUint      = 3
	idFloat     = 4
	idBytes     = 5
	idString    = 6
	idComplex   = 7
	idInterface = 8
	idFirstUser = 64 // below it are gob's own
)

// maxName is the longest name of a type that encoding/gob takes.
const maxName = 1024

// A reader reads the primitives of the encoding. After an error it reads
// zeros, and err stays.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.rest = nil
}

var errShort = errors.New("it ends too early")

// uint reads an unsigned integer: one byte up to 127, else the negated number
// of bytes, and those.
func (r *reader) uint() uint64 {
	if len(r.rest) == 0 {
		r.fail("%w", errShort)
		return 0
	}
	first := r.rest[0]
	if first < 0x80 {
		r.rest = r.rest[1:]
		return uint64(first)
	}
	n := -int(int8(first))
	if n > 8 {
		r.fail("it has a number of %d bytes", n)
		return 0
	}
	if n > len(r.rest)-1 {
		r.fail("%w", errShort)
		return 0
	}
	var whole [8]byte
	copy(whole[8-n:], r.rest[1:1+n])
	r.rest = r.rest[1+n:]
	return binary.BigEndian.Uint64(whole[:])
}

// int reads a signed integer: the lowest bit says whether to complement.
func (r *reader) int() int64 {
	u := r.uint()
	if u&1 != 0 {
		return ^int64(u >> 1)
	}
	return int64(u >> 1)
}

// count reads a number of things that take at least one byte each.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.fail("a count of %d exceeds the %d bytes that are left", n, len(r.rest))
		return 0
	}
	return int(n)
}

// bytes reads a length and as many bytes.
func (r *reader) bytes() []byte {
	n := r.count()
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// A walker reads a stream, and copies the values that it walks over to out,
// without the definitions of types in between.
type walker struct {
	reader
	limits  Limits
	types   map[int64]*wireType
	used    map[int64]bool // defined types in out
	out     []byte
	emitted int // bytes of all values together
}

// typeSequence reads definitions of types up to the identifier of a value's
// type. Behind each definition comes the length of what follows, be it the
// next message or the value within an interface.
func (w *walker) typeSequence() int64 {
	for w.err == nil {
		id := w.int()
		if id >= 0 {
			return id
		}
		w.definition(id)
		w.uint()
	}
	return 0
}

// singleton reads the zero that stands before any value but a struct, where
// the value is at the top or in an interface.
func (w *walker) singleton() {
	if w.uint() != 0 {
		w.fail("the value does not begin as it should")
	}
}

// fields reads the fields of a struct: each with the distance from the one
// before, up to a zero.
func (w *walker) fields(n int, read func(i int)) {
	for i := -1; w.err == nil; {
		delta := w.uint()
		if delta == 0 {
			return
		}
		if delta > uint64(n-1-i) {
			w.fail("a struct has a field that its type has not")
			return
		}
		i += int(delta)
		read(i)
	}
}

// value walks over a value of type id, depth levels down.
func (w *walker) value(id int64, depth int) {
	if depth > w.limits.Depth {
		w.fail("values are nested more than %d levels deep", w.limits.Depth)
	}
	if w.err != nil {
		return
	}
	switch id {
	case idBool, idInt, idUint, idFloat:
		w.emitUint(w.uint())
	case idComplex:
		w.emitUint(w.uint())
		w.emitUint(w.uint())
	case idBytes, idString:
		w.opaque()
	case idInterface:
		w.interfaceValue(depth)
	default:
		w.defined(id, depth)
	}
}

func (w *walker) opaque() {
	b := w.bytes()
	w.emitUint(uint64(len(b)))
	w.out = append(w.out, b...)
}

func (w *walker) defined(id int64, depth int) {
	t := w.types[id]
	if t == nil {
		w.fail("a value is of type %d, which is not defined", id)
		return
	}
	if w.used != nil {
		w.used[id] = true
	}
	switch t.kind {
	case kindOpaque:
		w.opaque()
	case kindStruct:
		last := -1
		w.fields(len(t.fields), func(i int) {
			w.emitUint(uint64(i - last))
			last = i
			w.value(t.fields[i].id, depth+1)
		})
		w.emitUint(0)
	case kindMap:
		w.sequence(w.count(), depth, t.key, t.elem)
	case kindArray:
		n := w.count()
		if int64(n) != t.length {
			w.fail("an array of %d has %d elements", t.length, n)
		}
		w.sequence(n, depth, t.elem)
	default:
		w.sequence(w.count(), depth, t.elem)
	}
}

// sequence walks over n groups of values of the types.
func (w *walker) sequence(n, depth int, types ...int64) {
	w.emitUint(uint64(n))
	for range n {
		for _, id := range types {
			w.value(id, depth+1)
		}
		if w.err != nil {
			return
		}
	}
}

// interfaceValue walks over an interface value and returns the name of the
// type in it, empty for nil.
func (w *walker) interfaceValue(depth int) string {
	name := string(w.bytes())
	if len(name) > maxName {
		w.fail("the name of a type has %d bytes", len(name))
	}
	w.string(name)
	if name == "" || w.err != nil {
		return ""
	}
	id := w.typeSequence()
	w.emitInt(id)
	w.count() // of the value without definitions in it, so it proves nothing
	start := len(w.out)
	if t := w.types[id]; t == nil || t.kind != kindStruct {
		w.singleton()
		w.emitUint(0)
	}
	w.value(id, depth+1)
	w.delimit(start)
	return name
}

// delimit puts the length of what was emitted since start before it.
func (w *walker) delimit(start int) {
	body := append([]byte(nil), w.out[start:]...)
	w.out = w.out[:start]
	w.emitMessage(body)
}

func (w *walker) string(s string) {
	w.emitUint(uint64(len(s)))
	w.out = append(w.out, s...)
}

func (w *walker) emitMessage(body []byte) {
	w.emitUint(uint64(len(body)))
	w.out = append(w.out, body...)
}

func (w *walker) emitUint(u uint64) { w.out = appendUint(w.out, u) }

func (w *walker) emitInt(i int64) { w.out = appendInt(w.out, i) }

func appendUint(dst []byte, u uint64) []byte {
	if u < 0x80 {
		return append(dst, byte(u))
	}
	var whole [8]byte
	binary.BigEndian.PutUint64(whole[:], u)
	n := 8
	for whole[8-n] == 0 {
		n--
	}
	return append(append(dst, byte(-n)), whole[8-n:]...)
}

func appendInt(dst []byte, i int64) []byte {
	if i < 0 {
		return appendUint(dst, uint64(^i)<<1|1)
	}
	return appendUint(dst, uint64(i)<<1)
}
