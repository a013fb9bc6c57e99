package gobs

// A kind is a way that values of a defined type are encoded.
type kind uint8

const (
	kindArray kind = iota
	kindSlice
	kindStruct
	kindMap
	kindOpaque // bytes that a type's own method made
)

// A wireType is the definition of a type in a stream.
type wireType struct {
	kind       kind
	key, elem  int64
	length     int64
	fields     []field
	definition []byte // as it came: the negated identifier and the description
}

type field struct {
	name string
	id   int64
}

// parts returns the types that t consists of.
func (t *wireType) parts() []int64 {
	ids := []int64{t.key, t.elem}
	for _, f := range t.fields {
		ids = append(ids, f.id)
	}
	return ids
}

// definition reads the definition of type -negated.
func (w *walker) definition(negated int64) {
	id := -negated
	switch {
	case id < idFirstUser:
		w.fail("it defines type %d, which is not its to define", id)
	case w.types[id] != nil:
		w.fail("it defines type %d twice", id)
	}
	before := w.rest
	var t wireType
	described := 0
	w.fields(int(kindOpaque)+3, func(i int) { // three kinds of opaque ones
		described++
		t.kind = min(kind(i), kindOpaque)
		w.description(&t)
	})
	if described != 1 {
		w.fail("it defines a type in %d ways", described)
	}
	if w.err != nil {
		return
	}
	t.definition = append(appendInt(nil, negated), before[:len(before)-len(w.rest)]...)
	w.types[id] = &t
}

// description reads what a definition says of a type of its kind. The first
// field is always what all types have in common.
func (w *walker) description(t *wireType) {
	last := map[kind]int{kindArray: 3, kindSlice: 2, kindStruct: 2, kindMap: 3, kindOpaque: 1}[t.kind]
	w.fields(last, func(i int) {
		switch {
		case i == 0:
			w.fields(2, func(i int) {
				if i == 0 {
					w.bytes() // the type's name
				} else {
					w.int() // its identifier again
				}
			})
		case t.kind == kindStruct:
			w.structFields(t)
		case t.kind == kindMap && i == 1:
			t.key = w.int()
		case t.kind == kindArray && i == 2:
			t.length = w.int()
		default:
			t.elem = w.int()
		}
	})
}

func (w *walker) structFields(t *wireType) {
	for range w.count() {
		if w.err != nil {
			return
		}
		var f field
		w.fields(2, func(i int) {
			if i == 0 {
				f.name = string(w.bytes())
			} else {
				f.id = w.int()
			}
		})
		t.fields = append(t.fields, f)
	}
}
