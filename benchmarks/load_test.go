package main

import (
	"bufio"
	"encoding/gob"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// loadAddr serves the handlers over a bare store, and returns where.
func loadAddr(t testing.TB, store rawStore) string {
	t.Helper()
	server := httptest.NewServer(newRouter(newBare(store, []byte("a record"))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func newMap() *rawMemory { return &rawMemory{m: newRawMap()} }

// connected returns clients that have a session each.
func connected(t testing.TB, addr string, n int) clients {
	t.Helper()
	all, err := dialClients(addr, n, (*client).begin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.close() })
	return all
}

func TestClosedLoop(t *testing.T) {
	store := newMap()
	all := connected(t, loadAddr(t, store), 4)
	for _, s := range []scenario{untouched, read, write, login} {
		r, err := all.closed(generatorOrder{Scenario: s, Lasts: 20 * time.Millisecond})
		if err != nil {
			t.Fatalf("scenario %s: %v", s, err)
		}
		if len(r.Times) < len(all) || !slices.IsSorted(r.Times) || r.Times[0] <= 0 || r.Failed != 0 {
			t.Errorf("scenario %s: %d requests of %d clients took %v, %d failed", s, len(r.Times), len(all), r.Times, r.Failed)
		}
	}
	if err := all.each((*client).check); err != nil {
		t.Errorf("the sessions after the load: %v", err)
	}
	if len(store.m) <= len(all) {
		t.Errorf("%d sessions: the logins made none", len(store.m))
	}
	for k := range store.m {
		store.m[k] = []byte("\x00 record")
	}
	if err := all.each((*client).check); err == nil {
		t.Error("nobody saw that what was written is gone")
	}
}

// A forgetful store says that it has written, and has not.
type forgetful struct{ *rawMemory }

func (forgetful) set(rawKey, []byte) error { return nil }

// A broken store does not write, and says so.
type broken struct{ *rawMemory }

func (broken) set(rawKey, []byte) error { return errors.New("no space") }

func TestContendersMustWork(t *testing.T) {
	for name, test := range map[string]struct {
		store rawStore
		want  string
	}{
		"writes nothing": {forgetful{newMap()}, `after 1 writes, and 0 that failed, the session reads "1"`},
		"fails":          {broken{newMap()}, "500 Internal Server Error: no space"},
	} {
		all, err := dialClients(loadAddr(t, test.store), 1, (*client).begin)
		if err == nil {
			_ = all.close()
			t.Errorf("%s: begin returned nil", name)
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: begin returned %q, want %q", name, err, test.want)
		}
	}
}

// A tired store fails in every third write, before or after it is done.
type tired struct {
	*rawMemory
	writes atomic.Int32
}

func (s *tired) set(k rawKey, data []byte) error {
	n := s.writes.Add(1)
	if n%6 == 0 {
		return errors.New("no")
	}
	err := s.rawMemory.set(k, data)
	if n%6 == 3 {
		err = errors.New("no, or perhaps")
	}
	return err
}

// TestRefusalsAreCounted: they end no run, unless there is nothing else.
func TestRefusalsAreCounted(t *testing.T) {
	all := connected(t, loadAddr(t, &tired{rawMemory: newMap()}), 1)
	r, err := all.closed(generatorOrder{Scenario: write, Lasts: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Times); n > 6 && (r.Failed < n/3-1 || r.Failed > n/3+1 || !strings.Contains(r.Refusal, "no")) {
		t.Errorf("%d of %d requests failed, one by %q: want a third", r.Failed, n, r.Refusal)
	}
	if err := all.each((*client).check); err != nil {
		t.Error(err)
	}
	all = connected(t, loadAddr(t, newMap()), 1)
	all[0].bring(bareCookie + "none")
	if _, err := all.closed(generatorOrder{Scenario: read, Lasts: time.Millisecond}); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("no request succeeded: %v", err)
	}
}

// TestClientRefuses: what is not a response that these servers send is an error,
// and no response.
func TestClientRefuses(t *testing.T) {
	for _, bytes := range []string{
		"",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nok",
	} {
		here, there := net.Pipe()
		go func() {
			_, _ = bufio.NewReader(there).ReadString('\n') // the request line is enough
			_, _ = io.WriteString(there, bytes)
			_ = there.Close()
		}()
		c := &client{conn: here, in: bufio.NewReader(here), requests: map[scenario][]byte{read: []byte("GET\n")}}
		if r, err := c.send(read); err == nil {
			t.Errorf("%q is taken for a response with the body %q", bytes, r.body)
		}
		_ = here.Close()
	}
}

// TestPeer: an order, its reply and its error go through the pipes.
func TestPeer(t *testing.T) {
	orders, replies := pipe(t), pipe(t)
	p := &peer{enc: gob.NewEncoder(orders.w), dec: gob.NewDecoder(replies.r)}
	ended := make(chan error, 1)
	s := &loadServer{}
	go func() { ended <- obey(gob.NewDecoder(orders.r), gob.NewEncoder(replies.w), s.do) }()
	t.Cleanup(func() { _ = s.close() })

	if _, err := ask[serverReply](p, serverOrder{Serve: &contender{Name: "nobody"}}); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a contender that there is not: %v", err)
	}
	r, err := ask[serverReply](p, serverOrder{Serve: &contender{Kind: inMemory, Name: nameOurs}})
	if err != nil {
		t.Fatal(err)
	}
	connected(t, r.Addr, 2)
	r, err = ask[serverReply](p, serverOrder{})
	if err != nil || r.Used.CPU <= 0 || r.Used.Bytes == 0 {
		t.Errorf("used %+v, %v", r.Used, err)
	}
	_ = orders.w.Close()
	if err := <-ended; err != nil {
		t.Errorf("the input ended: %v", err)
	}
}

type pipeEnds struct {
	r *io.PipeReader
	w *io.PipeWriter
}

func pipe(t *testing.T) pipeEnds {
	r, w := io.Pipe()
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return pipeEnds{r, w}
}

func TestLoadVerdicts(t *testing.T) {
	turns := func(times ...int) *series {
		s := &series{}
		for _, ms := range times {
			s.samples = append(s.samples, sample{rate: 1000 / float64(ms), p99: time.Duration(ms), cpu: time.Duration(ms)})
		}
		return s
	}
	c := cell{inRedis, read, loadClients, nil, map[string]*series{
		nameOurs: turns(10, 12, 14), nameRaw: turns(10, 10, 10), nameSCS: turns(12, 13, 14),
	}}
	for _, v := range loadVerdicts([]cell{c}) {
		want := map[string]outcome{
			"Redis, 64 clients, read: CPU a request":     within, // 1.2, from 1.1
			"Redis, 64 clients, read: p99":               met,
			"Redis, 64 clients, read: requests a second": missed,
		}[v.what]
		if v.outcome != want {
			t.Errorf("%s, %s, measured %s: %s, want %s", v.what, v.want, v.got, v.outcome, want)
		}
	}
}

// TestLoadEnds: the load is a third of a full run at most, and a quarter of a
// quick one.
func TestLoadEnds(t *testing.T) {
	for _, test := range []struct {
		name string
		size loadSize
		most time.Duration
	}{
		{"a full run", fullLoad, 5 * time.Minute},
		{"a quick one", quickLoad, time.Minute},
	} {
		if got := test.size.longest(); got > test.most {
			t.Errorf("the load of %s takes up to %v, %v at most", test.name, got, test.most)
		}
	}
}

// BenchmarkClient is why the clients of a load read HTTP by hand: it is what one
// exchange with a handler that does nothing costs, the server's part included.
func BenchmarkClient(b *testing.B) {
	addr := loadAddr(b, newMap())
	b.Run("by hand", func(b *testing.B) {
		c := connected(b, addr, 1)[0]
		for b.Loop() {
			if err := c.visit(untouched); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("http.ReadResponse", func(b *testing.B) {
		c := connected(b, addr, 1)[0]
		for b.Loop() {
			if _, err := c.conn.Write(c.requests[untouched]); err != nil {
				b.Fatal(err)
			}
			drain(b)(http.ReadResponse(c.in, nil))
		}
	})
	b.Run("http.Client", func(b *testing.B) {
		for b.Loop() {
			drain(b)(http.Get("http://" + addr + "/A"))
		}
	})
}

func drain(b *testing.B) func(*http.Response, error) {
	return func(r *http.Response, err error) {
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			b.Fatal(err)
		}
		_ = r.Body.Close() // nothing is left in it
	}
}
