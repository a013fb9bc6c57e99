package faults

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chisession/session/cookie"
)

const hostile = "Hostile and useless requests"

var (
	malformed = row{hostile, "100,000 malformed Cookie headers",
		"200, or net/http's own 400 for bytes that no header may have; no 5xx, no panic, no store call, no cookie, flat heap"}
	anonymousHits = row{hostile, "200,000 requests without a cookie, reading the session or ignoring it",
		"200; no store call, no record, no cookie, flat heap"}
	capped = row{hostile, "a flood of visitors whose sessions are stored, over a cap of 1,000 sessions",
		"200; never more than 1,000; those who are logged in stay; flat heap"}
	invented = row{hostile, "20,000 well-formed tokens that nobody issued",
		"200; one look-up each, no record, no cookie, none adopted, flat heap"}
)

// some returns the first of kinds, or all of them in the whole suite.
func some(kinds []kind) []kind { return kinds[:pick(len(kinds), 1)] }

// heapSlack is how much more heap a server may use after a hundred thousand
// requests than after the first tenth of them: less than 20 bytes each.
const heapSlack = 2 << 20

func TestMalformedCookies(t *testing.T) {
	on(t, malformed, some(all), func(t *testing.T, k kind, note noter) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(seed, 0))
		flood(t, k, pick(100_000, 5_200), note, func() string {
			mu.Lock()
			defer mu.Unlock()
			return nasty(rng)
		}, func(c *child, m measures) {
			if m.Calls != 0 || m.Stats.Loads != 0 {
				t.Errorf("the store was called %d times", m.Calls)
			}
		})
	})
}

func TestAnonymous(t *testing.T) {
	on(t, anonymousHits, some(all), func(t *testing.T, k kind, note noter) {
		flood(t, k, pick(200_000, 4_000), note, func() string { return "" }, func(c *child, m measures) {
			if m.Calls != 0 || m.Stats.Loads != 0 || m.Stats.Creates != 0 {
				t.Errorf("the store was called %d times: %+v", m.Calls, m.Stats)
			}
		})
	})
}

func TestInventedTokens(t *testing.T) {
	on(t, invented, some(all), func(t *testing.T, k kind, note noter) {
		n := pick(20_000, 800)
		flood(t, k, n, note, func() string {
			var token [48]byte
			for i := range token {
				token[i] = byte(rand.Uint32())
			}
			token[6], token[8] = token[6]&0x0f|0x70, token[8]&0x3f|0x80
			return "Cookie: " + cookie.DefaultName + "=" + base64.RawURLEncoding.EncodeToString(token[:]) + "\r\n"
		}, func(c *child, m measures) {
			if m.Stats.Rejected != uint64(n) || m.Stats.Creates != 0 || m.Calls != n {
				t.Errorf("%d calls for %d tokens: %+v", m.Calls, n, m.Stats)
			}
		})
	})
}

func TestMemoryCap(t *testing.T) {
	on(t, capped, []kind{memory}, func(t *testing.T, k kind, note noter) {
		const most = 1000
		c := start(t, options{Provider: k.name, SavePath: fmt.Sprint(most)})
		w := gather(t, c, 20)
		visit := func(n int) measures {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range n / 8 {
						c.ok("", "/set?value="+mark)
					}
				})
			}
			wg.Wait()
			return c.idle()
		}
		first := visit(most + most/2)
		last := visit(pick(20_000, 2000))
		if last.Count > most || last.Count < most*9/10 || last.Heap > first.Heap+heapSlack {
			t.Errorf("%d sessions, heap %d KB → %d KB", last.Count, first.Heap>>10, last.Heap>>10)
		}
		w.there(c)
		c.end()
		note("%d sessions made, %d live; heap %d KB → %d KB", last.Stats.Creates, last.Count, first.Heap>>10, last.Heap>>10)
	})
}

// flood sends n requests with the header lines that header makes, and checks
// responses, heap and store; then check.
func flood(t *testing.T, k kind, n int, note noter, header func() string, check func(c *child, m measures)) {
	t.Helper()
	savePath := k.fresh(t)
	c := start(t, options{Provider: k.name, SavePath: savePath, Watch: true, SweepEvery: -1})
	const pipes = 4
	var first measures
	began := time.Now()
	statuses := map[int]int{}
	for _, part := range []int{n / 10, n - n/10} { // pipes divides both
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range pipes {
			wg.Go(func() {
				got := pipe(t, c, part/pipes, header)
				mu.Lock()
				defer mu.Unlock()
				for status, n := range got {
					statuses[status] += n
				}
			})
		}
		wg.Wait()
		if first.Heap == 0 {
			first = c.idle()
		}
	}
	rate := float64(n) / time.Since(began).Seconds()
	last := c.idle()
	more := func() bool { return last.Goroutines > first.Goroutines+2 || last.Descriptors > first.Descriptors+8 }
	for deadline := time.Now().Add(20 * time.Second); more() && time.Now().Before(deadline); {
		last = c.idle()
	}
	grown := int64(last.Heap) - int64(first.Heap)
	if grown > heapSlack {
		t.Errorf("the heap grew from %d KB to %d KB", first.Heap>>10, last.Heap>>10)
	}
	if more() {
		t.Errorf("goroutines %d → %d, descriptors %d → %d", first.Goroutines, last.Goroutines, first.Descriptors, last.Descriptors)
	}
	total := 0
	for status, n := range statuses {
		total += n
		if status != 200 && status != 400 {
			t.Errorf("%d responses have the status %d", n, status)
		}
	}
	if total != n || last.Panics != 0 {
		t.Errorf("%d responses of %d, %d panics", total, n, last.Panics)
	}
	check(c, last)
	if k.name != "memory" {
		if n := k.records(t, savePath); n != 0 {
			t.Errorf("%d records are stored", n)
		}
	} else if last.Count > 0 {
		t.Errorf("%d records are stored", last.Count)
	}
	c.end()
	note("responses by status: %v; %.0f a second; heap %d KB → %d KB; goroutines %d → %d", statuses, rate, first.Heap>>10, last.Heap>>10, first.Goroutines, last.Goroutines)
}

// pipe sends n requests over connections of its own, many at a time.
func pipe(t *testing.T, c *child, n int, header func() string) map[int]int {
	statuses := map[int]int{}
	addr := strings.TrimPrefix(c.base, "http://")
	var conn net.Conn
	var in *bufio.Reader
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	held := "" // a request that net/http will refuse, sent alone
	for sent := 0; sent < n; {
		var batch bytes.Buffer
		asked, fatal := 0, false
		for asked < 40 && sent < n && !fatal && batch.Len() < 32<<10 {
			lines := held
			if held == "" {
				lines = header()
			}
			held = ""
			if fatal = refusedByHTTP(lines); fatal && asked > 0 {
				held = lines
				break
			}
			path := [2]string{"/get", "/untouched"}[sent%2]
			fmt.Fprintf(&batch, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", path, lines)
			asked++
			sent++
		}
		fatal = fatal && held == ""
		if conn == nil {
			var err error
			if conn, err = net.Dial("tcp", addr); err != nil {
				t.Errorf("dial: %v", err)
				return statuses
			}
			in = bufio.NewReader(conn)
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Write(batch.Bytes()); err != nil {
			t.Errorf("send: %v", err)
			return statuses
		}
		for range asked {
			resp, err := http.ReadResponse(in, nil)
			if fatal && errors.Is(err, syscall.ECONNRESET) {
				statuses[http.StatusBadRequest]++ // it hung up before we had read why
				continue
			}
			if err != nil {
				t.Errorf("read a response: %v", err)
				return statuses
			}
			body, _ := io.ReadAll(resp.Body)
			statuses[resp.StatusCode]++
			if resp.StatusCode != 200 {
				canaries.hear("the response to a malformed request", string(body))
			}
			if set := resp.Header["Set-Cookie"]; set != nil {
				t.Errorf("the response has a cookie: %q", set)
			}
		}
		if fatal { // net/http responds 400 and hangs up
			conn.Close()
			conn = nil
		}
	}
	return statuses
}

// refusedByHTTP reports whether header lines have bytes that net/http does not
// let through.
func refusedByHTTP(lines string) bool {
	return strings.ContainsFunc(strings.ReplaceAll(lines, "\r\n", ""), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// nasty makes Cookie header lines in which no token is well-formed.
func nasty(rng *rand.Rand) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	name := cookie.DefaultName
	some := func(n int, from string) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = from[rng.IntN(len(from))]
		}
		return string(b)
	}
	token := func(version, variant byte) string { // all but a UUIDv7
		var raw [48]byte
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		raw[6], raw[8] = raw[6]&0x0f|version<<4, raw[8]&0x3f|variant<<6
		return base64.RawURLEncoding.EncodeToString(raw[:])
	}
	var any [256]byte
	for i := range any {
		any[i] = byte(i)
	}
	printable := string(any[0x20:0x7f])
	high := string(any[0x80:])
	good := token(7, 2)
	line := func(value string) string { return "Cookie: " + name + "=" + value + "\r\n" }
	switch kind := rng.IntN(22); {
	case kind == 0:
		return line(some(rng.IntN(64), alphabet))
	case kind == 1:
		return line(some(65+rng.IntN(200), alphabet))
	case kind == 2:
		return line(token(byte(rng.IntN(7)), 2))
	case kind == 3:
		return line(token(7, byte([]int{0, 1, 3}[rng.IntN(3)])))
	case kind == 4:
		return line(good[:63] + some(1, "+/=.%~ ,!*'()"))
	case kind == 5:
		return line(good + "=")
	case kind == 6:
		return line(good[:20] + some(1, "+/=.% ,\"\\") + good[21:])
	case kind == 7:
		return line(some(64, printable[:len(printable)-1]+high))
	case kind == 8:
		return line(some(1+rng.IntN(100), high))
	case kind == 9:
		return line([]string{"../../../etc/passwd", "..%2f..%2f", "' OR 1=1 --", "\"; DROP TABLE sessions", "session:*", "{{7*7}}", "${jndi:ldap://x}",
			"\xff\xfe", "%00", "null", "0", "-1", "true", "*", "\\", "\u202e", "__proto__"}[rng.IntN(17)])
	case kind == 10:
		// A control character, perhaps a tab. A line break would end the line,
		// and net/http hang up in the middle of the request.
		control := strings.NewReplacer("\r", "\x00", "\n", "\x1f").Replace(string(any[rng.IntN(32)]))
		return line(good[:30] + control + good[31:])
	case kind == 11:
		return line(some(4096+rng.IntN(4096), alphabet))
	case kind == 12:
		return "Cookie: " + strings.Repeat(name+"="+some(10, alphabet)+"; ", 200) + "\r\n"
	case kind == 13:
		return strings.Repeat(line(some(63, alphabet)), 20)
	case kind == 14:
		var b strings.Builder
		for i := range 300 {
			fmt.Fprintf(&b, "c%d=%s; ", i, some(5, alphabet))
		}
		return "Cookie: " + b.String() + "\r\n"
	case kind == 15:
		return "Cookie: " + []string{"", "=", ";", ";;;;;", "; ; ;", name, name + "=", name + ";", "=" + good, " = ", "=;=;=", "$Version=1; $Path=/"}[rng.IntN(12)] + "\r\n"
	case kind == 16:
		return "Cookie: " + strings.ToUpper(name) + "=" + good + "\r\n" // another name
	case kind == 17:
		return "Cookie: x" + name + "=" + good + "; " + name + "x=" + good + "; " + name + "[]=" + good + "; %62eegosessionID=" + good + "\r\n"
	case kind == 18:
		return "X-Session-Token: " + good + "\r\nAuthorization: Bearer " + good + "\r\n" // no transports here
	case kind == 19:
		return line(good[:31] + "%" + fmt.Sprintf("%02x", good[31]) + good[32:])
	case kind == 20:
		return line(good + some(1+rng.IntN(3), alphabet))
	}
	return line(some(rng.IntN(2000), printable))
}
