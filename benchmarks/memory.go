package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend/memory"
)

// A memoryPool is a pool in memory, with a library over it: its sessions have
// one secret, so that requests can come with the cookie of any.
type memoryPool struct {
	*pool
	lib    *ours
	player *player
	name   string // of the cookie, with "="
	secret []byte
}

// newMemoryPool returns a pool that has room for n.
func newMemoryPool(n int) (*memoryPool, error) {
	store, err := memory.New(memory.Options{MaxSessions: 2 * n, MaxBytes: math.MaxInt64})
	if err != nil {
		return nil, err
	}
	m := &memoryPool{pool: &pool{store: store, batch: 50_000}}
	if m.lib, err = newOurs(store); err != nil {
		return nil, err
	}
	if m.player, err = newPlayer("memory", m.lib, read); err != nil {
		return nil, err
	}
	name, token, _ := strings.Cut(m.player.cookie[0], "=")
	credentials, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, err
	}
	m.name, m.secret = name+"=", credentials[len(uuid.UUID{}):]
	first, err := store.Load(context.Background(), uuid.UUID(credentials[:len(uuid.UUID{})]))
	first.Expires = time.Now().Add(24 * time.Hour)
	m.copy = m.create(first)
	return m, err
}

// visitor returns requests that read sessions of m at random.
func (m *memoryPool) visitor() *visitor {
	return &visitor{n: m.n, visit: func(i int) func() error {
		id := numberedID(i)
		cookie := m.name + base64.RawURLEncoding.EncodeToString(slices.Concat(id[:], m.secret))
		return func() error {
			m.player.cookie[0] = cookie
			if m.player.serve(); m.player.w.failed != 0 {
				return fmt.Errorf("read session %d: status %d", i, m.player.w.status)
			}
			return nil
		}
	}}
}

func (m *memoryPool) close() error {
	return errors.Join(m.lib.m.Close(), m.store.(*memory.Store).Close())
}

// growMemory measures memory with 10,000 sessions, and with ten times as many
// again and again, up to most: what they take, what the garbage collector does,
// and reads.
func (rep *report) growMemory(most int, box time.Duration, p pace) error {
	t := table{
		section: growth, title: "memory: the number of sessions",
		head: []string{"sessions", "bytes each", "a GC cycle", "longest pause", "read, p50", "p99", "p99 during GC", "× that of " + thousands(few)},
		note: fmt.Sprintf("Whole requests, for sessions chosen at random; ten times as many sessions in each row, or as many as could be made in %v altogether. "+
			"The pause is that of one cycle, of five at most.", box),
	}
	small, err := newMemoryPool(few)
	if err != nil {
		return err
	}
	if err := small.fill(few, box); err != nil {
		return err
	}
	curves := [5]curve{{panel: panelBytes}, {panel: panelPause}, {panel: panelP50}, {panel: panelP99}, {panel: panelMemoryRead}}
	var last memorySize
	for n, start := few, time.Now(); n <= most; n *= 10 {
		if why := leftOut(n, box-time.Since(start)); why != "" {
			t.note += fmt.Sprintf(" **%s sessions were left out: %s.**", thousands(n), why)
			break
		}
		now, err := measureMemory(n, last.n, box-time.Since(start), small, p)
		if err != nil {
			return err
		}
		if now.n <= last.n {
			t.note += fmt.Sprintf(" **%s sessions were left out: there was time to make %s.**", thousands(n), thousands(now.n))
			break
		}
		last = now
		t.rows = append(t.rows, last.row())
		curves[0].points = append(curves[0].points, point{float64(last.n), last.bytes})
		for i, took := range []time.Duration{last.pause, last.p50, last.p99, last.during} {
			curves[i+1].add(last.n, took)
		}
	}
	for i := range curves {
		curves[i].kind = inMemory
	}
	rep.curves = append(rep.curves, curves[:]...)
	rep.tables = append(rep.tables, t)
	if v, ok := flatReads(inMemory, last.n, small.n, last.flat); ok {
		rep.verdicts = append(rep.verdicts, v)
	}
	rep.verdicts = append(rep.verdicts,
		atMost("memory: bytes a session, of "+thousands(last.n), last.bytes, 300, ""))
	return small.close()
}

// A memorySize is what was measured with n sessions.
type memorySize struct {
	n                int
	bytes            float64 // of a session
	cycle, pause     time.Duration
	p50, p99, during time.Duration
	flat             duel // with few sessions
}

func (m memorySize) row() []string {
	return []string{thousands(m.n), number(m.bytes), number(m.cycle.Seconds()*1000) + " ms", micros(m.pause),
		micros(m.p50), micros(m.p99), micros(m.during), spread(m.flat)}
}

// measureMemory makes n sessions in half of box, or as many as it can, and
// measures them in the other, if they are more than fewer.
func measureMemory(n, fewer int, box time.Duration, small *memoryPool, p pace) (s memorySize, err error) {
	before := heapNow()
	m, err := newMemoryPool(n)
	if err != nil {
		return s, err
	}
	defer debug.FreeOSMemory() // what follows is not to feel it
	if err := m.fill(n, box/2); err != nil {
		return s, err
	}
	if s.n = m.n; s.n <= fewer {
		return s, m.close()
	}
	s.bytes = float64(heapNow()-before) / float64(m.n)
	s.cycle, s.pause = collections(5, p.most)
	v := m.visitor()
	if s.flat, err = compare(v, small.visitor(), p); err != nil {
		return s, fmt.Errorf("memory: %d sessions: %w", n, err)
	}
	s.p50, s.p99 = v.percentiles()
	if s.during, err = m.duringGC(p.most / 2); err != nil {
		return s, err
	}
	return s, m.close()
}
