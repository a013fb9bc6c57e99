package behaviour

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
)

// writerCases are about the ResponseWriter that handlers get, in all that
// net/http does with it.
var writerCases = []behaviour{
	each("a timeout handler inside and outside", timeoutHandler),
	each("every status and method", statusesAndMethods),
	each("HTTP 2", http2),
	each("many streams of HTTP 2", streams),
	each("server-sent events", serverSentEvents),
	each("WebSocket", webSocket),
	once("the optional interfaces stay", optionalInterfaces),
	once("ResponseController reaches the server", responseController),
	once("the server has nothing to complain about", noSecondHeader),
	once("ranges and conditional requests", conditional),
}

// An overdue context is past its deadline when over is closed.
type overdue struct {
	context.Context
	over chan struct{}
}

func (c overdue) Done() <-chan struct{} { return c.over }

func (c overdue) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// timeoutHandler mounts http.TimeoutHandler on both sides of the middleware.
func timeoutHandler(t *testing.T, k Kind) {
	for _, side := range []string{"outside", "inside"} {
		t.Run(side, func(t *testing.T) {
			a := newApp(t, session.Config{Store: k.open(t)})
			over, gate, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			h := func(w http.ResponseWriter, r *http.Request) {
				s := session.FromContext(r)
				s.Set("a", r.FormValue("v"))
				if r.FormValue("slow") != "" {
					close(over)
					<-gate
					s.Set("late", 1)
					_, err := io.WriteString(w, "too late")
					ended <- err
					return
				}
				io.WriteString(w, "in time")
			}
			limit := func(next http.Handler) http.Handler {
				next = http.TimeoutHandler(next, time.Hour, "timeout")
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.FormValue("slow") != "" { // its hour passes when the handler says so
						r = r.WithContext(overdue{r.Context(), over})
					}
					next.ServeHTTP(w, r)
				})
			}
			if side == "outside" {
				a.around = limit
				a.router.HandleFunc("/", h)
			} else {
				a.router.Handle("/", limit(http.HandlerFunc(h)))
			}
			a.basics()
			b := a.browser(t)
			got := b.get("/?v=1")
			got.want(t, 200, "in time")
			if got.session == "" {
				t.Error("no cookie")
			}
			a.wantCalls(t, "Create")
			a.calls.Reset()
			got = b.get("/?v=2&slow=1")
			got.want(t, 503, "timeout")
			got.wantNoCookie(t)
			close(gate)
			if err := <-ended; !errors.Is(err, http.ErrHandlerTimeout) {
				t.Errorf("the late write: %v, want ErrHandlerTimeout", err)
			}
			// The handler goes on after the response. Outside: its session, too,
			// and it is stored. Inside: the session was stored with the response,
			// and released.
			eventually(t, "the handler has ended", func() bool { return b.get("/get?k=a").body == "2" })
			if side == "inside" {
				b.get("/get?k=late").want(t, 200, "<nil>")
				if len(a.log.lines("ERROR", "change ignored")) != 1 {
					t.Error("the late Set is not in the log")
				}
			} else {
				eventually(t, "the late change is stored", func() bool { return b.get("/get?k=late").body == "1" })
			}
		})
	}
}

func statusesAndMethods(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	a.handle("/{status}", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", r.FormValue("v"))
		var status int
		fmt.Sscan(r.PathValue("status"), &status)
		w.Header().Set("X-Method", r.Method)
		w.WriteHeader(status)
		if r.FormValue("body") != "" {
			io.WriteString(w, r.FormValue("body"))
		}
	})
	n := 0
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"HEAD", "/200?body=hello", 200, ""}, {"HEAD", "/404", 404, ""}, {"GET", "/204", 204, ""}, {"GET", "/304", 304, ""}, {"POST", "/201?body=made", 201, "made"},
		{"PUT", "/202", 202, ""}, {"DELETE", "/200?body=x", 200, "x"}, {"OPTIONS", "/204", 204, ""}, {"PATCH", "/409?body=y", 409, "y"}, {"GET", "/599?body=z", 599, "z"},
	} {
		b := a.browser(t)
		for i, calls := range []string{"Create", "Load Update"} {
			n++
			a.calls.Reset()
			sep := "?"
			if strings.Contains(tt.path, "?") {
				sep = "&"
			}
			got := b.do(b.request(tt.method, fmt.Sprintf("%s%sv=%d", tt.path, sep, n)))
			got.want(t, tt.status, tt.body)
			a.wantCalls(t, calls)
			if (got.session != "") != (i == 0) || got.header.Get("X-Method") != tt.method {
				t.Errorf("%s %s: a cookie: %v, header %v", tt.method, tt.path, got.session != "", got.header)
			}
		}
		b.get("/get?k=a").want(t, 200, fmt.Sprint(n))
	}
}

func http2(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	a.handle("/2", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		_, flusher := w.(http.Flusher)
		_, hijacker := w.(http.Hijacker)
		_, pusher := w.(http.Pusher)
		if r.ProtoMajor != 2 || !flusher || hijacker || !pusher {
			t.Errorf("HTTP/%d, Flusher %v, Hijacker %v, Pusher %v; want 2, true, false, true", r.ProtoMajor, flusher, hijacker, pusher)
		}
		if err := w.(http.Pusher).Push("/pushed", nil); err == nil {
			t.Error("Push to a client that wants none: no error")
		}
		if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("Hijack over HTTP/2: no error")
		}
		s.Set("a", "two")
		w.WriteHeader(http.StatusEarlyHints)
		w.(http.Flusher).Flush()
		a.wantCalls(t, "Create")
		io.WriteString(w, "streamed")
	})
	server := httptest.NewUnstartedServer(a.handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	b := a.newBrowser(t, server.URL, server.Client().Transport)
	got := b.get("/2")
	got.want(t, 200, "streamed")
	if !strings.Contains(got.session, "; Secure;") {
		t.Errorf("the cookie over TLS: %q", attributesOf(got.session))
	}
	b.get("/get?k=a").want(t, 200, "two")
	if b.get("/destroy"); b.token() != "" {
		t.Error("the cookie was not removed")
	}
}

// streams: 50 streams of one HTTP/2 connection are in their
// handlers at once, each sets a key, and none is lost; then 20 are reset in
// the middle, and what they set is stored all the same.
func streams(t *testing.T, k Kind) {
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
}

func serverSentEvents(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	next := make(chan struct{})
	a.handle("/events", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			s.Set("event", i)
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	})
	b, reader := a.browser(t), a.browser(t)
	resp, err := b.client.Get(b.base.String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a.saw(b.token())
	reader.setToken(b.token())
	lines := bufio.NewReader(resp.Body)
	for i := range 3 {
		line, err := lines.ReadString('\n')
		if err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d: %q, %v", i, line, err)
		}
		lines.ReadString('\n')
		reader.get("/get?k=event").want(t, 200, "0") // stored before the first event; the rest comes at the end
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("after the last event: %q, %v", rest, err)
	}
	eventually(t, "the last change is stored", func() bool { return reader.get("/get?k=event").body == "2" })
}

// webSocket does the handshake of RFC 6455 by hand, and then echoes lines.
func webSocket(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	a.handle("/ws", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("state", "opened")
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(buf, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
		w.Header().Write(buf)
		fmt.Fprint(buf, "\r\n")
		buf.Flush()
		line, _ := buf.ReadString('\n')
		fmt.Fprintf(buf, "echo %s", line)
		buf.Flush()
		s.Set("state", strings.TrimSpace(line))
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("Write after Hijack: %v, want ErrHijacked", err)
		}
	})
	b := a.browser(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.url(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 || len(resp.Cookies()) != 1 {
		t.Fatalf("the handshake: %v, %v", resp, err)
	}
	b.setToken(resp.Cookies()[0].Value)
	b.get("/get?k=state").want(t, 200, "opened")
	fmt.Fprint(conn, "closing\n")
	if rest, err := io.ReadAll(in); string(rest) != "echo closing\n" || err != nil {
		t.Errorf("the echo is %q, %v", rest, err)
	}
	eventually(t, "the change in the connection is stored", func() bool { return b.get("/get?k=state").body == "closing" })
}

// plain is a ResponseWriter that can do no more than that.
type plain struct{ http.ResponseWriter }

func optionalInterfaces(t *testing.T) {
	type can struct{ flush, hijack, readFrom, push, notify, unwrap bool }
	abilities := func(w http.ResponseWriter) (c can) {
		_, c.flush = w.(http.Flusher)
		_, c.hijack = w.(http.Hijacker)
		_, c.readFrom = w.(io.ReaderFrom)
		_, c.push = w.(http.Pusher)
		_, c.notify = w.(interface{ CloseNotify() <-chan bool })
		_, c.unwrap = w.(interface{ Unwrap() http.ResponseWriter })
		return c
	}
	a := newApp(t, session.Config{})
	var got can
	a.handle("/", func(w http.ResponseWriter, _ *http.Request, _ *session.Session) { got = abilities(w) })
	a.browser(t).get("/")
	if want := (can{flush: true, hijack: true, readFrom: true, notify: true, unwrap: true}); got != want {
		t.Errorf("over HTTP/1.1 the writer can %+v, want %+v", got, want)
	}
	a.router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if want := (can{flush: true, unwrap: true}); got != want {
		t.Errorf("on a recorder the writer can %+v, want %+v", got, want)
	}
	a.router.ServeHTTP(plain{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil))
	if want := (can{unwrap: true}); got != want {
		t.Errorf("on a plain writer the writer can %+v, want %+v", got, want)
	}
}

func responseController(t *testing.T) {
	a := newApp(t, session.Config{})
	var errs []error
	a.handle("/", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		rc := http.NewResponseController(w)
		errs = []error{rc.EnableFullDuplex(), rc.SetReadDeadline(time.Now().Add(time.Minute)), rc.SetWriteDeadline(time.Now().Add(time.Minute)), rc.Flush()}
		io.WriteString(w, "ok")
	})
	got := a.browser(t).get("/")
	got.want(t, 200, "ok")
	if err := errors.Join(errs...); err != nil || got.session == "" {
		t.Errorf("by ResponseController: %v; a cookie: %v", err, got.session != "")
	}
	a.router.ServeHTTP(plain{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil))
	for i, err := range errs {
		if !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("on a plain writer, method %d: %v, want ErrNotSupported", i, err)
		}
	}
}

// noSecondHeader: however the handler answers and whatever the
// store does, net/http has nothing to complain about.
func noSecondHeader(t *testing.T) {
	a := newApp(t, session.Config{Store: newMemory(t)})
	a.handle("/answer", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", r.FormValue("v"))
		responses[r.FormValue("by")].write(w, r)
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
	file, n := servedFile(t), 0
	for by := range responses {
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
				if _, err := b.try(b.request("GET", fmt.Sprintf("/answer?v=%d&file=%s&by=%s%s", n, file, strings.ReplaceAll(by, " ", "+"), more))); err != nil && more == "" {
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

// conditional: ranges and conditional requests answer as without
// sessions, and the session is stored.
func conditional(t *testing.T) {
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
