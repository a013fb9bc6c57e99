package record

import (
	"encoding/binary"
	"errors"
	"math"
)

// A Body is the encoded form of a session's values: immutable, sorted by key,
// and readable in place, so that reading one value of a thousand costs ten
// comparisons and decodes one value.
//
//	body    = nothing | width count ends entries kept
//	width   = 1 byte: 1, 2 or 4, the bytes of each end
//	count   = uvarint, 0 only where something is kept
//	ends    = count × width bytes, big-endian: where each entry ends
//	entry   = uvarint length of key, key, value
//	value   = kind byte, payload (see appendValue)
//	kept    = the library's own, which the program neither sees nor changes: see Keep
//
// Every access checks its bounds: bytes that were not written by this code
// give wrong answers at worst, never a panic. check does it for all at once.
type Body struct {
	data  []byte // up to kept, which takes the rest of its capacity
	count uint32
	first uint32 // where the entries begin, after the ends
	width uint8
}

var errBody = errors.New("values are damaged")

// parseBody reads the frame of a body, not its entries: that is constant work.
func parseBody(b []byte) (Body, error) {
	switch {
	case len(b) == 0:
		return Body{}, nil
	case uint64(len(b)) > math.MaxUint32:
		return Body{}, errBody
	}
	width := int(b[0])
	count, n := binary.Uvarint(b[1:])
	if (width != 1 && width != 2 && width != 4) || n <= 0 || count > uint64(len(b)/(width+2)) {
		return Body{}, errBody
	}
	first := uint64(1+n) + count*uint64(width)
	if first > uint64(len(b)) {
		return Body{}, errBody
	}
	v := Body{data: b, count: uint32(count), first: uint32(first), width: uint8(width)}
	size := uint(0)
	if count > 0 {
		size = v.end(v.len() - 1)
	}
	if size > uint(v.size()) {
		return Body{}, errBody
	}
	v.data = b[: uint(first)+size : len(b)]
	return v, nil
}

// len returns the number of entries.
func (b *Body) len() int { return int(b.count) }

// end returns where the entry number i ends, counted from the first. It is unsigned,
// as an int of 32 bits would be negative where the bytes are damaged.
func (b *Body) end(i int) uint {
	switch at := b.data[int(b.first)-(b.len()-i)*int(b.width):]; {
	case b.width == 1:
		return uint(at[0])
	case b.width == 2:
		return uint(binary.BigEndian.Uint16(at))
	default:
		return uint(binary.BigEndian.Uint32(at))
	}
}

// at returns the key and the value of the entry number i; a nil value if the
// bytes are damaged.
func (b *Body) at(i int) (key, value []byte) {
	start := uint(0)
	if i > 0 {
		start = b.end(i - 1)
	}
	end := b.end(i)
	if start >= end || end > uint(b.size()) {
		return nil, nil
	}
	entries := b.data[b.first:]
	entry := entries[start:end:end]
	size, n := binary.Uvarint(entry)
	if n <= 0 || size >= uint64(len(entry)-n) {
		return nil, nil
	}
	return entry[n : n+int(size)], entry[n+int(size):]
}

// Find returns the encoded value of key, nil if there is none.
func (b *Body) Find(key string) []byte {
	low, high := 0, b.len()
	for low < high {
		mid := int(uint(low+high) >> 1)
		k, value := b.at(mid)
		switch {
		case string(k) == key:
			return value
		case string(k) < key:
			low = mid + 1
		default:
			high = mid
		}
	}
	return nil
}

// size returns the bytes that keys and values take.
func (b *Body) size() int { return len(b.data) - int(b.first) }

// Kept returns what is kept in b, nil if that is nothing. It is not to be changed.
//
// This and Keep are functions because a program that uses html/template has all
// methods of these types in it, and only package devicebound needs these.
func Kept(b *Body) []byte {
	if cap(b.data) == len(b.data) {
		return nil
	}
	return b.data[len(b.data):cap(b.data)]
}

// entrySize returns the bytes that an entry takes.
func entrySize(key string, value []byte) int {
	return uvarintLen(uint64(len(key))) + len(key) + len(value)
}

func uvarintLen(x uint64) int {
	n := 1
	for ; x >= 0x80; x >>= 7 {
		n++
	}
	return n
}

// appendBody appends base with changes (sorted by key) laid over it.
func appendBody(dst []byte, base *Body, changes []change) []byte {
	count, size := mergedSize(base, changes)
	if count == 0 && cap(base.data) == len(base.data) {
		return dst
	}
	width := endWidth(size)
	dst = append(dst, byte(width))
	dst = binary.AppendUvarint(dst, uint64(count))
	table := len(dst)
	dst = append(dst, make([]byte, count*width)...)
	start := len(dst)
	i := 0
	merge(base, changes, func(key string, k, value []byte) {
		if k != nil {
			dst = binary.AppendUvarint(dst, uint64(len(k)))
			dst = append(dst, k...)
		} else {
			dst = binary.AppendUvarint(dst, uint64(len(key)))
			dst = append(dst, key...)
		}
		dst = append(dst, value...)
		putEnd(dst[table+i*width:], width, len(dst)-start)
		i++
	})
	return append(dst, base.data[len(base.data):cap(base.data)]...)
}

func putEnd(at []byte, width, end int) {
	switch {
	case width == 1:
		at[0] = byte(end)
	case width == 2:
		binary.BigEndian.PutUint16(at, uint16(end))
	default:
		binary.BigEndian.PutUint32(at, uint32(end))
	}
}

// bodyLen returns the exact length of a body of that many entries and bytes, and of
// what is kept in base.
func bodyLen(base *Body, count, size int) int {
	kept := cap(base.data) - len(base.data)
	if count == 0 && kept == 0 {
		return 0
	}
	return 1 + uvarintLen(uint64(count)) + count*endWidth(size) + size + kept
}

// endWidth returns the bytes that it takes to say where an entry of a body of
// that size ends.
func endWidth(size int) int {
	switch {
	case size <= math.MaxUint8:
		return 1
	case size <= math.MaxUint16:
		return 2
	}
	return 4
}

func mergedSize(base *Body, changes []change) (count, size int) {
	count, size = base.len(), base.size()
	for i := range changes {
		c := &changes[i]
		if old := base.Find(c.key); old != nil {
			count--
			size -= entrySize(c.key, old)
		}
		if c.value != nil {
			count++
			size += entrySize(c.key, c.value)
		}
	}
	return count, size
}

// merge calls emit for every entry of base with changes laid over it, in the
// order of the keys: with k for one of base, with key for a changed one.
func merge(base *Body, changes []change, emit func(key string, k, value []byte)) {
	for i := range base.len() {
		k, value := base.at(i)
		if value == nil {
			continue // damaged; parseRecord refuses such a body where it can happen
		}
		for len(changes) > 0 && changes[0].key < string(k) {
			if changes[0].value != nil {
				emit(changes[0].key, nil, changes[0].value)
			}
			changes = changes[1:]
		}
		if len(changes) > 0 && changes[0].key == string(k) {
			if changes[0].value != nil {
				emit(changes[0].key, nil, changes[0].value)
			}
			changes = changes[1:]
			continue
		}
		emit("", k, value)
	}
	for i := range changes {
		if changes[i].value != nil {
			emit(changes[i].key, nil, changes[i].value)
		}
	}
}
