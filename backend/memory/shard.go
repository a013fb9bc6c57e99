package memory

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// An entry is a record with the time of its last use: 80 bytes.
type entry struct {
	record
	used atomic.Int64 // Unix milliseconds; readers set it under the read lock, so atomically
}

// set makes e r, last used at used.
func (e *entry) set(r record, used int64) {
	e.record = r
	e.used.Store(used)
}

// A record is a backend.Record as it is kept.
type record struct {
	id      uuid.UUID
	data    []byte
	user    string
	version uint64
	expires int64 // Unix milliseconds; from then on it does not exist
}

// newRecord is rec at version 1.
func newRecord(rec backend.Record) record {
	return record{id: rec.ID, data: rec.Data, user: rec.User, version: 1, expires: rec.Expires.UnixMilli()}
}

func (r *record) expired(now int64) bool { return r.expires <= now }

// cost is what r takes of Options.MaxBytes. A slice keeps all that it was made
// with in memory, so its capacity counts.
func (r *record) cost() int64 {
	cost := int64(cap(r.data)) + overhead
	if r.user != "" {
		cost += int64(len(r.user)) + userOverhead
	}
	return cost
}

func (r *record) kind() kind {
	if r.user == "" {
		return anonymous
	}
	return named
}

func (r *record) public() backend.Record {
	return backend.Record{ID: r.id, Version: r.version, Expires: time.UnixMilli(r.expires), User: r.user, Data: r.data}
}

// head is public with Data cut after what a list needs.
func (r *record) head() backend.Record {
	rec := r.public()
	size := min(len(rec.Data), backend.HeadSize)
	rec.Data = rec.Data[:size:size] // so that nobody appends to what follows
	return rec
}

// markRead notes a read, to a second: a session that is read all the time is
// not written to each time, which would cost the other core its cached copy.
func (e *entry) markRead(now int64) {
	if now-e.used.Load() >= 1000 {
		e.used.Store(now)
	}
}

// A kind is one of a shard's two lists. Anonymous sessions are kept apart
// because they are evicted first.
type kind uint32

const (
	anonymous kind = iota
	named
	kinds
)

// A slot says where in a shard an entry is: its list in the lowest bit, its
// position in the others.
type slot uint32

func newSlot(k kind, pos int) slot { return slot(pos)<<1 | slot(k) }
func (sl slot) kind() kind         { return kind(sl & 1) }
func (sl slot) pos() int           { return int(sl >> 1) }

// A shard holds the records of some IDs: in lists without gaps, so that a
// sweep and an eviction can look at them by position, a few at a time, and an
// index to find them by ID. An entry leaves by the last one taking its place.
type shard struct {
	mu    sync.RWMutex // guards the rest
	index map[uuid.UUID]slot
	lists [kinds][]entry
	high  int                 // the most entries since the last shrink
	size  [kinds]atomic.Int32 // lengths of lists, readable without the lock

	_ [128 - 24 - 8 - 48 - 8 - 8]byte // two cache lines: neighbours do not disturb each other
}

// A shard has about entriesPerShard entries when the store is full: few
// enough that all that is done to a shard as a whole is done in a moment, and so
// many that a few sessions are not spread over shards that no cache holds.
const (
	entriesPerShard = 2048
	maxShards       = 4096
)

// shardsFor returns the number of shards, a power of two.
func shardsFor(maxSessions int) int {
	if maxSessions >= entriesPerShard*maxShards {
		return maxShards
	}
	return 1 << bits.Len(uint(maxSessions/entriesPerShard))
}

// shard returns the one for id, by its last bytes: they are random, while the
// first ones of a UUIDv7 are the time.
func (s *Store) shard(id uuid.UUID) *shard {
	n := uint(id[15]) | uint(id[14])<<8
	return &s.shards[n&uint(len(s.shards)-1)]
}

func (sh *shard) at(sl slot) *entry { return &sh.lists[sl.kind()][sl.pos()] }

// live returns the entry of id, or nil if there is none or it has expired.
// It is valid as long as the lock is held and nothing is added or removed.
func (sh *shard) live(id uuid.UUID, now int64) *entry {
	sl, ok := sh.index[id]
	if !ok {
		return nil
	}
	e := sh.at(sl)
	if e.expired(now) {
		return nil
	}
	return e
}

func (sh *shard) len() int { return len(sh.lists[anonymous]) + len(sh.lists[named]) }

// add puts r, whose ID is not there, into sh, which the caller has locked.
func (s *Store) add(sh *shard, r record, now int64) {
	if sh.index == nil {
		sh.index = make(map[uuid.UUID]slot)
	}
	k := r.kind()
	pos := len(sh.lists[k])
	sh.index[r.id] = newSlot(k, pos)
	sh.lists[k] = append(sh.lists[k], entry{})
	sh.lists[k][pos].set(r, now)
	sh.size[k].Add(1)
	sh.high = max(sh.high, sh.len())
	if k == named {
		s.users.add(r.user, r.id)
	}
	s.account(k, 1, r.cost())
}

// remove takes the entry at sl out of sh, which the caller has locked. Others
// may move, and only to lower positions.
func (s *Store) remove(sh *shard, sl slot) {
	k, pos := sl.kind(), sl.pos()
	list := sh.lists[k]
	r := list[pos].record
	delete(sh.index, r.id)
	last := len(list) - 1
	if pos != last {
		list[pos].set(list[last].record, list[last].used.Load())
		sh.index[list[pos].id] = sl
	}
	list[last].set(record{}, 0) // let go of its data
	sh.lists[k] = list[:last]
	sh.size[k].Add(-1)
	if k == named {
		s.users.remove(r.user, r.id)
	}
	s.account(k, -1, -r.cost())
	if sh.high >= shrinkAbove && sh.len() < sh.high/4 {
		sh.shrink()
	}
}

// shrinkAbove is the size below which giving memory back is not worth it.
const shrinkAbove = 16

// shrink gives back what a crowd that has left took: neither slices nor maps
// do so by themselves.
func (sh *shard) shrink() {
	sh.high = sh.len()
	sh.index = make(map[uuid.UUID]slot, sh.high)
	for k, list := range sh.lists {
		sh.lists[k] = append(make([]entry, 0, len(list)), list...)
		for pos := range list {
			sh.index[list[pos].id] = newSlot(kind(k), pos)
		}
	}
}

func (sh *shard) clear() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.index, sh.high = nil, 0
	for k := range sh.lists {
		sh.lists[k] = nil
		sh.size[k].Store(0)
	}
}
