package redisengine

import (
	"context"
	"sync/atomic"
	"time"
)

// readyFor is how long the replicas of a key's server are taken to follow, once
// they have proved it.
const readyFor = 100 * time.Millisecond

// followed remembers for which keys that was proved lately. It keeps the proof out
// of the way of a write that met a conflict and is made again at once: with others
// that write all the time, and prove nothing, it would never be the first.
type followed [256]atomic.Pointer[proof]

type proof struct {
	key string
	at  time.Time
}

// slot is where a key is remembered; the last bytes of most are random.
func (f *followed) slot(key string) *atomic.Pointer[proof] {
	n := len(key)
	if n < 2 {
		return &f[0]
	}
	return &f[key[n-1]^key[n-2]<<4]
}

// ready makes sure, before a write that must not be undone, that the replicas
// follow: by a write that changes nothing, and a WAIT. So ErrNotReplicated most
// often means that nothing was done, and a logout that it stops can be tried
// again by the user, who is still logged in.
func (s *Store) ready(ctx context.Context, key string) error {
	if s.opts.Replicas == 0 {
		return nil
	}
	slot := s.followed.slot(key)
	_, err := s.script(ctx, call{key: key, again: true, wait: true, args: []any{"ready"}})
	if err == nil {
		slot.Store(&proof{key, time.Now()})
	} else {
		slot.Store(nil)
	}
	return err
}

// readyAgain is ready for an Update, which may be one that has just met a conflict.
func (s *Store) readyAgain(ctx context.Context, key string) error {
	if p := s.followed.slot(key).Load(); p != nil && p.key == key && time.Since(p.at) < readyFor {
		return nil
	}
	return s.ready(ctx, key)
}
