package memory

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// ByUser returns the live records of user, none for the empty name, with the
// first [backend.HeadSize] bytes of their Data, which are not copied. To be
// listed is not to be used: it saves no session from eviction. The index
// behind it is exact: it changes under the lock that the record changes under.
func (s *Store) ByUser(_ context.Context, user string) ([]backend.Record, error) {
	if s.closed.Load() {
		return nil, backend.ErrClosed
	}
	ids := s.users.ids(user)
	recs := make([]backend.Record, 0, len(ids))
	for _, id := range ids {
		rec, ok := s.glance(id)
		if ok && rec.User == user { // it may have changed hands meanwhile
			recs = append(recs, rec)
		}
	}
	if s.closed.Load() {
		return nil, backend.ErrClosed // records that are missing were let go
	}
	return recs, nil
}

// glance returns the live record of id, its Data cut after the head.
func (s *Store) glance(id uuid.UUID) (backend.Record, bool) {
	sh := s.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	e := sh.live(id, nowMilli())
	if e == nil {
		return backend.Record{}, false
	}
	return e.head(), true
}

const userShards = 256

// A userIndex says which records are whose. Its locks are taken inside those
// of the record shards, never around them.
type userIndex struct {
	seed   maphash.Seed
	shards []userShard
}

type userShard struct {
	mu    sync.RWMutex // guards the rest
	users map[string]idSet
	high  int // the most users since the last shrink
}

// An idSet is a set of at least one ID. Most users have one session: it costs
// no allocation.
type idSet struct {
	one  uuid.UUID
	more map[uuid.UUID]struct{}
}

func newUserIndex() userIndex {
	return userIndex{seed: maphash.MakeSeed(), shards: make([]userShard, userShards)}
}

func (x *userIndex) shard(user string) *userShard {
	return &x.shards[maphash.String(x.seed, user)%userShards]
}

// ids returns the IDs of user's records, in a slice of the caller's own.
func (x *userIndex) ids(user string) []uuid.UUID {
	sh := x.shard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	set, ok := sh.users[user]
	if !ok {
		return nil
	}
	ids := make([]uuid.UUID, 0, 1+len(set.more))
	ids = append(ids, set.one)
	for id := range set.more {
		ids = append(ids, id)
	}
	return ids
}

// some calls yield with up to n IDs of user's records, whichever.
func (x *userIndex) some(user string, n int, yield func(uuid.UUID)) {
	sh := x.shard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	set, ok := sh.users[user]
	if !ok {
		return
	}
	yield(set.one)
	for id := range set.more {
		if n--; n <= 0 {
			return
		}
		yield(id)
	}
}

// count returns how many records are user's.
func (x *userIndex) count(user string) int {
	sh := x.shard(user)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	set, ok := sh.users[user]
	if !ok {
		return 0
	}
	return 1 + len(set.more)
}

// add enters id, which is not there.
func (x *userIndex) add(user string, id uuid.UUID) {
	sh := x.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	set, ok := sh.users[user]
	switch {
	case !ok:
		set.one = id
	case set.more == nil:
		set.more = map[uuid.UUID]struct{}{id: {}}
	default:
		set.more[id] = struct{}{}
		return
	}
	if sh.users == nil {
		sh.users = make(map[string]idSet)
	}
	sh.users[user] = set
	sh.high = max(sh.high, len(sh.users))
}

// remove takes out id, which is there.
func (x *userIndex) remove(user string, id uuid.UUID) {
	sh := x.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	set := sh.users[user]
	if set.one != id {
		delete(set.more, id)
	} else if len(set.more) == 0 {
		delete(sh.users, user)
		sh.shrink()
		return
	} else {
		for set.one = range set.more {
			break
		}
		delete(set.more, set.one)
	}
	if len(set.more) == 0 {
		set.more = nil
	}
	sh.users[user] = set
}

// shrink gives memory back after most users have left: maps do not.
func (sh *userShard) shrink() {
	if sh.high < shrinkAbove || len(sh.users) >= sh.high/4 {
		return
	}
	users := make(map[string]idSet, len(sh.users))
	for user, set := range sh.users {
		users[user] = set
	}
	sh.users, sh.high = users, len(users)
}

func (x *userIndex) clear() {
	for i := range x.shards {
		x.shards[i].clear()
	}
}

func (sh *userShard) clear() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.users, sh.high = nil, 0
}
