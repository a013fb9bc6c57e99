package record

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// maxNesting is how deep maps and slices of any may be nested in one another.
const maxNesting = 1000

// The shapes of a kindTree.
const (
	treeNilMap   = 0
	treeMap      = 1 // then the number of entries; each a key with its length, and a value
	treeNilSlice = 2
	treeSlice    = 3 // then the number of values
)

// lengthSize is what stands before a value in a tree: its length, big endian.
const lengthSize = 4

var errNesting = fmt.Errorf("maps and slices in it are nested more than %d levels deep, or contain themselves", maxNesting)

// appendTree appends a map[string]any or a []any, in which every value is
// encoded by itself: so it keeps its exact type, which JSON would not.
func appendTree(dst []byte, value any, depth int) (_ []byte, err error) {
	if depth > maxNesting {
		return dst, errNesting
	}
	dst = append(dst, kindTree)
	switch v := value.(type) {
	case map[string]any:
		if v == nil {
			return append(dst, treeNilMap), nil
		}
		dst = binary.AppendUvarint(append(dst, treeMap), uint64(len(v)))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			dst = append(binary.AppendUvarint(dst, uint64(len(key))), key...)
			if dst, err = appendBranch(dst, v[key], depth); err != nil {
				return dst, err
			}
		}
	case []any:
		if v == nil {
			return append(dst, treeNilSlice), nil
		}
		dst = binary.AppendUvarint(append(dst, treeSlice), uint64(len(v)))
		for i := range v {
			if dst, err = appendBranch(dst, v[i], depth); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// appendBranch appends one value of a tree, with its length.
func appendBranch(dst []byte, value any, depth int) (_ []byte, err error) {
	start := len(dst) + lengthSize
	dst = append(dst, 0, 0, 0, 0)
	switch value.(type) {
	case map[string]any, []any:
		dst, err = appendTree(dst, value, depth+1)
	default:
		var text Text
		if text, err = Marshal(value); err == nil {
			dst, err = appendValue(dst, value, text)
		}
	}
	if len(dst)-start > 1<<31-1 {
		return dst, errors.New("a value in it is larger than 2 GiB")
	}
	binary.BigEndian.PutUint32(dst[start-lengthSize:], uint32(len(dst)-start))
	return dst, err
}

// A treeReader reads a tree.
type treeReader struct{ rest []byte }

func decodeTree(payload []byte, depth int) (any, error) {
	if len(payload) == 0 || depth > maxNesting {
		return nil, errValue
	}
	shape, r := payload[0], treeReader{payload[1:]}
	var value any
	var err error
	switch shape {
	case treeNilMap:
		value = map[string]any(nil)
	case treeNilSlice:
		value = []any(nil)
	case treeMap:
		value, err = r.entries(depth)
	case treeSlice:
		value, err = r.elements(depth)
	default:
		err = errValue
	}
	if err == nil && len(r.rest) > 0 {
		err = errValue
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// count reads how many things follow, each of at least size bytes.
func (r *treeReader) count(size int) (int, error) {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 || n > uint64((len(r.rest)-used)/size) {
		return 0, errValue
	}
	r.rest = r.rest[used:]
	return int(n), nil
}

func (r *treeReader) entries(depth int) (map[string]any, error) {
	n, err := r.count(1 + lengthSize + 1)
	if err != nil {
		return nil, err
	}
	m, last := make(map[string]any, n), ""
	for i := range n {
		size, err := r.count(1)
		if err != nil {
			return nil, err
		}
		key := string(r.rest[:size])
		r.rest = r.rest[size:]
		if i > 0 && key <= last {
			return nil, errValue // written in order, each once
		}
		last = key
		if m[key], err = r.branch(depth); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (r *treeReader) elements(depth int) ([]any, error) {
	n, err := r.count(lengthSize + 1)
	if err != nil {
		return nil, err
	}
	s := make([]any, n)
	for i := range s {
		if s[i], err = r.branch(depth); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (r *treeReader) branch(depth int) (any, error) {
	if len(r.rest) < lengthSize {
		return nil, errValue
	}
	size := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[lengthSize:]
	if size == 0 || uint64(size) > uint64(len(r.rest)) {
		return nil, errValue
	}
	encoded := r.rest[:size]
	r.rest = r.rest[size:]
	if encoded[0] == kindTree {
		return decodeTree(encoded[1:], depth+1)
	}
	return Decode(encoded)
}

// treeTo makes a tree a T, by way of JSON unless it is one.
func treeTo[T any](tree any) (T, error) {
	if exact, ok := tree.(T); ok {
		return exact, nil
	}
	text, err := json.Marshal(tree)
	if err == nil && replaced(text) {
		err = errors.New("a string in it is not valid UTF-8, which JSON cannot keep")
	}
	if err != nil {
		var t T
		return t, err
	}
	return decodeJSON[T](text)
}
