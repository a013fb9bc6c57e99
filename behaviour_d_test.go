package session_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// TestBehaviourD is section D of BEHAVIOURS.md: storing, and the order of
// things. What is told of writers is in behaviour_d_writer_test.go.
func TestBehaviourD(t *testing.T) {
	onEach(t, "29_stored_before_the_header", storedBeforeHeader) // HB-6, HB-7, HB-9
	onEach(t, "30_early_hints", earlyHints)                      // HB-8
	onEach(t, "31_change_after_first_byte", afterFirstByte)      // FX-9, HB-10
	onEach(t, "32_save_in_handler", saveInHandler)
	onEach(t, "33_reload", reload)
	onEach(t, "34_storing_fails", storingFails)        // HB-14
	onEach(t, "34_every_call_in_turn", everyCallFails) // FX-4
	onEach(t, "35_loading_fails", loadingFails)        // RD-1
	onEach(t, "36_store_hangs", storeHangs)            // HB-3
	onEach(t, "37_client_gone", clientGone)            // HB-2
	onEach(t, "38_panic", handlerPanics)               // HB-1
	onEach(t, "39_used_after_return", usedAfterReturn) // CC-8
	onEach(t, "41_answer_500_is_stored", answer500)
	onEach(t, "40_timeout_handler", timeoutHandler)          // HB-4
	onEach(t, "40_statuses_and_methods", statusesAndMethods) // HB-9
	onEach(t, "40_http2", http2)                             // HB-11, HB-16
	onEach(t, "40_sse", serverSentEvents)                    // HB-6
	onEach(t, "40_websocket", webSocket)                     // HB-5
	t.Run("40_optional_interfaces", optionalInterfaces)      // HB-7, HB-11
	t.Run("40_response_controller", responseController)      // HB-12
}

// A witness stands outside of the session's middleware and notes what passes
// it, and when the store's writes have been done.
type witness struct {
	mu     sync.Mutex
	events []string
}

func (n *witness) note(event string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.events) == 0 || n.events[len(n.events)-1] != event || event == "stored" {
		n.events = append(n.events, event)
	}
}

// take returns what happened since the last take; of equal events in a row
// one, unless they are of the store.
func (n *witness) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	events := n.events
	n.events = nil
	return events
}

// watch has n note what happens in a.
func (n *witness) watch(a *app) {
	a.calls.After = func(_ context.Context, call backendtest.Call, err error) error {
		if call.Op != backendtest.OpLoad {
			n.note("stored")
		}
		return err
	}
	a.around = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&witnessed{w, n}, r)
		})
	}
}

// witnessed has what the server's writer has.
type witnessed struct {
	http.ResponseWriter
	n *witness
}

func (w *witnessed) WriteHeader(code int) {
	w.n.note("header")
	w.ResponseWriter.WriteHeader(code)
}

func (w *witnessed) Write(p []byte) (int, error) {
	w.n.note("body")
	return w.ResponseWriter.Write(p)
}

func (w *witnessed) ReadFrom(src io.Reader) (int64, error) {
	w.n.note("body")
	return w.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
}

func (w *witnessed) Flush() {
	w.n.note("body")
	w.ResponseWriter.(http.Flusher).Flush()
}

func (w *witnessed) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.n.note("hijack")
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// answers are the ways to answer; each after a change of the session.
var answers = map[string]struct {
	write  func(w http.ResponseWriter, r *http.Request)
	status int
	body   string
}{
	"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/next", http.StatusSeeOther) }, 303, "<a href=\"/next\">See Other</a>.\n\n"},
	"empty":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }, 200, ""},
	"nothing":  {func(http.ResponseWriter, *http.Request) {}, 200, ""},
	"no bytes": {func(w http.ResponseWriter, _ *http.Request) { w.Write(nil) }, 200, ""},
	"many writes": {func(w http.ResponseWriter, _ *http.Request) {
		for range 5000 {
			io.WriteString(w, "x")
		}
	}, 200, strings.Repeat("x", 5000)},
	"length": {func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		w.Write([]byte("hello"))
	}, 200, "hello"},
	"flush": {func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, "late")
	}, 200, "late"},
	"flush by controller": {func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			io.WriteString(w, err.Error())
		}
	}, 200, ""},
	"read from": {func(w http.ResponseWriter, _ *http.Request) {
		w.(io.ReaderFrom).ReadFrom(strings.NewReader("copied"))
	}, 200, "copied"},
	"copy":     {func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("copied")) }, 200, "copied"},
	"error":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 404) }, 404, "no\n"},
	"error500": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) }, 500, "no\n"},
	"header twice": {func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(202)
		w.WriteHeader(500)
		io.WriteString(w, "x")
	}, 202, "x"},
	"file": {func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, r.FormValue("file")) }, 200, strings.Repeat("file", 30_000)},
	"range": {func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Range", "bytes=4-7")
		http.ServeContent(w, r, "a.txt", time.Unix(1, 0), strings.NewReader("0123456789"))
	}, 206, "4567"},
	"hijack": {func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			io.WriteString(w, err.Error())
			return
		}
		defer conn.Close()
		io.WriteString(buf, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n")
		w.Header().Write(buf) // the cookie, too
		io.WriteString(buf, "\r\nraw")
		buf.Flush()
	}, 200, "raw"},
}

func storedBeforeHeader(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	var n witness
	n.watch(a)
	file := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(file, []byte(answers["file"].body), 0o600); err != nil {
		t.Fatal(err)
	}
	gate := make(chan struct{})
	a.handle("/answer", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", r.FormValue("v"))
		answers[r.FormValue("by")].write(w, r)
		if r.FormValue("wait") != "" {
			http.NewResponseController(w).Flush()
			<-gate
		}
	})
	a.basics()
	for by, want := range answers {
		t.Run(strings.ReplaceAll(by, " ", "_"), func(t *testing.T) {
			b := a.browser(t)
			for i, calls := range []string{"Create", "Load Update"} {
				a.calls.Reset()
				n.take()
				got := b.get(fmt.Sprintf("/answer?v=%d&by=%s&file=%s", i, strings.ReplaceAll(by, " ", "+"), file))
				got.want(t, want.status, want.body)
				a.wantCalls(t, calls)
				if events := n.take(); len(events) == 0 && by != "nothing" || len(events) > 0 && (events[0] != "stored" || slices.Contains(events[1:], "stored")) {
					t.Errorf("what happened: %q, want stored first, and once", events)
				}
				if (got.session != "") != (i == 0) {
					t.Errorf("request %d has the cookie: %v", i, got.session != "")
				}
				b.get("/get?k=a").want(t, 200, fmt.Sprint(i))
			}
		})
	}
	t.Run("while_the_handler_runs", func(t *testing.T) {
		// The client has the header, the handler has not returned.
		b := a.browser(t)
		b.get("/set?k=a&v=before")
		r := b.request("GET", "/answer?v=after&by=redirect&wait=1")
		r.Header.Set("Cookie", a.name+"="+b.token())
		resp, err := b.client.Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b.get("/get?k=a").want(t, 200, "after")
		close(gate)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	})
}

func earlyHints(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.handle("/", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		a.wantCalls(t, "")
		w.WriteHeader(http.StatusProcessing)
		s.Set("b", 2)
		w.WriteHeader(http.StatusOK)
		a.wantCalls(t, "Create")
		io.WriteString(w, "done")
	})
	b := a.browser(t)
	var hints []int
	r := b.request("GET", "/")
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, code)
			if len(h["Set-Cookie"]) > 0 || code == 103 && h.Get("Link") == "" {
				t.Errorf("the %d answer has %v", code, h)
			}
			return nil
		},
	}))
	got := b.do(r)
	got.want(t, 200, "done")
	if got.session == "" || !slices.Equal(hints, []int{103, 102}) {
		t.Errorf("informational answers %v, then one with the session's cookie: %v; want 103, 102 and one", hints, got.session != "")
	}
	a.wantCalls(t, "Create")
}

func afterFirstByte(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	changes := map[string]func(s *session.Session) error{
		"set":      func(s *session.Session) error { s.Set("late", 1); return s.Save() },
		"set only": func(s *session.Session) error { s.Set("late", 1); return s.Err() },
		"update": func(s *session.Session) error {
			_, err := session.Update(s, "late", func(n int) int { return n + 1 })
			return err
		},
		"renew":   func(s *session.Session) error { s.Renew(); return s.Save() },
		"user":    func(s *session.Session) error { s.SetUser("ada"); return s.Save() },
		"delete":  func(s *session.Session) error { s.Delete("a"); return s.Save() },
		"destroy": func(s *session.Session) error { s.Destroy(); return s.Save() },
		"again":   func(s *session.Session) error { s.Destroy(); s.Set("late", 1); return s.Save() },
	}
	a.handle("/late", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		io.WriteString(w, "first byte; ")
		fmt.Fprint(w, changes[strings.ReplaceAll(r.FormValue("change"), "_", " ")](s))
	})
	refused := fmt.Sprint("first byte; ", session.ErrHeadersSent)
	const fine = "first byte; <nil>"
	for _, tt := range []struct{ change, isNew, exists, calls string }{
		{"set", refused, fine, "Load Update"},
		{"set_only", refused, fine, "Load Update"},
		{"update", refused, fine, "Load Update"},
		{"renew", refused, refused, "Load"},
		{"user", refused, refused, "Load"},
		{"delete", fine, fine, "Load Update"},
		{"destroy", fine, fine, "Load " + removing(a)},
		{"again", refused, refused, "Load " + removing(a)},
	} {
		before := a.records(t)
		a.calls.Reset()
		got := a.browser(t).get("/late?change=" + tt.change)
		got.want(t, 200, tt.isNew)
		got.wantNoCookie(t)
		a.wantCalls(t, "")
		a.wantRecords(t, before)
		if errors := len(a.log.lines("ERROR", "header is sent")); (errors > 0) != (tt.isNew == refused) && tt.change == "set" {
			t.Errorf("%s of a new session: %d errors in the log", tt.change, errors)
		}

		b := a.browser(t)
		b.get("/set?k=a&v=1")
		token := b.token()
		a.calls.Reset()
		got = b.get("/late?change=" + tt.change)
		got.want(t, 200, tt.exists)
		got.wantNoCookie(t)
		a.wantCalls(t, tt.calls)
		b.setToken(token)
		late, was := b.get("/get?k=late").body, b.get("/get?k=a").body
		want := map[string]string{"set": "1 1", "set_only": "1 1", "update": "1 1", "renew": "<nil> 1", "user": "<nil> 1"}[tt.change]
		if want == "" {
			want = "<nil> <nil>"
		}
		if late+" "+was != want {
			t.Errorf("%s: afterwards late and a are %q, want %q", tt.change, late+" "+was, want)
		}
	}
}

// removing returns the store calls of a logout.
func removing(a *app) string {
	if backend.AbilitiesOf(a.store).VersionedDeleter != nil {
		return "DeleteVersion"
	}
	return "Update Delete"
}

func saveInHandler(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	ways := map[string]func(s *session.Session){
		"save":   func(s *session.Session) { s.Set("a", 2); save(t, s); save(t, s) },
		"reload": func(s *session.Session) { s.Set("a", 3); save(t, s); check(t, s.Reload()); wantValue(t, s, "a", 3) },
		"twice":  func(s *session.Session) { s.Set("a", 4); save(t, s); s.Set("a", 5); save(t, s) },
		"undone": func(s *session.Session) { s.Set("a", 9); check(t, s.Reload()); wantValue(t, s, "a", 5) },
		"update": func(s *session.Session) {
			_, err := session.Update(s, "a", func(n int) int { return n + 1 })
			check(t, err)
			save(t, s)
		},
		"late": func(s *session.Session) { s.Set("a", 7); save(t, s); s.Set("b", 1) },
	}
	a.handle("/way", func(_ http.ResponseWriter, r *http.Request, s *session.Session) { ways[r.FormValue("w")](s) })
	b := a.browser(t)
	b.get("/way?w=save").want(t, 200, "")
	a.wantCalls(t, "Create")
	for _, tt := range [][2]string{
		{"reload", "Load Update Load"}, {"twice", "Load Update Update"}, {"undone", "Load Load"}, {"update", "Load Update"}, {"late", "Load Update Update"}, {"late", "Load"},
	} {
		a.calls.Reset()
		b.get("/way?w="+tt[0]).want(t, 200, "")
		a.wantCalls(t, tt[1])
	}
	b.get("/get?k=a").want(t, 200, "7")
	b.get("/get?k=b").want(t, 200, "1")
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func wantValue(t *testing.T, s *session.Session, key string, want any) {
	t.Helper()
	if got := s.Get(key); got != want {
		t.Errorf("Get(%q) = %v, want %v", key, got, want)
	}
}

func reload(t *testing.T, k kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	meanwhile := map[string]string{"set": "/set?k=a&v=other", "destroy": "/destroy", "renew": "/renew"}
	a.handle("/reload", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("mine", 1)
		other := a.browser(t)
		other.setToken(s.Token())
		other.get(meanwhile[r.FormValue("meanwhile")])
		err := s.Reload()
		switch {
		case errors.Is(err, session.ErrDestroyed):
			io.WriteString(w, "destroyed ")
		case errors.Is(err, session.ErrSuperseded):
			io.WriteString(w, "superseded ")
		case err != nil:
			t.Errorf("Reload: %v", err)
		}
		fmt.Fprintf(w, "%v %v %d", s.Get("a"), s.Get("mine"), s.Len())
	})
	for _, tt := range [][2]string{{"set", "other <nil> 1"}, {"destroy", "destroyed <nil> <nil> 0"}, {"renew", "superseded <nil> <nil> 0"}} {
		b := a.browser(t)
		b.get("/set?k=a&v=before")
		got := b.get("/reload?meanwhile=" + tt[0])
		got.want(t, 200, tt[1])
		got.wantNoCookie(t)
	}
	// A new session has nothing to read anew: it forgets what was Set.
	a.handle("/new", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		fmt.Fprint(w, s.Reload(), s.Get("a"))
	})
	got := a.browser(t).get("/new")
	got.want(t, 200, "<nil> <nil>")
	got.wantNoCookie(t)
	// The store fails: Reload says so, and it is for the handler to decide.
	a.handle("/fails", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		a.calls.On(backendtest.OpLoad, 1, backendtest.Fail(errTest))
		fmt.Fprint(w, errors.Is(s.Reload(), errTest))
	})
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	b.get("/fails").want(t, 200, "true")
	b.get("/get?k=a").want(t, 200, "1")
}
