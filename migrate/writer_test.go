package migrate_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/migrate"
)

// acts are what the adopting request may do to the session; each but the
// first has a Set-Cookie line of its own.
var acts = map[string]func(*session.Session){
	"read":    func(s *session.Session) { s.Get("name") },
	"renew":   (*session.Session).Renew,
	"login":   func(s *session.Session) { s.SetUser("bob") },
	"destroy": (*session.Session).Destroy,
	"restart": func(s *session.Session) { s.Destroy(); s.Set("name", "again") },
	"persist": func(s *session.Session) { s.SetPersistent(true) },
	"fail":    func(s *session.Session) { s.Set("name", make(chan int)) },
}

// answers are the ways in which a header leaves.
var answers = map[string]http.HandlerFunc{
	"nothing":  func(http.ResponseWriter, *http.Request) {},
	"header":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	"write":    func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") },
	"copy":     func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("hello")) },
	"flush":    func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() },
	"control":  func(w http.ResponseWriter, _ *http.Request) { http.NewResponseController(w).Flush() },
	"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusSeeOther) },
	"early": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "hello")
	},
	"hijack": func(w http.ResponseWriter, _ *http.Request) {
		header := w.Header()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return // the session could not be stored, and the client knows
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: close\r\n")
		header.Write(conn)
		fmt.Fprint(conn, "\r\n")
	},
}

// TestOneCookie: whatever the adopting request does, and however it answers,
// over a real server: its response sets the session's cookie once, and what it
// sets is the session as it is then.
func TestOneCookie(t *testing.T) {
	for what, act := range acts {
		for how, answer := range answers {
			t.Run(what+"/"+how, func(t *testing.T) {
				store, err := memory.New(memory.Options{})
				if err != nil {
					t.Fatal(err)
				}
				user := ""
				a := newProcess(t, &newStore{Store: store}, holding(ann), migrate.Options{Adopted: login}, func(w http.ResponseWriter, r *http.Request) {
					s := session.FromContext(r)
					if r.URL.Path == "/who" {
						user = fmt.Sprint(s.User(), " ", s.Get("name"))
						return
					}
					w.Header().Set("Cache-Control", "public, max-age=60")
					act(s)
					answer(w, r)
				})
				server := httptest.NewServer(a.handler)
				defer server.Close()

				r := send(t, server, "/", oldCookie)
				cookies := newCookies(r)
				if len(cookies) != 1 {
					t.Fatalf("%d, Set-Cookie: %q; want one line", r.StatusCode, r.Header["Set-Cookie"])
				}
				if got := r.Header.Get("Cache-Control"); got != "no-store" {
					t.Errorf("Cache-Control is %q beside a Set-Cookie, want no-store", got)
				}
				got := cookies[0]
				if removed := got.MaxAge < 0; removed != (what == "destroy") {
					t.Errorf("the cookie is removed: %t", removed)
				}
				send(t, server, "/who", got.Name+"="+got.Value)
				want := map[string]string{"login": "bob <nil>", "destroy": " <nil>", "restart": " again"}[what]
				if want == "" {
					want = "ann Ann"
				}
				if user != want {
					t.Errorf("the next request is %q, want %q", user, want)
				}
			})
		}
	}
}

// send sends a request with a cookie, on a connection of its own, and returns
// the final response's head.
func send(t *testing.T, server *httptest.Server, path, cookie string) *http.Response {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nCookie: %s\r\n\r\n", path, cookie)
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("GET %s: %v", path, err)
		}
		if r.StatusCode >= 200 || r.StatusCode == http.StatusSwitchingProtocols {
			io.Copy(io.Discard, in) // until the handler is done
			return r
		}
	}
}

// only is a ResponseWriter with the abilities that are chosen.
type (
	flushes  struct{ http.ResponseWriter }
	hijacks  struct{ http.ResponseWriter }
	notifies struct{ flushes }
	hidden   struct{ http.ResponseWriter }
)

func (flushes) Flush()                                       {}
func (hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }
func (notifies) CloseNotify() <-chan bool                    { return nil }
func (h hidden) Unwrap() http.ResponseWriter                 { return h.ResponseWriter }

// TestAbilities: the handler of the adopting request can do what that of any
// other request can.
func TestAbilities(t *testing.T) {
	abilities := func(w http.ResponseWriter) string {
		_, f := w.(http.Flusher)
		_, h := w.(http.Hijacker)
		_, n := w.(interface{ CloseNotify() <-chan bool })
		return fmt.Sprintf("flush %t, hijack %t, notify %t", f, h, n)
	}
	bare := func() http.ResponseWriter { return struct{ http.ResponseWriter }{httptest.NewRecorder()} }
	for name, w := range map[string]http.ResponseWriter{
		"none":           bare(),
		"flush":          flushes{bare()},
		"hijack":         hijacks{bare()},
		"flush, notify":  notifies{flushes{bare()}},
		"hidden flush":   hidden{flushes{bare()}},
		"hidden hijack":  hidden{hijacks{bare()}},
		"hidden nothing": hidden{bare()},
	} {
		store, err := memory.New(memory.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		a := newProcess(t, &newStore{Store: store}, holding(ann), migrate.Options{}, func(w http.ResponseWriter, _ *http.Request) {
			seen = append(seen, abilities(w))
		})
		for _, cookie := range []string{oldCookie, "other=1"} {
			r := httptest.NewRequestWithContext(context.Background(), "GET", "/", nil)
			r.Header.Set("Cookie", cookie)
			a.handler.ServeHTTP(w, r)
		}
		if len(seen) != 2 || seen[0] != seen[1] {
			t.Errorf("%s: the adopting request's writer can %q, want both the same", name, seen)
		}
	}
}
