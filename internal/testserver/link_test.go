package testserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo is a server that sends each line back.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}

// ask sends a line on a connection and returns the line that comes back.
func ask(c net.Conn, line string) (string, error) {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	return hear(c)
}

// hear returns the next line that comes.
func hear(c net.Conn) (string, error) { return hearWithin(c, 30*time.Second) }

func hearWithin(c net.Conn, patience time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got, err := bufio.NewReader(c).ReadString('\n')
	return string(bytes.TrimSpace([]byte(got))), err
}

func TestLink(t *testing.T) {
	l, err := StartLink(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	want := func(c net.Conn, line string) {
		t.Helper()
		if got, err := ask(c, line); got != line || err != nil {
			t.Errorf("through the link: %q, %v; want %q", got, err, line)
		}
	}
	fails := func(c net.Conn, what string) {
		t.Helper()
		if got, err := ask(c, "lost"); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %q, %v; want a broken connection", what, got, err)
		}
	}

	c := dial()
	want(c, "one")
	if n := l.Cut(); n != 1 {
		t.Errorf("Cut broke %d connections, want 1", n)
	}
	fails(c, "after Cut")

	l.Refuse(true)
	if c, err := net.Dial("tcp", l.Addr()); err == nil { // or it is reset already
		fails(c, "while the link refuses")
		c.Close()
	}
	l.Refuse(false)

	c = dial()
	want(c, "two")
	l.Stall(true)
	if _, err := io.WriteString(c, "three\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := hearWithin(c, time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("while the link stalls: got %v, want a time-out", err)
	}
	l.Stall(false)
	if got, err := hear(c); got != "three" || err != nil {
		t.Errorf("after a stall: got %q, %v; want what was sent meanwhile", got, err)
	}

	var seen bytes.Buffer
	l.Watch(func(b []byte) { seen.Write(b) })
	l.LoseReplies(func(b []byte) bool { return bytes.HasPrefix(b, []byte("lost")) })
	c = dial()
	want(c, "four")
	fails(c, "a lost reply")
	want(dial(), "five")
	if seen.String() != "four\nlost\nfive\n" {
		t.Errorf("Watch saw %q", seen.String())
	}
}

// TestLinkLosesOneReply: the server gets the request whose reply is lost, also when
// a reply to an earlier one is on its way at that moment.
func TestLinkLosesOneReply(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	losing, replied, passes, got := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2), make(chan string, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		<-losing
		io.WriteString(c, "to the first\n")
		close(replied)
		all, _ := io.ReadAll(c) // what came is told below
		got <- string(all)
	}()
	l, err := StartLink(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	l.LoseReplies(func(b []byte) bool {
		if !bytes.HasPrefix(b, []byte("lost")) {
			return false
		}
		close(losing)
		<-replied // and the request has not left yet
		return true
	})
	l.Watch(func([]byte) { passes <- struct{}{} })
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, line := range []string{"first\n", "lost\n"} {
		if _, err := io.WriteString(c, line); err != nil {
			t.Fatal(err)
		}
		<-passes // so that they are two requests
	}
	for { // what passed before is no matter
		if _, err := hear(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection is not broken")
		} else if err != nil {
			break
		}
	}
	if all := <-got; all != "first\nlost\n" {
		t.Errorf("the server got %q, want both requests", all)
	}
}
