package faults

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A proxy stands between a server process and its database, and mistreats
// what passes.
type proxy struct {
	l      net.Listener
	target string
	wg     sync.WaitGroup

	refuse atomic.Bool // new connections are closed at once
	hole   atomic.Bool // what comes is swallowed, both ways

	// lose is asked at every Update that passes; if it says so, the
	// database does the work, and its reply and the connection are cut.
	lose atomic.Pointer[func() bool]

	updates, lost atomic.Int64

	mu    sync.Mutex
	links map[*link]bool
}

// A link is one connection through the proxy.
type link struct {
	client, server net.Conn

	mu        sync.Mutex
	preparing bool            // the next reply has the ID of an UPDATE (MySQL)
	updates   map[uint32]bool // the IDs of statements that are UPDATEs
	doomed    bool            // the next reply is not to arrive
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	p := &proxy{l: l, target: target, links: map[*link]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			client.Close()
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		k := &link{client: client, server: server, updates: map[uint32]bool{}}
		p.mu.Lock()
		p.links[k] = true
		if p.refuse.Load() { // since it was asked
			k.close()
		}
		p.mu.Unlock()
		p.wg.Go(func() { p.pump(k, client, server, p.asked) })
		p.wg.Go(func() { p.pump(k, server, client, p.answered) })
	}
}

// cut closes every connection and returns how many there were.
func (p *proxy) cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.links)
	for k := range p.links {
		k.close()
	}
	clear(p.links)
	return n
}

func (k *link) close() { k.client.Close(); k.server.Close() }

func (p *proxy) pump(k *link, from, to net.Conn, look func(*link, []byte) bool) {
	defer func() {
		k.close()
		p.mu.Lock()
		delete(p.links, k)
		p.mu.Unlock()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if p.hole.Load() {
			n = 0
		} else if n > 0 && !look(k, buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
		if err != nil && err != io.ErrNoProgress {
			return
		}
	}
}

// asked looks at a request.
func (p *proxy) asked(k *link, b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	update := false
	switch {
	case bytes.Contains(b, []byte("EVALSHA")): // Redis, session.lua
		update = bytes.Contains(b, []byte("\r\nupdate\r\n")) || bytes.Contains(b, []byte("\r\nreplace\r\n"))
	case len(b) > 5 && b[4] == 0x16: // MySQL, COM_STMT_PREPARE
		k.preparing = bytes.HasPrefix(b[5:], []byte("UPDATE")) && bytes.Contains(b, []byte("version = version + 1"))
	case len(b) > 9 && b[4] == 0x17: // COM_STMT_EXECUTE
		update = k.updates[binary.LittleEndian.Uint32(b[5:])]
	}
	if update {
		p.updates.Add(1)
		if lose := p.lose.Load(); lose != nil && (*lose)() {
			p.lost.Add(1)
			k.doomed = true
		}
	}
	return true
}

// answered looks at a reply. It reports false for one that is not to arrive.
func (p *proxy) answered(k *link, b []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.preparing && len(b) > 9 && b[4] == 0x00 {
		k.updates[binary.LittleEndian.Uint32(b[5:])] = true
		k.preparing = false
	}
	return !k.doomed
}
