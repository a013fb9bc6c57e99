package proxies

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// An app is a program as people write it, without a word about proxies in its
// configuration, that listens in the clear on loopback.
type app struct {
	addr string // host:port
	log  logBuffer

	mu   sync.Mutex // guards seen
	seen []string   // the protocol of each request
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{}
	manager, err := session.New(session.Config{Logger: slog.New(slog.NewTextHandler(&a.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", manager.Middleware(routes()))
	startRoutes(mux, manager)
	server := httptest.NewUnstartedServer(a.count(mux))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	a.addr = server.Listener.Addr().String()
	t.Cleanup(func() {
		server.Close()
		if err := manager.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return a
}

func (a *app) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.seen = append(a.seen, r.Proto)
		a.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// requests returns how many requests have come, and the protocol of the last.
func (a *app) requests() (n int, protocol string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n = len(a.seen); n > 0 {
		protocol = a.seen[n-1]
	}
	return n, protocol
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("cart", "tea")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).SetUser("ada")
		flash.Success(r, "Welcome, ada.")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Destroy()
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		fmt.Fprintf(w, "user=%s cart=%v", s.User(), s.Get("cart"))
	})
	mux.HandleFunc("GET /tagged", func(w http.ResponseWriter, r *http.Request) {
		user := session.FromContext(r).User()
		tag := `"page of ` + user + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, "user=%s", user)
	})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, r *http.Request) {
		visits, err := session.Update(session.FromContext(r), "visits", func(n int) int { return n + 1 })
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, visits)
	})
	mux.HandleFunc("GET /messages", func(w http.ResponseWriter, r *http.Request) {
		for _, m := range flash.Take(r) {
			fmt.Fprintln(w, m)
		}
	})
	// Written before the session is asked for: the header has left by then.
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat(" ", 8<<10))
		http.NewResponseController(w).Flush()
		s := session.FromContext(r)
		fmt.Fprintf(w, "user=%s cart=%v", s.User(), s.Get("cart"))
	})
	mux.HandleFunc("GET /late/messages", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat(" ", 8<<10))
		http.NewResponseController(w).Flush()
		for _, m := range flash.Take(r) {
			fmt.Fprintln(w, m)
		}
	})
	mux.HandleFunc("GET /public", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		io.WriteString(w, "a style sheet")
	})
	mux.HandleFunc("GET /plain", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a page that asks for no session")
	})
	return mux
}

// startRoutes are pages without the middleware.
func startRoutes(mux *http.ServeMux, manager *session.Manager) {
	start := func(page func(io.Writer, *http.Request, *session.Session)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			s, err := manager.Start(w, r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			defer s.Release()
			page(w, r, s)
		}
	}
	mux.HandleFunc("GET /started", start(func(w io.Writer, _ *http.Request, s *session.Session) {
		fmt.Fprintf(w, "user=%s cart=%v", s.User(), s.Get("cart"))
	}))
	mux.HandleFunc("GET /started/messages", start(func(w io.Writer, r *http.Request, _ *session.Session) {
		for _, m := range flash.Take(r) {
			fmt.Fprintln(w, m)
		}
	}))
}

// A logBuffer keeps what the application logs.
type logBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all lines.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
