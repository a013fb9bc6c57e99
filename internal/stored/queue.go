package stored

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// queueFor is how long a commit waits for those of the same session in front
// of it. After that it goes to the store all the same, where the version tells
// what came first: the queue saves conflicts, it is not needed for anything.
const queueFor = 100 * time.Millisecond

// queues let the commits of one process to one session go to the store one
// after the other, so that they do not collide there for nothing. Each session
// has a queue of its own, for as long as somebody is in it.
type queues [64]queueShard

// A queueShard has the queues of some sessions: as many as are being stored at the
// moment, which is none or one most of the time.
type queueShard struct {
	mu  sync.Mutex // guards all, and what it refers to
	all []*queue   // those in use, and after them, up to its capacity, some to be used again
	_   [32]byte
}

type queue struct {
	id   uuid.UUID
	n    int       // how many are in it, with the one at its head
	head chan turn // who takes what is in it is the new head
}

// of returns the queue of id, nil if nobody is in it.
func (sh *queueShard) of(id uuid.UUID) *queue {
	for _, one := range sh.all {
		if one.id == id {
			return one
		}
	}
	return nil
}

// open makes a queue of id, with the one at its head.
func (sh *queueShard) open(id uuid.UUID) {
	n := len(sh.all)
	if n == cap(sh.all) {
		sh.all = append(sh.all, nil)
	}
	sh.all = sh.all[:n+1]
	if sh.all[n] == nil {
		sh.all[n] = &queue{}
	}
	sh.all[n].id, sh.all[n].n = id, 1
}

// close gives up a queue that the last one has left.
func (sh *queueShard) close(q *queue) {
	i, last := slices.Index(sh.all, q), len(sh.all)-1
	sh.all[i], sh.all[last] = sh.all[last], q
	sh.all = sh.all[:last]
}

// A turn is the place at the head of a queue. The zero turn is no place.
type turn struct {
	of *queues
	id uuid.UUID

	// stored is what the one before stored, if it did: the newest record, as
	// far as this process knows. Whoever waited behind it has an older one.
	stored backend.Record
}

// enter waits until the head of id's queue is reached, but not for long: after
// queueFor, or when ctx ends, it returns the zero turn.
func (q *queues) enter(ctx context.Context, id uuid.UUID) turn {
	shard := &q[id[15]&63]
	shard.mu.Lock()
	one := shard.of(id)
	if one == nil {
		shard.open(id)
		shard.mu.Unlock()
		return turn{of: q, id: id}
	}
	one.n++
	if one.head == nil {
		one.head = make(chan turn, 1)
	}
	shard.mu.Unlock()
	timer := time.NewTimer(queueFor)
	defer timer.Stop()
	select {
	case t := <-one.head:
		return t
	case <-timer.C:
	case <-ctx.Done():
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	select {
	case t := <-one.head: // at this very moment
		return t
	default:
	}
	one.n--
	return turn{}
}

// leave lets the next one go, and hands it what was stored.
func (t *turn) leave() {
	if t.of == nil {
		return
	}
	shard := &t.of[t.id[15]&63]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	one := shard.of(t.id)
	if one.n--; one.n > 0 {
		one.head <- *t // it is empty: its last one is leaving
		return
	}
	shard.close(one)
}
