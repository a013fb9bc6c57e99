package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
)

// Section H of SECURITY-BAR, where behaviours D decide less.

// TestBar_HB13_NoSecondHeader: however the handler answers and whatever the
// store does, net/http has nothing to complain about.
// Of SECURITY-BAR: HB-13.
func TestBar_HB13_NoSecondHeader(t *testing.T) {
	a := newApp(t, session.Config{Store: newMemory(t)})
	a.handle("/answer", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", r.FormValue("v"))
		answers[r.FormValue("by")].write(w, r)
		if r.FormValue("panic") != "" {
			panic(http.ErrAbortHandler)
		}
		s.Set("late", r.FormValue("v"))
	})
	a.basics()
	var complaints bytes.Buffer
	var mu sync.Mutex
	server := httptest.NewUnstartedServer(a.handler())
	server.Config.ErrorLog = log.New(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return complaints.Write(p)
	}), "", 0)
	server.Start()
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	n := 0
	for by := range answers {
		if by == "header twice" {
			continue // that is the handler's own doing
		}
		for _, more := range []string{"", "&panic=1"} {
			for _, op := range []backendtest.Op{backendtest.OpCount, backendtest.OpCreate, backendtest.OpUpdate, backendtest.OpLoad} {
				b := a.newBrowser(t, server.URL, transport)
				if op != backendtest.OpCreate {
					b.get("/set?k=a&v=old")
				}
				a.calls.On(op, 9, backendtest.Fail(errTest))
				n++
				if _, err := b.try(b.request("GET", fmt.Sprintf("/answer?v=%d&file=behaviour_test.go&by=%s%s", n, strings.ReplaceAll(by, " ", "+"), more))); err != nil && more == "" {
					t.Errorf("%s, %s fails: %v", by, op, err)
				}
				a.calls.Reset()
			}
		}
	}
	server.Close()
	mu.Lock()
	defer mu.Unlock()
	if complaints.Len() > 0 {
		t.Errorf("the server's log after %d requests:\n%s", n, &complaints)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestBar_HB14_LateFailure: a save that fails when the header is out already
// is logged, counted and handed to the hook.
// Of SECURITY-BAR: HB-14.
func TestBar_HB14_LateFailure(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		var failed atomic.Int64
		a := newApp(t, session.Config{Store: k.open(t), Hooks: session.Hooks{Failed: func(_ string, err error) {
			if !errors.Is(err, errTest) {
				t.Errorf("Hooks.Failed got %v", err)
			}
			failed.Add(1)
		}}})
		a.basics()
		a.handle("/late", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			io.WriteString(w, "first byte")
			w.(http.Flusher).Flush()
			s.Set("a", "late")
		})
		b := a.browser(t)
		b.get("/set?k=a&v=kept")
		before := a.Stats().Errors
		a.calls.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(errTest))
		b.get("/late").want(t, 200, "first byte")
		eventually(t, "the failure is told", func() bool {
			return failed.Load() == 1 && a.Stats().Errors > before && len(a.log.lines("ERROR", errTest.Error())) > 0
		})
		a.calls.Reset()
		b.get("/get?k=a").want(t, 200, "kept")
	})
}

// TestBar_HB15_NothingIsLeft: 120 times new, login and logout, and 100 panics:
// goroutines and descriptors are as many as before.
// Of SECURITY-BAR: HB-15.
func TestBar_HB15_NothingIsLeft(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newStage(t, session.Config{Store: k.open(t)}, nil)
		a.handle("/do/panic", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("a", 2)
			panic(http.ErrAbortHandler)
		})
		round := func(n, panics int) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range n / 4 {
						b := a.browser(t)
						b.get("/start").want200(t)
						b.get("/login").want200(t)
						for range panics {
							b.try(b.request("GET", "/do/panic"))
						}
						b.get("/logout").want200(t)
						b.client.CloseIdleConnections()
					}
				})
			}
			wg.Wait()
		}
		round(20, 1)
		goroutines, files := settled(t)
		round(120, 1)
		eventually(t, "goroutines and descriptors are as many as before", func() bool {
			g, f := settled(t)
			return g <= goroutines+2 && f <= files+2
		})
	})
}

// settled returns the numbers of goroutines and of open files, where the
// system tells, when they have been the same for a while.
func settled(t *testing.T) (goroutines, files int) {
	t.Helper()
	count := func() (int, int) {
		list, _ := os.ReadDir("/proc/self/fd") // none elsewhere than on Linux
		return runtime.NumGoroutine(), len(list)
	}
	same := 0
	eventually(t, "the process settles", func() bool {
		g, f := count()
		if same++; g != goroutines || f != files {
			goroutines, files, same = g, f, 0
		}
		return same > 20
	})
	return goroutines, files
}

// TestBar_HB16_Streams: 50 streams of one HTTP/2 connection are in their
// handlers at once, each sets a key, and none is lost; then 20 are reset in
// the middle, and what they set is stored all the same.
// Of SECURITY-BAR: HB-16.
func TestBar_HB16_Streams(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newApp(t, session.Config{Store: k.open(t), StoreTimeout: 30 * time.Second})
		a.basics()
		const streams, resets = 50, 20
		var all sync.WaitGroup
		all.Add(streams)
		a.handle("/stream/{key}", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
			all.Done()
			all.Wait()
			s.Set(r.PathValue("key"), true)
			w.(http.Flusher).Flush()
			io.WriteString(w, "ok")
		})
		running := make(chan struct{}, resets)
		a.handle("/reset/{key}", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			running <- struct{}{}
			<-r.Context().Done()
			s.Set(r.PathValue("key"), true)
		})
		a.handle("/count", func(w http.ResponseWriter, _ *http.Request, s *session.Session) { fmt.Fprint(w, s.Len()) })
		server := httptest.NewUnstartedServer(a.handler())
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		b := a.newBrowser(t, server.URL, server.Client().Transport)
		b.get("/set?k=first&v=1")
		var wg sync.WaitGroup
		for i := range streams {
			wg.Go(func() { b.get(fmt.Sprintf("/stream/s%d", i)).want(t, 200, "ok") })
		}
		wg.Wait()
		b.get("/count").want(t, 200, fmt.Sprint(streams+1))
		ctx, cancel := context.WithCancel(t.Context())
		for i := range resets {
			wg.Go(func() {
				if _, err := b.try(b.request("GET", fmt.Sprintf("/reset/r%d", i)).WithContext(ctx)); !errors.Is(err, context.Canceled) {
					t.Errorf("a stream that is reset: %v", err)
				}
			})
		}
		for range resets {
			<-running
		}
		cancel()
		wg.Wait()
		eventually(t, "what reset streams set is stored", func() bool { return b.get("/count").body == fmt.Sprint(streams+resets+1) })
	})
}

// TestBar_HB19_Conditional: ranges and conditional requests answer as without
// sessions, and the session is stored.
// Of SECURITY-BAR: HB-19.
func TestBar_HB19_Conditional(t *testing.T) {
	a := newApp(t, session.Config{})
	a.basics()
	a.handle("/file", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("seen", r.Header.Get("X-Case"))
		w.Header().Set("Etag", `"v1"`)
		http.ServeContent(w, r, "a.txt", time.Unix(1_700_000_000, 0), strings.NewReader("0123456789"))
	})
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	for i, tt := range []struct {
		header, value string
		status        int
		body          string
	}{
		{"Range", "bytes=2-4", 206, "234"}, {"Range", "bytes=-3", 206, "789"}, {"Range", "bytes=20-", 416, "invalid range: failed to overlap\n"},
		{"If-None-Match", `"v1"`, 304, ""}, {"If-None-Match", `"v0"`, 200, "0123456789"}, {"If-Match", `"v0"`, 412, ""},
		{"If-Modified-Since", "Wed, 15 Nov 2023 00:00:00 GMT", 304, ""}, {"If-Range", `"v1"`, 200, "0123456789"},
	} {
		r := b.request("GET", "/file")
		r.Header.Set(tt.header, tt.value)
		r.Header.Set("X-Case", fmt.Sprint("case", i))
		b.do(r).want(t, tt.status, tt.body)
		b.get("/get?k=seen").want(t, 200, fmt.Sprint("case", i))
	}
}
