package memory

import (
	"context"
	"math"

	"github.com/chisession/session/backend"
)

// sweepChunk is the number of entries that are looked at under one lock.
const sweepChunk = 1000

// Sweep removes up to limit expired records. It goes on where the Sweep
// before stopped, and holds a lock, of one shard, for at most 1000 entries.
// It ends early when ctx does.
func (s *Store) Sweep(ctx context.Context, limit int) (int, error) {
	if s.closed.Load() {
		return 0, backend.ErrClosed
	}
	now := nowMilli()
	removed := 0
	from := s.sweepFrom.Load()
	for i := range uint32(len(s.shards)) {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		at := (from + i) % uint32(len(s.shards))
		removed += s.sweepShard(&s.shards[at], limit-removed, now)
		if removed >= limit {
			s.sweepFrom.Store(at)
			break
		}
	}
	return removed, nil
}

// sweepShard removes up to limit records of sh that have expired at now. It
// goes from the end to the beginning: entries only ever move towards the
// beginning, so none that was there is missed, whatever happens between two
// chunks.
func (s *Store) sweepShard(sh *shard, limit int, now int64) int {
	removed := 0
	for k := range kinds {
		for pos := math.MaxInt; pos > 0 && removed < limit; {
			var n int
			n, pos = s.sweepPart(sh, k, pos, limit-removed, now)
			removed += n
		}
	}
	return removed
}

// sweepPart removes up to limit expired entries among the sweepChunk ones
// before pos, under one lock, and returns how many, and where it stopped.
func (s *Store) sweepPart(sh *shard, k kind, pos, limit int, now int64) (removed, stopped int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	pos = min(pos, len(sh.lists[k]))
	for end := max(0, pos-sweepChunk); pos > end && removed < limit; {
		pos--
		if sh.lists[k][pos].expired(now) {
			s.remove(sh, newSlot(k, pos))
			removed++
		}
	}
	return removed, pos
}

// Count returns the number of live records. It looks at each: some tens of
// milliseconds for a million, without holding others up.
func (s *Store) Count(ctx context.Context) (int, error) {
	if s.closed.Load() {
		return 0, backend.ErrClosed
	}
	now := nowMilli()
	n := 0
	for i := range s.shards {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n += s.shards[i].countLive(now)
	}
	return n, nil
}

func (sh *shard) countLive(now int64) int {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	n := 0
	for _, list := range sh.lists {
		for i := range list {
			if !list[i].expired(now) {
				n++
			}
		}
	}
	return n
}
