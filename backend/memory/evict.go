package memory

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// sample is the number of entries of a list that an eviction looks at. Lists
// that are no longer than this are looked at whole.
const sample = 32

// reserve is the part of the bounds, one in reserve, that sessions of users
// never take: who is about to log in is anonymous still.
const reserve = 16

// heavy is how many sessions a user may have before they are the first to go
// when another user needs room.
const heavy = 16

// Evicted returns how many live sessions had to go because the store was at
// one of its bounds. Expired ones that made room are not counted.
//
// What is evicted: an expired session, if one comes into view. Else a new anonymous
// session takes the place of an anonymous one, and never of a user's. A user's
// session, new or grown, takes the place of an anonymous one, until fifteen in
// sixteen are of users; then that of another session of the same user; and if
// there is none, that of a user who has more than 16, or of any. So whoever
// fills the store displaces sessions of their own kind. Among those that may go it
// is the one that was not used for longest, out of a sample of 32. A use is any call that finds the session.
func (s *Store) Evicted() uint64 { return s.evicted.Load() }

// A bound is a largest usage.
type bound struct{ sessions, bytes int64 }

// A usage is what some of the records take.
type usage struct {
	sessions atomic.Int64
	bytes    atomic.Int64 // see cost
}

func (u *usage) over(b bound) bool { return u.sessions.Load() > b.sessions || u.bytes.Load() > b.bytes }

func (u *usage) add(sessions, bytes int64) {
	if sessions != 0 {
		u.sessions.Add(sessions)
	}
	u.bytes.Add(bytes)
}

// account notes what came and went.
func (s *Store) account(k kind, sessions, bytes int64) {
	s.all.add(sessions, bytes)
	if k == named {
		s.named.add(sessions, bytes)
	}
}

// fits refuses a record that is larger than all that may be stored of its
// kind.
func (s *Store) fits(verb string, r *record) error {
	limit := s.max.bytes
	if r.kind() == named {
		limit = s.maxNamed.bytes
	}
	if r.cost() > limit {
		return fmt.Errorf("memory: %s a record of more bytes than Options.MaxBytes leaves for one (%d): %w", verb, limit, backend.ErrTooLarge)
	}
	return nil
}

// errFull is for an anonymous record that only users could make room for.
var errFull = errors.New("memory: all but a sixteenth of Options.MaxSessions and MaxBytes is taken by sessions of users, " +
	"and this anonymous one is larger than what is left: raise them")

// makeRoom removes entries until the store is within its bounds. newest, of
// user, is the one that came in or grew: it goes last.
func (s *Store) makeRoom(newest uuid.UUID, user string) error {
	if !s.all.over(s.max) && (user == "" || !s.named.over(s.maxNamed)) {
		return nil
	}
	s.evicting.Lock()
	defer s.evicting.Unlock()
	now := nowMilli()
	for user != "" && s.named.over(s.maxNamed) && s.evictNamed(newest, user, now) {
	}
	for s.all.over(s.max) {
		if s.evictAny(anonymous, newest, now) {
			continue
		}
		if user == "" {
			s.drop(newest)
			return fmt.Errorf("%w: %w", errFull, backend.ErrTooLarge)
		}
		if !s.evictNamed(newest, user, now) {
			break
		}
	}
	return nil
}

// drop removes the entry of id, if it is there.
func (s *Store) drop(id uuid.UUID) {
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sl, ok := sh.index[id]; ok {
		s.remove(sh, sl)
	}
}

// evictNamed removes one session of a user, of the same one if that has others
// than keep. It reports false if there is none but keep.
func (s *Store) evictNamed(keep uuid.UUID, user string, now int64) bool {
	return s.evictOwn(keep, user, now) || s.evictAny(named, keep, now)
}

// evictOwn removes the least recently used of up to sample sessions of user,
// or an expired one.
func (s *Store) evictOwn(keep uuid.UUID, user string, now int64) bool {
	for range 3 { // it may be gone when we get to it
		var ids [sample + 1]uuid.UUID
		n := 0
		s.users.some(user, len(ids), func(id uuid.UUID) {
			if id != keep {
				ids[n] = id
				n++
			}
		})
		if n == 0 {
			return false
		}
		victim, oldest := ids[0], int64(0)
		for i, id := range ids[:n] {
			if used := s.lastUse(id, now); i == 0 || used < oldest {
				victim, oldest = id, used
			}
		}
		if s.evictID(victim, user, now) {
			return true
		}
	}
	return false
}

// lastUse returns when the entry of id was used; 0 if it has expired or is not
// there.
func (s *Store) lastUse(id uuid.UUID, now int64) int64 {
	sh := s.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if e := sh.live(id, now); e != nil {
		return e.used.Load()
	}
	return 0
}

// evictID removes the entry of id if it is still there, and user's.
func (s *Store) evictID(id uuid.UUID, user string, now int64) bool {
	sh := s.shard(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sl, ok := sh.index[id]
	if !ok || sh.at(sl).user != user {
		return false
	}
	s.evictAt(sh, sl, now)
	return true
}

// evictAt removes an entry of sh, which the caller has locked, and counts it if
// it was live.
func (s *Store) evictAt(sh *shard, sl slot, now int64) {
	if !sh.at(sl).expired(now) {
		s.evicted.Add(1)
	}
	s.remove(sh, sl)
}

// evictAny removes one entry of kind k, or an expired one of any, and reports
// false if there is none but keep.
func (s *Store) evictAny(k kind, keep uuid.UUID, now int64) bool {
	s.hand++
	if s.reclaim(s.shardAt(s.hand), k, now) {
		return true
	}
	for i := range uint32(len(s.shards)) {
		sh := s.shardAt(s.hand + i)
		if sh.size[k].Load() > 0 && s.evictFrom(sh, k, keep, now) {
			return true
		}
	}
	return false
}

func (s *Store) shardAt(n uint32) *shard { return &s.shards[n%uint32(len(s.shards))] }

// reclaim removes an expired entry of sh, if the samples hold one: of a user
// if one of a user has to go.
func (s *Store) reclaim(sh *shard, k kind, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for ; k < kinds; k++ {
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
// sh, of a user with more than heavy sessions if there is one, or an expired
// one.
func (s *Store) evictFrom(sh *shard, k kind, keep uuid.UUID, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := sh.lists[k]
	victim, ofHeavy := -1, false
	for pos := range s.sample(len(list)) {
		e := &list[pos]
		if e.id == keep {
			continue
		}
		if e.expired(now) {
			s.remove(sh, newSlot(k, pos))
			return true
		}
		switch isHeavy := k == named && s.users.count(e.user) > heavy; {
		case victim < 0, isHeavy && !ofHeavy:
			victim, ofHeavy = pos, isHeavy
		case isHeavy == ofHeavy && e.used.Load() < list[victim].used.Load():
			victim = pos
		}
	}
	if victim < 0 {
		return false
	}
	s.evictAt(sh, newSlot(k, victim), now)
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
