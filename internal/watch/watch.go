// Package watch tells when sessions end that others may end: one goroutine asks
// the store about all of them, some hundred at a time. It knows a session by the
// credentials that it was loaded with: it has ended when these open it no more,
// because it was deleted, has expired, or has another secret.
package watch

import (
	"log/slog"
	"sync"
	"time"

	"github.com/chisession/session/internal/stored"
)

// A Session is what a [Poller] has to know of a session. It is called from the
// poller's goroutine, with no lock held.
type Session interface {
	// Stored makes c the copy of its record, as the session knows it. It
	// reports false if it has none now, or one that is being written.
	Stored(c *stored.Copy) bool

	// Ended is told that what Stored said, c, is no session any more. It
	// calls Watch.End, unless the session is another one by now.
	Ended(c *stored.Copy)
}

// A Watch is one session that is watched.
type Watch struct {
	poller *Poller
	of     Session
	over   chan struct{}
	once   sync.Once

	copy stored.Copy // the newest that is known; the poller's own
}

// Over returns a channel that End closes.
func (w *Watch) Over() <-chan struct{} { return w.over }

// End closes the channel, and has the poller forget the watch. It may be called
// more than once, and waits for nothing.
func (w *Watch) End() {
	w.once.Do(func() {
		close(w.over)
		w.poller.forget(w)
	})
}

// A Poller watches the sessions of one store. Its goroutine runs while there are
// any. The zero Poller with the first three fields set is ready.
type Poller struct {
	Store   *stored.Store
	Timeout time.Duration   // of a store call
	Failed  func(err error) // told of each store call that fails
	Logger  *slog.Logger    // told when the store begins to fail, and when it is back

	mu      sync.Mutex
	watches map[*Watch]struct{}
	stop    chan struct{} // closed when the last watch is gone; nil while nobody polls
	closed  bool

	running sync.WaitGroup
}

// Watch watches s until its End. After Close the channel is closed already.
func (p *Poller) Watch(s Session) *Watch {
	w := &Watch{poller: p, of: s, over: make(chan struct{})}
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.add(w)
	}
	p.mu.Unlock()
	if closed {
		w.End()
	}
	return w
}

// add is called with mu held.
func (p *Poller) add(w *Watch) {
	if p.watches == nil {
		p.watches = make(map[*Watch]struct{})
	}
	p.watches[w] = struct{}{}
	if p.stop != nil {
		return
	}
	stop := make(chan struct{})
	p.stop = stop
	p.running.Go(func() { p.run(stop) })
}

// forget takes w away, and ends the goroutine if it was the last one.
func (p *Poller) forget(w *Watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(p.watches, w); len(p.watches) > 0 || p.stop == nil {
		return
	}
	close(p.stop)
	p.stop, p.watches = nil, nil // a map does not shrink
}

// Close ends all watches, as nobody would tell of their sessions' ends any more,
// and waits for the goroutine, which may be in a store call.
func (p *Poller) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, w := range p.all(nil) {
		w.End()
	}
	p.running.Wait()
}

// all appends the watches to buf.
func (p *Poller) all(buf []*Watch) []*Watch {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.watches {
		buf = append(buf, w)
	}
	return buf
}

// Len returns how many sessions are watched.
func (p *Poller) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.watches)
}
