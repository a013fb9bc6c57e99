// Package sentinel keeps connections on the primary that a majority of a Redis
// deployment's Sentinels names. The backends on Redis have it in common, so that
// it is the same on every client.
//
// A client that believes one Sentinel can be led to a primary that the others
// have deposed, and one that stays on a connection that works never hears that
// its primary was cut off and replaced: what it writes there is undone later.
// So all Sentinels are asked, each second and whenever a call gives reason to,
// and when the answer changes, every connection to another address is closed.
package sentinel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/chisession/session/backend/internal/redisengine"
)

const (
	askEvery   = time.Second
	askTimeout = 500 * time.Millisecond // of one Sentinel
	minPause   = 50 * time.Millisecond  // between two rounds
	keepAlive  = 30 * time.Second
)

// errLate says that a majority may name a primary if it is given more time.
var errLate = errors.New("some of them were late")

// ErrClosed says that the Watch was closed.
var ErrClosed = errors.New("sentinel: closed")

// Config says which Sentinels to ask for what.
type Config struct {
	Addrs          []string    // host:port of each
	Name           string      // that they monitor the primary by
	User, Password string      // for the Sentinels; empty: none
	TLS            *tls.Config // to the Sentinels, and of DialTLS; nil: none

	// Moved is told of each primary but the first, when the connections to
	// the one before are closed. It may be nil.
	Moved func(addr string)
}

// A Watch knows the primary, and the connections to it. It is safe for
// concurrent use.
type Watch struct {
	cfg       Config
	sentinels []*sentinel
	doubt     chan struct{} // asks for a round now; of size 1
	stop      context.CancelFunc
	life      context.Context
	wg        sync.WaitGroup

	mu      sync.Mutex // guards what follows
	primary string     // "" until a majority has named one
	last    error      // of the last round
	conns   map[*conn]bool
	started bool
	round   chan struct{} // closed when the round under way has ended
}

// New returns a Watch. It asks nobody before the first Dial or Primary.
func New(cfg Config) *Watch {
	w := &Watch{cfg: cfg, doubt: make(chan struct{}, 1), conns: map[*conn]bool{}, round: make(chan struct{})}
	w.life, w.stop = context.WithCancel(context.Background())
	for _, addr := range cfg.Addrs {
		w.sentinels = append(w.sentinels, &sentinel{addr: addr, cfg: &w.cfg})
	}
	return w
}

// Close ends the watch and every connection that it made.
func (w *Watch) Close() error {
	w.stop()
	w.wg.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closeBut("")
	for _, s := range w.sentinels {
		s.close()
	}
	return nil
}

// Doubt says that a call gave reason to ask who is the primary: it met a server
// that is none, or none that answers. It does not wait.
func (w *Watch) Doubt() {
	select {
	case w.doubt <- struct{}{}:
	default: // asked for already
	}
}

// Primary returns the primary's address. Unless it is known already, it waits for
// the Sentinels, until ctx is done at the latest. Those that were late are asked
// again.
func (w *Watch) Primary(ctx context.Context) (string, error) {
	w.mu.Lock()
	if !w.started && w.life.Err() == nil {
		w.started = true
		w.wg.Go(w.watch)
	}
	primary, round, last := w.primary, w.round, error(nil)
	w.mu.Unlock()
	for primary == "" {
		select {
		case <-round:
		case <-w.life.Done():
			return "", ErrClosed
		case <-ctx.Done():
			if last != nil {
				return "", fmt.Errorf("%w: %w", ctx.Err(), last)
			}
			return "", ctx.Err()
		}
		w.mu.Lock()
		primary, round, last = w.primary, w.round, w.last
		w.mu.Unlock()
		if primary == "" && !errors.Is(last, errLate) {
			return "", last
		}
		w.Doubt()
	}
	if w.life.Err() != nil {
		return "", ErrClosed
	}
	return primary, nil
}

// Quorum asks every Sentinel whether enough of them could agree to replace the
// primary (CKQUORUM), and returns what those say who doubt it or do not answer.
func (w *Watch) Quorum(ctx context.Context) error {
	var errs []error
	for _, s := range w.sentinels {
		errs = append(errs, s.quorum(ctx))
	}
	return errors.Join(errs...)
}

// Err returns why the Sentinels named no primary when they were asked last, or nil.
func (w *Watch) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// DialTLS is Dial with Config.TLS.
func (w *Watch) DialTLS(ctx context.Context) (net.Conn, error) {
	raw, addr, err := w.Dial(ctx)
	if err != nil {
		return nil, err
	}
	secure, err := redisengine.Secure(ctx, raw, addr, w.cfg.TLS)
	if err != nil {
		_ = raw.Close() // a handshake that failed has closed it, most often
		return nil, err
	}
	return secure, nil
}

// Dial connects to the primary and returns its address, too. The connection is
// closed when the Sentinels name another one. TLS is the caller's to add.
func (w *Watch) Dial(ctx context.Context) (net.Conn, string, error) {
	primary, err := w.Primary(ctx)
	if err != nil {
		return nil, "", err
	}
	raw, err := (&net.Dialer{KeepAlive: keepAlive}).DialContext(ctx, "tcp", primary)
	if err != nil {
		w.Doubt()
		return nil, "", err
	}
	c := &conn{Conn: raw, addr: primary, watch: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.primary != primary || w.life.Err() != nil {
		return nil, "", errors.Join(fmt.Errorf("sentinel: %s is not the primary any more", primary), raw.Close())
	}
	w.conns[c] = true
	return c, primary, nil
}

// watch asks again and again.
func (w *Watch) watch() {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		w.settle(w.ask())
		select {
		case <-w.life.Done():
			return
		case <-time.After(minPause):
		}
		select {
		case <-w.life.Done():
			return
		case <-tick.C:
		case <-w.doubt:
		}
	}
}

// settle takes in what a round has found.
func (w *Watch) settle(primary string, err error) {
	w.mu.Lock()
	close(w.round)
	w.round = make(chan struct{})
	w.last = err
	moved := err == nil && primary != w.primary && w.primary != ""
	if err == nil {
		w.primary = primary
	}
	if moved {
		w.closeBut(primary)
	}
	w.mu.Unlock()
	if moved && w.cfg.Moved != nil {
		w.cfg.Moved(primary)
	}
}

// closeBut closes all connections but those to one address; w.mu is held.
func (w *Watch) closeBut(primary string) {
	for c := range w.conns {
		if c.addr != primary {
			_ = c.Conn.Close() // whoever uses it gets to know
			delete(w.conns, c)
		}
	}
}

// ask asks every Sentinel, and returns what more than half of them say as soon
// as they do.
func (w *Watch) ask() (string, error) {
	type answer struct {
		addr string
		err  error
	}
	answers := make(chan answer, len(w.sentinels))
	for _, s := range w.sentinels {
		w.wg.Go(func() {
			addr, err := s.ask(w.life)
			answers <- answer{addr, err}
		})
	}
	var errs []error
	votes := map[string]int{}
	most, late := 0, 0
	for range w.sentinels {
		a := <-answers
		if a.err != nil {
			errs = append(errs, a.err)
			if isLate(a.err) {
				late++
			}
			continue
		}
		votes[a.addr]++
		if most = max(most, votes[a.addr]); most > len(w.sentinels)/2 {
			return a.addr, nil
		}
	}
	named := len(w.sentinels) - len(errs)
	if most+late > len(w.sentinels)/2 { // with them there could be a majority
		errs = append(errs, errLate)
	}
	return "", fmt.Errorf("no primary that a majority of %d Sentinels agrees on, %d named one: %w", len(w.sentinels), named, errors.Join(errs...))
}

// isLate reports whether a Sentinel had too little time.
func isLate(err error) bool {
	return errors.Is(err, errBusy) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// A conn is a connection to the primary.
type conn struct {
	net.Conn
	addr  string
	watch *Watch
}

// Close closes it and has the watch forget it.
func (c *conn) Close() error {
	c.watch.mu.Lock()
	delete(c.watch.conns, c)
	c.watch.mu.Unlock()
	return c.Conn.Close()
}

// SyscallConn is for those who look whether the server has closed it.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	raw, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return raw.SyscallConn()
}
