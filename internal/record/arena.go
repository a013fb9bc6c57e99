package record

// An arena is where the encoded values of one request's changes are kept, so
// that a few small ones cost no allocation each. What is in it is never
// changed. A value that was replaced by another Set is garbage in it: large
// values therefore have memory of their own, and compact drops the small ones.
type arena struct {
	chunk []byte
	next  int // what room gave out last: it begins here in chunk, or -1
	held  int // bytes of all chunks that changes may refer to
	most  int // bytes that held may reach
}

const (
	ownMemory  = 1 << 10 // bytes above which a value is not put into a chunk
	chunkBytes = 4 << 10 // of the largest chunk
	slackBytes = 16 << 10
)

// room returns an empty slice with room for n bytes. If what is written there
// is to stay, keep has to follow; if not, it is used again.
func (a *arena) room(n int) []byte {
	if n > ownMemory {
		a.next = -1
		return make([]byte, 0, n)
	}
	a.next = len(a.chunk)
	if cap(a.chunk)-a.next < n {
		size := max(n, min(2*cap(a.chunk), chunkBytes))
		a.chunk, a.next = make([]byte, 0, size), 0
		a.held += size
	}
	return a.chunk[a.next:a.next:cap(a.chunk)]
}

// keep keeps what was written into the last room. It reports whether compact
// should follow.
func (a *arena) keep(b []byte) (full bool) {
	if a.next < 0 {
		return false
	}
	a.chunk = a.chunk[:a.next+len(b)]
	return a.held > max(a.most, slackBytes)
}

// compact moves the small values of changes into memory of their own, so that
// those which none of them holds any more are given up.
func (a *arena) compact(changes []change) {
	size := 0
	for i := range changes {
		if n := len(changes[i].value); n <= ownMemory {
			size += n
		}
	}
	kept := make([]byte, 0, size)
	for i := range changes {
		if value := changes[i].value; value != nil && len(value) <= ownMemory {
			start := len(kept)
			kept = append(kept, value...)
			changes[i].value = kept[start:len(kept):len(kept)]
		}
	}
	a.chunk, a.held, a.most = nil, 0, slackBytes+2*size
}
