package sentinel

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fake starts a Sentinel that names a primary, from the second connection on: the
// first one hears nothing.
func fake(t *testing.T, reply string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var met atomic.Int32
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			first := met.Add(1) == 1
			go func() {
				defer c.Close()
				buf := make([]byte, 1024)
				for {
					if _, err := c.Read(buf); err != nil { // the watch has closed it
						return
					}
					if first {
						continue
					}
					if _, err := io.WriteString(c, reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestPrimaryOfLateSentinels: Sentinels that did not answer in time are asked again,
// as long as the caller waits.
func TestPrimaryOfLateSentinels(t *testing.T) {
	reply := "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n7\r\n"
	w := New(Config{Addrs: []string{fake(t, reply), fake(t, reply), "127.0.0.1:1"}, Name: "primary"})
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if addr, err := w.Primary(ctx); addr != "127.0.0.1:7" || err != nil {
		t.Errorf("Primary: %q, %v; want the one that they name when they are asked again", addr, err)
	}
}

// TestPrimaryOfNone: where more time would help nobody, there is an error, and all
// that is known when the caller's time is up.
func TestPrimaryOfNone(t *testing.T) {
	none := New(Config{Addrs: []string{"127.0.0.1:1", "127.0.0.1:2", fake(t, "")}, Name: "primary"})
	defer none.Close()
	if addr, err := none.Primary(t.Context()); err == nil || !strings.Contains(err.Error(), "majority of 3") {
		t.Errorf("Primary with two Sentinels away: %q, %v", addr, err)
	}
	silent := New(Config{Addrs: []string{fake(t, "")}, Name: "primary"})
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for silent.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if addr, err := silent.Primary(ctx); err == nil || !strings.Contains(fmt.Sprint(err), "majority of 1") || ctx.Err() == nil {
		t.Errorf("Primary with a silent Sentinel: %q, %v; want that the time is up, and what was wrong", addr, err)
	}
}
