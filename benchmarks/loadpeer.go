package main

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
)

// The roles in which this binary starts itself again for a load, so that the
// servers, the generator of the requests and the process that directs them share
// neither a heap nor a scheduler.
const (
	roleServer    = "server"
	roleGenerator = "generator"
)

// A peer is a process of this binary in one of the roles. It is given orders
// over its standard input, one after the other, and replies to each over its
// standard output. It ends with the input, so that it does not outlive a parent
// that was killed.
type peer struct {
	cmd    *exec.Cmd
	orders io.Closer
	enc    *gob.Encoder
	dec    *gob.Decoder
}

func startPeer(role string) (*peer, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &peer{cmd: exec.Command(exe, "-peer", role)}
	p.cmd.Stderr = os.Stderr
	orders, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	replies, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.orders, p.enc, p.dec = orders, gob.NewEncoder(orders), gob.NewDecoder(replies)
	return p, p.cmd.Start()
}

// stop has the process end, and waits for it.
func (p *peer) stop() error { return errors.Join(p.orders.Close(), p.cmd.Wait()) }

// A reply is what a peer sends back: a value, or the text of an error.
type reply[T any] struct {
	Value T
	Err   string
}

// ask gives p an order and waits for the reply.
func ask[T any](p *peer, order any) (value T, err error) {
	if err := p.enc.Encode(order); err != nil {
		return value, err
	}
	var r reply[T]
	if err := p.dec.Decode(&r); err != nil {
		return value, fmt.Errorf("a process of the load ended: %w", err)
	}
	if r.Err != "" {
		return value, errors.New(r.Err)
	}
	return r.Value, nil
}

// obey is the other end of ask: it has do carry out one order after the other
// until the parent sends no more.
func obey[O, T any](dec *gob.Decoder, enc *gob.Encoder, do func(O) (T, error)) error {
	for {
		var order O
		if err := dec.Decode(&order); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		value, err := do(order)
		r := reply[T]{Value: value}
		if err != nil {
			r.Err = err.Error()
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
}

// runPeer is what the process does that startPeer starts.
func runPeer(role string) error {
	dec, enc := gob.NewDecoder(os.Stdin), gob.NewEncoder(os.Stdout)
	switch role {
	case roleServer:
		ballast := make([]byte, ballastSize)
		defer runtime.KeepAlive(ballast)
		s := &loadServer{}
		return errors.Join(obey(dec, enc, s.do), s.close())
	case roleGenerator:
		// One thread at a time is enough for more requests than any of the
		// servers serves, and leaves the other processor to them.
		runtime.GOMAXPROCS(1)
		g := generator{}
		return errors.Join(obey(dec, enc, g.do), g.close())
	}
	return fmt.Errorf("no role is called %q", role)
}
