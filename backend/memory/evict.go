package memory

import "github.com/google/uuid"

// sample is the number of entries of a list that an eviction looks at. Lists
// that are no longer than this are looked at whole.
const sample = 32

// Evicted returns how many live sessions had to go because the store was at
// one of its bounds. Expired ones that made room are not counted.
//
// Who goes: an expired session if one comes into view, else an anonymous one
// (there is none left when the first session of a user goes, so a flood of
// anonymous ones only displaces itself), and among those the one that was not
// used for longest out of a sample of 32. A use is any call that finds the
// session.
func (s *Store) Evicted() uint64 { return s.evicted.Load() }

func (s *Store) over() bool {
	return s.count.Load() > s.maxSessions || s.bytes.Load() > s.maxBytes
}

// evict removes entries until the store is within its bounds, but not keep,
// which came in last.
func (s *Store) evict(keep uuid.UUID) {
	s.evicting.Lock()
	defer s.evicting.Unlock()
	now := nowMilli()
	for s.over() && s.evictOne(keep, now) {
	}
}

// evictOne removes one entry, and reports false if there is none but keep.
func (s *Store) evictOne(keep uuid.UUID, now int64) bool {
	s.hand++
	if s.reclaim(s.shardAt(s.hand), now) {
		return true
	}
	for k := range kinds {
		for i := range uint32(len(s.shards)) {
			sh := s.shardAt(s.hand + i)
			if sh.size[k].Load() > 0 && s.evictFrom(sh, k, keep, now) {
				return true
			}
		}
	}
	return false
}

func (s *Store) shardAt(n uint32) *shard { return &s.shards[n%uint32(len(s.shards))] }

// reclaim removes an expired entry of sh, if the samples hold one.
func (s *Store) reclaim(sh *shard, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for k := range kinds {
		list := sh.lists[k]
		for pos := range s.sample(len(list)) {
			if list[pos].expired(now) {
				s.remove(sh, newSlot(k, pos))
				return true
			}
		}
	}
	return false
}

// evictFrom removes the least recently used entry of a sample of one list of
// sh, or an expired one.
func (s *Store) evictFrom(sh *shard, k kind, keep uuid.UUID, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := sh.lists[k]
	victim := -1
	for pos := range s.sample(len(list)) {
		if list[pos].id == keep {
			continue
		}
		if list[pos].expired(now) {
			s.remove(sh, newSlot(k, pos))
			return true
		}
		if victim < 0 || list[pos].used.Load() < list[victim].used.Load() {
			victim = pos
		}
	}
	if victim < 0 {
		return false
	}
	s.remove(sh, newSlot(k, victim))
	s.evicted.Add(1)
	return true
}

// sample yields up to sample positions of a list of n, spread evenly and
// beginning at another place each time: neighbours came at the same time, so
// a run of them would say little about the list.
func (s *Store) sample(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		step := max(1, n/sample)
		first := int(s.hand * 2654435761 >> 8) // scrambled (Knuth's 2³²/φ): the hand also chose the shard
		for i := range min(n, sample) {
			if !yield((first + i*step) % n) {
				return
			}
		}
	}
}
