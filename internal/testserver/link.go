package testserver

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// A Link is a network between clients and a server, which can break: clients
// connect to its address and reach the server's. Its methods are safe for
// concurrent use.
type Link struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup

	mu      sync.Mutex // guards what follows
	wires   map[*wire]bool
	refuses bool
	stopped bool
	stalled chan struct{} // closed when bytes may pass again; nil: they may
	lose    func(request []byte) bool
	watch   func(request []byte)
}

// A wire is one connection through a Link.
type wire struct {
	client, server net.Conn
	losing         bool // no reply is to arrive any more; guarded by Link.mu
}

// StartLink starts a link on a free loopback port that leads to target,
// "host:port".
func StartLink(target string) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("testserver: start a link: %w", err)
	}
	l := &Link{listener: listener, target: target, wires: map[*wire]bool{}}
	l.wg.Go(l.accept)
	return l, nil
}

// Addr returns host:port of the clients' end.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Stop closes the link and all connections through it.
func (l *Link) Stop() error {
	err := l.listener.Close()
	l.Stall(false)
	l.mu.Lock()
	l.stopped = true // whoever connects now is not in wires yet
	l.mu.Unlock()
	l.Cut()
	l.wg.Wait()
	return err
}

// Cut breaks every connection with a reset, and returns how many there were.
// New ones are possible.
func (l *Link) Cut() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.wires)
	for w := range l.wires {
		w.reset()
	}
	return n
}

// Refuse has new connections broken at once, or no longer. Those that there
// are stay.
func (l *Link) Refuse(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuses = on
}

// Stall lets no byte through, either way, or lets them go on: nothing is lost
// that was sent meanwhile, unless a connection ends. It is what a cable that
// was pulled looks like to both sides.
func (l *Link) Stall(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case on && l.stalled == nil:
		l.stalled = make(chan struct{})
	case !on && l.stalled != nil:
		close(l.stalled)
		l.stalled = nil
	}
}

// LoseReplies asks fn about every request that passes: if it says so, the
// server gets the request, and nothing behind it, and does the work; when it has
// ended the connection, the client's is reset in place of the reply. nil: no reply
// is lost any more.
func (l *Link) LoseReplies(fn func(request []byte) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = fn
}

// Watch shows fn every request that passes, as it was read: what a client wrote
// at once, unless that is more than 64 KiB. It must not keep the bytes.
func (l *Link) Watch(fn func(request []byte)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch = fn
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.connect(client) })
	}
}

func (l *Link) connect(client net.Conn) {
	w := &wire{client: client}
	l.wait()
	l.mu.Lock()
	refuses := l.refuses
	l.mu.Unlock()
	if !refuses {
		server, err := net.DialTimeout("tcp", l.target, adminTimeout)
		refuses, w.server = err != nil, server
	}
	if refuses {
		w.reset()
		return
	}
	l.mu.Lock()
	l.wires[w] = true
	late := l.stopped || l.refuses // since it was asked
	l.mu.Unlock()
	if late {
		w.reset()
	}
	l.wg.Go(func() { l.pump(w, w.server, l.reply) })
	l.pump(w, w.client, l.request)
}

// reset closes both ends, so that neither waits for what was on its way.
func (w *wire) reset() {
	for _, conn := range []net.Conn{w.client, w.server} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // fails if it is closed already
			_ = tcp.Close()
		}
	}
}

// pump has all carried that comes from one end, until either fails.
func (l *Link) pump(w *wire, from net.Conn, carry func(*wire, []byte) error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			l.wait()
			if err := carry(w, buf[:n]); errors.Is(err, errLost) {
				return // the other pump goes on
			} else if err != nil {
				break
			}
		}
		if err != nil {
			l.wait() // what has ended cannot be seen through a link that stalls
			break
		}
	}
	l.mu.Lock()
	delete(l.wires, w)
	losing := w.losing
	l.mu.Unlock()
	if losing {
		w.reset()
		return
	}
	_, _ = w.client.Close(), w.server.Close() // the other pump may have closed them
}

func (l *Link) wait() {
	l.mu.Lock()
	stalled := l.stalled
	l.mu.Unlock()
	if stalled != nil {
		<-stalled
	}
}

// errLost says that a request was the last one of its connection.
var errLost = errors.New("testserver: the reply is to be lost")

// request carries a request to the server.
func (l *Link) request(w *wire, b []byte) error {
	l.mu.Lock()
	lose, watch := l.lose, l.watch
	l.mu.Unlock()
	if watch != nil {
		watch(b)
	}
	losing := lose != nil && lose(b)
	if losing {
		l.mu.Lock()
		w.losing = true
		l.mu.Unlock()
	}
	_, err := w.server.Write(b)
	if tcp, ok := w.server.(*net.TCPConn); ok && losing && err == nil {
		// The server reads all that came before the end, and the replies to what
		// came before the request end nothing.
		return errors.Join(errLost, tcp.CloseWrite())
	}
	return err
}

// reply carries a reply to the client, unless it is to be lost.
func (l *Link) reply(w *wire, b []byte) error {
	l.mu.Lock()
	losing := w.losing
	l.mu.Unlock()
	if losing {
		return nil
	}
	_, err := w.client.Write(b)
	return err
}
