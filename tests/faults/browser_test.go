package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A browser is a user who is logged in and counts up a value. It knows what
// it sent and what was acknowledged, so it can tell a lie when it gets one.
type browser struct {
	t     testing.TB
	user  string
	token string
	sent  int // the last number sent
	acked int // the last number whose storing was acknowledged, or that was seen
	ok    int
	no    int

	refused atomic.Int64 // of its requests in a crowd
}

var users atomic.Int64

// login makes a browser with a session on c.
func login(t testing.TB, c *child) *browser {
	t.Helper()
	b := &browser{t: t, user: fmt.Sprintf("user%d", users.Add(1))}
	first := c.ok("", "/set?value="+b.value(0))
	b.token = c.ok(first.token, "/login?user="+b.user).token
	if b.token == "" {
		t.Fatalf("no login: %+v", first.state)
	}
	return b
}

// value is the n-th value of b, with padding that grows and shrinks.
func (b *browser) value(n int) string {
	return fmt.Sprintf("%s.%s.%d.%s", mark, b.user, n, strings.Repeat("x", rand.IntN(1500)))
}

// number reads the number out of a value, -1 if it is not one of b's.
func (b *browser) number(value string) int {
	parts := strings.Split(value, ".")
	if len(parts) != 4 || parts[0] != mark || parts[1] != b.user || strings.Trim(parts[3], "x") != "" {
		return -1
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil {
		return -1
	}
	return n
}

// write sends one more number, and checks the response. It reports whether it
// was stored; an error is the network's.
func (b *browser) write(c *child) (bool, error) {
	b.t.Helper()
	b.sent++
	n := b.sent
	a, err := c.get(b.token, "/set?value="+b.value(n))
	if err != nil {
		return false, err
	}
	if !b.truth(a, n, n) {
		return false, nil
	}
	b.acked = n
	return true, nil
}

// read asks for the value, and checks the response.
func (b *browser) read(c *child) (bool, error) {
	b.t.Helper()
	a, err := c.get(b.token, "/get")
	if err != nil {
		return false, err
	}
	if !b.truth(a, b.acked, b.sent) {
		return false, nil
	}
	b.acked = b.number(a.Value)
	return true, nil
}

// truth checks a response: a 200 with this user and a number from least to
// most, or a bare 503. It reports whether it was a 200.
func (b *browser) truth(a response, least, most int) bool {
	b.t.Helper()
	if a.status != http.StatusOK {
		b.no++
		a.isRefusal(b.t, "…")
		return false
	}
	b.ok++
	n := b.number(a.Value)
	if a.User != b.user || a.New || n < least || n > most || a.token != "" || a.removed {
		b.t.Errorf("a lie: user %q (is %s), new %v, number %d (want %d to %d), a cookie: %v, id %s",
			a.User, b.user, a.New, n, least, most, a.token != "" || a.removed, a.ID)
	}
	return true
}

// there checks that the session is there with all that was acknowledged.
func (b *browser) there(c *child) {
	b.t.Helper()
	if ok, err := b.read(c); !ok || err != nil {
		b.t.Errorf("the session of %s: %v, %v; want a 200", b.user, ok, err)
	}
}

// A crowd is browsers at work.
type crowd struct {
	t        testing.TB
	browsers []*browser
	wg       sync.WaitGroup
	stopped  atomic.Bool
	mortal   bool // the server may go away: a network error ends a browser

	stored, served, refused atomic.Int64
	slowest                 atomic.Int64
	lastOK                  atomic.Int64 // Unix ns
}

func gather(t testing.TB, c *child, n int) *crowd {
	t.Helper()
	w := &crowd{t: t}
	for range n {
		w.browsers = append(w.browsers, login(t, c))
	}
	return w
}

// work has every browser read and write on c until stop, or until c is gone.
func (w *crowd) work(c *child) {
	w.stopped.Store(false)
	for _, b := range w.browsers {
		w.wg.Go(func() {
			for i := 0; !w.stopped.Load(); i++ {
				act := b.write
				if i%3 == 2 {
					act = b.read
				}
				began := time.Now()
				ok, err := act(c)
				took := int64(time.Since(began))
				for old := w.slowest.Load(); took > old && !w.slowest.CompareAndSwap(old, took); old = w.slowest.Load() {
				}
				switch {
				case err != nil && w.mortal:
					return
				case err != nil:
					b.t.Errorf("the server does not answer: %v", err)
					return
				case !ok:
					w.refused.Add(1)
					b.refused.Add(1)
					time.Sleep(2 * time.Millisecond) // a refusal is quick; the other core has work to do
				default:
					w.served.Add(1)
					if i%3 != 2 {
						w.stored.Add(1)
					}
					w.lastOK.Store(time.Now().UnixNano())
				}
			}
		})
	}
}

// stop waits until the browsers have ended.
func (w *crowd) stop() {
	w.stopped.Store(true)
	w.wg.Wait()
}

// until waits for a count to grow by n.
func (w *crowd) until(what string, count *atomic.Int64, n int64) time.Duration {
	w.t.Helper()
	began, from := time.Now(), count.Load()
	for count.Load() < from+n {
		if time.Since(began) > time.Minute || w.t.Failed() {
			w.t.Errorf("waited for %d %s, got %d", n, what, count.Load()-from)
			break
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// untilRefused waits until each browser was refused once more: then the responses
// from before are out, however long one may have been on its way.
func (w *crowd) untilRefused() {
	w.t.Helper()
	for _, b := range w.browsers {
		w.until("refusals of "+b.user, &b.refused, 1)
	}
}

// there checks every session, and that it can be written.
func (w *crowd) there(c *child) {
	w.t.Helper()
	for _, b := range w.browsers {
		b.there(c)
		if ok, err := b.write(c); !ok || err != nil {
			w.t.Errorf("a write afterwards: %v, %v", ok, err)
		}
	}
}
