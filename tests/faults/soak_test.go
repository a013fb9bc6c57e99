package faults

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session/cookie"
)

// soakIdle is the sessions' idle timeout in the soak: what is abandoned goes
// soon, so that at the end nothing should be left.
var soakIdle = 2 * time.Second

// A soaked is the server of one backend, with what was done to it.
type soaked struct {
	k    kind
	c    *child
	path string

	requests, logins, logouts, streams, panics, disconnects, abandoned atomic.Int64

	before, after measures
	samples       []measures
}

// TestSoak has users come, log in, work, stream, panic, disconnect, log out or
// just leave, on all backends at once; at the end the servers are as idle as
// they were at the beginning. A plain run does it for a second, in memory.
func TestSoak(t *testing.T) {
	lasts, kinds := time.Second, []kind{memory}
	if soak {
		soakIdle = 5 * time.Second
		kinds, lasts = all, 30*time.Minute
		if d, err := time.ParseDuration(os.Getenv("SOAK")); err == nil {
			lasts = d
		}
	}
	var servers []*soaked
	for _, k := range kinds {
		s := &soaked{k: k, path: k.fresh(t)}
		s.c = start(t, options{Provider: k.name, SavePath: s.path, IdleTimeout: soakIdle, SweepEvery: soakIdle / 5})
		servers = append(servers, s)
	}
	soakFor(t, servers, lasts/10, 0) // warm up: pools, buffers, caches
	for _, s := range servers {
		s.before = s.rest()
	}
	began := time.Now()
	soakFor(t, servers, lasts, lasts/10)
	lasted := time.Since(began)
	for _, s := range servers {
		s.after = s.rest()
		s.check(t)
		s.c.end()
		if s.k.name != "memory" {
			noKeyForEver(t, s.k, s.path)
			if s.k.name != "file" { // where nothing is left to read
				nothingReadable(t, s.k, s.path)
			}
		}
	}
	if path := os.Getenv("SOAK_TABLE"); soak && path != "" {
		must(t, "write the figures", os.WriteFile(path, []byte(soakTable(servers, lasted, !t.Failed())), 0o644))
	}
}

// soakFor puts load on the servers, and samples them every so often.
func soakFor(t *testing.T, servers []*soaked, lasts, every time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range servers {
		for range 6 {
			wg.Go(func() {
				for ctx.Err() == nil && !t.Failed() {
					s.life(t, ctx)
				}
			})
		}
		if every > 0 {
			wg.Go(func() {
				tick := time.NewTicker(every)
				defer tick.Stop()
				for {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						s.samples = append(s.samples, s.c.measures())
					}
				}
			})
		}
	}
	wg.Wait()
}

// life is one user's session, from the first request to the last.
func (s *soaked) life(t *testing.T, ctx context.Context) {
	s.logins.Add(1)
	s.requests.Add(2)
	b := login(t, s.c)
	ok := func(done bool, err error) {
		s.requests.Add(1)
		if !done || err != nil {
			t.Errorf("%s: a request was refused: %v", s.k.name, err)
		}
	}
	for range 3 + rand.IntN(20) {
		if ctx.Err() != nil {
			break
		}
		time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
		switch kind := rand.IntN(12); {
		case kind == 0:
			s.stream(t, b)
		case kind == 1:
			s.broken(t, b, "/panic")
			s.panics.Add(1)
		case kind == 2:
			s.broken(t, b, "/panic?late=1")
			s.panics.Add(1)
		case kind == 3:
			s.disconnect(t, b)
		case kind == 4:
			a := s.c.ok(b.token, "/renew")
			s.requests.Add(1)
			if a.token == "" {
				t.Errorf("%s: no new token", s.k.name)
				return
			}
			b.token = a.token
		case kind == 5:
			s.c.ok(b.token, "/increment")
			s.requests.Add(1)
		case kind == 6:
			s.c.ok("", "/get")
			s.c.ok("nonsense", "/untouched")
			s.requests.Add(2)
		case kind == 7, kind == 8, kind == 9:
			ok(b.write(s.c))
		default:
			ok(b.read(s.c))
		}
	}
	b.there(s.c)
	s.requests.Add(1)
	if soak && rand.IntN(4) == 0 { // it takes time until they are gone
		s.abandoned.Add(1)
		return
	}
	if !s.c.ok(b.token, "/logout").removed || !s.c.ok(b.token, "/get").New {
		t.Errorf("%s: the logout did not happen", s.k.name)
	}
	s.logouts.Add(1)
	s.requests.Add(2)
}

// broken asks for something that ends in the middle.
func (s *soaked) broken(t *testing.T, b *browser, path string) {
	s.requests.Add(1)
	// POST: the client would send a GET again.
	r, err := http.NewRequest("POST", s.c.base+path, nil)
	must(t, "make a request", err)
	r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: b.token})
	if a, err := s.c.do(r); err == nil {
		t.Errorf("%s: POST %s: %d, want a broken connection", s.k.name, path, a.status)
	}
}

// stream reads the first lines of an endless response, and goes.
func (s *soaked) stream(t *testing.T, b *browser) {
	s.requests.Add(1)
	s.streams.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp, err := s.open(ctx, b, "/stream")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: GET /stream: %v", s.k.name, err)
		return
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for range 1 + rand.IntN(5) {
		if !lines.Scan() {
			t.Errorf("%s: the stream ended: %v", s.k.name, lines.Err())
			return
		}
	}
}

// disconnect goes away while the handler runs, which sets another value then:
// beside the ones that b makes later, and never in their place.
func (s *soaked) disconnect(t *testing.T, b *browser) {
	s.requests.Add(1)
	s.disconnects.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+rand.IntN(10))*time.Millisecond)
	defer cancel()
	if resp, err := s.open(ctx, b, "/slow?for=1s&key=gone&value="+b.value(0)); err == nil {
		resp.Body.Close()
		t.Errorf("%s: the slow response came", s.k.name)
	}
}

func (s *soaked) open(ctx context.Context, b *browser, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", s.c.base+path, nil)
	if err != nil {
		return nil, err
	}
	r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: b.token})
	return s.c.client.Do(r)
}

// rest waits until the server has nothing to do and no session left, and
// returns its measures.
func (s *soaked) rest() measures {
	var m measures
	for deadline := time.Now().Add(3 * soakIdle); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if m = s.c.idle(); m.Count == 0 {
			break
		}
		if s.k.name == "redis" && len(keysOf(s.c.t, s.path)) == 0 {
			break
		}
	}
	return m
}

func (s *soaked) check(t *testing.T) {
	t.Helper()
	b, a := s.before, s.after
	const pool = 8
	if a.Goroutines > b.Goroutines+2*pool || a.Descriptors > b.Descriptors+pool {
		t.Errorf("%s: goroutines %d → %d, descriptors %d → %d", s.k.name, b.Goroutines, a.Goroutines, b.Descriptors, a.Descriptors)
	}
	if a.Heap > b.Heap+heapSlack {
		t.Errorf("%s: heap %d KB → %d KB", s.k.name, b.Heap>>10, a.Heap>>10)
	}
	if a.Count > 0 {
		t.Errorf("%s: %d sessions are left", s.k.name, a.Count)
	}
	if a.Panics != s.panics.Load() {
		t.Errorf("%s: %d panics went through, want %d", s.k.name, a.Panics, s.panics.Load())
	}
	if a.Stats.Unreadable+a.Stats.Errors != 0 {
		t.Errorf("%s: %+v", s.k.name, a.Stats)
	}
}

func soakTable(servers []*soaked, lasted time.Duration, passed bool) string {
	var b strings.Builder
	verdict := "Everything was flat."
	if !passed {
		verdict = "**It did not pass.**"
	}
	fmt.Fprintf(&b, `# Soak

Written by `+"`make soak`"+` from what ran: %s, %s/%s, %d CPUs, %s, **%v** (after %v of warming up), four server processes at
once, each with six clients. %s

Users come, log in, read, write, increment, renew, stream, panic the handler before and after its first byte, disconnect while it
runs, log out, or just leave (their sessions are swept). Every response was checked. The figures before and after are of the idle
server, when the last session had gone; in between are the samples under load.

| | %s |
|---|%s
`, time.Now().Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), lasted.Round(time.Second),
		(lasted / 10).Round(time.Second), verdict, strings.Join(names(servers), " | "), strings.Repeat("--:|", len(servers)))
	line := func(what string, of func(s *soaked) string) {
		fmt.Fprintf(&b, "| %s |", what)
		for _, s := range servers {
			fmt.Fprintf(&b, " %s |", of(s))
		}
		fmt.Fprintln(&b)
	}
	count := func(what string, of func(s *soaked) int64) {
		line(what, func(s *soaked) string { return fmt.Sprint(of(s)) })
	}
	count("requests", func(s *soaked) int64 { return s.requests.Load() })
	count("logins", func(s *soaked) int64 { return s.logins.Load() })
	count("logouts", func(s *soaked) int64 { return s.logouts.Load() })
	count("sessions abandoned", func(s *soaked) int64 { return s.abandoned.Load() })
	count("streams left", func(s *soaked) int64 { return s.streams.Load() })
	count("panics", func(s *soaked) int64 { return s.panics.Load() })
	count("disconnects", func(s *soaked) int64 { return s.disconnects.Load() })
	count("store errors", func(s *soaked) int64 { return int64(s.after.Stats.Errors) })
	change := func(what string, of func(m measures) uint64) {
		line(what+": before → after", func(s *soaked) string { return fmt.Sprintf("%d → %d", of(s.before), of(s.after)) })
		line(what+": under load, least … most", func(s *soaked) string {
			least, most := ^uint64(0), uint64(0)
			for _, m := range s.samples {
				least, most = min(least, of(m)), max(most, of(m))
			}
			return fmt.Sprintf("%d … %d", least, most)
		})
	}
	change("goroutines", func(m measures) uint64 { return uint64(m.Goroutines) })
	change("descriptors (connections are among them)", func(m measures) uint64 { return uint64(m.Descriptors) })
	change("heap in KB", func(m measures) uint64 { return m.Heap >> 10 })
	return b.String()
}

func names(servers []*soaked) (list []string) {
	for _, s := range servers {
		list = append(list, s.k.name)
	}
	return list
}
