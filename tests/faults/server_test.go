package faults

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	_ "github.com/chisession/session/backend/mysql"
	_ "github.com/chisession/session/backend/redis"
)

// envServer makes the test binary a server, with the options in it.
const envServer = "FAULTS_SERVER"

// options are those of a server process.
type options struct {
	Provider, SavePath string

	IdleTimeout, AbsoluteTimeout, StoreTimeout, TouchEvery, SweepEvery time.Duration

	// Lose names a store method every one of whose successful calls loses
	// its reply.
	Lose backendtest.Op

	OnOutage session.Outage

	// Watch counts the calls of the store (Fault.Calls), for measures.Calls.
	Watch bool
}

// measures is what a server knows of itself.
type measures struct {
	Stats       session.Stats
	Count       int // live sessions; -1: the store cannot tell
	Calls       int // of the store, with options.Watch
	Goroutines  int
	Descriptors int
	Heap        uint64 // bytes in use after a collection
	Panics      int64  // recovered by net/http
	Closed      string // the error of Close, "-" before it
}

// serve runs a server until its standard input ends.
func serve(raw string) error {
	var opts options
	if err := json.Unmarshal([]byte(raw), &opts); err != nil {
		return err
	}
	a := &app{log: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	cfg := session.Config{
		Provider: opts.Provider, SavePath: opts.SavePath, Logger: a.log,
		IdleTimeout: opts.IdleTimeout, AbsoluteTimeout: opts.AbsoluteTimeout,
		StoreTimeout: opts.StoreTimeout, TouchEvery: opts.TouchEvery, SweepEvery: opts.SweepEvery, OnOutage: opts.OnOutage,
	}
	if opts.Lose != "" || opts.Watch {
		store, err := backend.Open(opts.Provider, opts.SavePath)
		if err != nil {
			return err
		}
		a.fault = backendtest.NewFault(store)
		if opts.Lose != "" {
			a.fault.After = func(_ context.Context, call backendtest.Call, err error) error {
				if call.Op == opts.Lose && err == nil {
					return backendtest.ErrLost
				}
				return err
			}
		}
		cfg.Provider, cfg.SavePath, cfg.Store = "", "", a.fault.Store()
	}
	m, err := session.New(cfg)
	if err != nil {
		return err
	}
	a.m = m
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// net/http logs a handler's panic to here, with its stack.
	a.server = &http.Server{Handler: a.routes(), ErrorLog: slog.NewLogLogger(panicCounter{a}, slog.LevelError), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- a.server.Serve(l) }()
	fmt.Println(l.Addr())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return m.Close()
}

// app is the program of the server process.
type app struct {
	m      *session.Manager
	server *http.Server
	log    *slog.Logger
	fault  *backendtest.Fault
	panics atomic.Int64
	closed atomic.Pointer[string]
}

// state is the response to every request for the session.
type state struct {
	ID, User string
	New      bool
	Value    string // of the key "value"
	N        int    // of the key "n"
	Keys     int
	Outage   bool   // Unavailable
	Error    string // of what the request did, with the status 503
}

func (a *app) routes() http.Handler {
	r := chi.NewRouter()
	r.Get("/measures", a.measures)
	r.Get("/close", a.close)
	r.Group(func(r chi.Router) {
		r.Use(a.m.Middleware)
		r.Get("/untouched", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
		r.Get("/get", does(func(*session.Session, *http.Request) error { return nil }))
		r.Get("/set", does(func(s *session.Session, r *http.Request) error { s.Set("value", r.FormValue("value")); return nil }))
		r.Get("/key", does(func(s *session.Session, r *http.Request) error {
			s.Set(r.FormValue("key"), r.FormValue("value"))
			return nil
		}))
		r.Get("/increment", does(func(s *session.Session, _ *http.Request) error {
			_, err := session.Update(s, "n", func(n int) int { return n + 1 })
			return err
		}))
		r.Get("/login", does(func(s *session.Session, r *http.Request) error { s.SetUser(r.FormValue("user")); return nil }))
		r.Get("/renew", does(func(s *session.Session, _ *http.Request) error { s.Renew(); return nil }))
		r.Get("/logout", does(func(s *session.Session, _ *http.Request) error { s.Destroy(); return nil }))
		r.Get("/slow", does(func(s *session.Session, r *http.Request) error { // as long as its client wants
			wait, err := time.ParseDuration(r.FormValue("for"))
			if err != nil {
				return err
			}
			select {
			case <-time.After(wait):
			case <-r.Context().Done():
			}
			s.Set(cmp.Or(r.FormValue("key"), "value"), r.FormValue("value"))
			return nil
		}))
		r.Get("/stream", stream)
		r.Post("/panic", func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("late") != "" {
				io.WriteString(w, "half a response")
				http.NewResponseController(w).Flush()
			} else {
				session.FromContext(r).Set("value", "of a panic") // dropped
			}
			panic("planned")
		})
	})
	return r
}

// does is a handler that does one thing and answers with what the session is
// then.
func does(act func(*session.Session, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		err := act(s, r)
		now := state{ID: s.ID(), User: s.User(), New: s.IsNew(), Keys: s.Len(), Outage: s.Unavailable()}
		now.Value, _ = session.Get[string](s, "value")
		now.N, _ = session.Get[int](s, "n")
		if err != nil {
			now = state{Error: err.Error()}
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(now) // the client may be gone
	}
}

// stream sends lines until the client goes, and writes to the session between
// them.
func stream(w http.ResponseWriter, r *http.Request) {
	s, rc := session.FromContext(r), http.NewResponseController(w)
	for i := 0; r.Context().Err() == nil && i < 100; i++ {
		s.Set("n", i)
		if err := s.Save(); err != nil {
			return
		}
		fmt.Fprintln(w, i)
		if err := rc.Flush(); err != nil {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-r.Context().Done():
		}
	}
}

func (a *app) measures(w http.ResponseWriter, r *http.Request) {
	debug.FreeOSMemory()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	out := measures{
		Stats: a.m.Stats(), Count: -1, Goroutines: runtime.NumGoroutine(), Heap: mem.HeapAlloc,
		Panics: a.panics.Load(), Closed: "-",
	}
	if r.FormValue("count") != "" {
		if n, err := a.m.Count(r.Context()); err == nil {
			out.Count = n
		}
	}
	if a.fault != nil {
		out.Calls = a.fault.Calls(backendtest.OpAny) - a.fault.Calls(backendtest.OpCount) // ours
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		out.Descriptors = len(fds) - 1 // ReadDir's own
	}
	if closed := a.closed.Load(); closed != nil {
		out.Closed = *closed
	}
	_ = json.NewEncoder(w).Encode(out)
}

// close closes the manager under load.
func (a *app) close(http.ResponseWriter, *http.Request) {
	text := fmt.Sprint(a.m.Close())
	a.closed.Store(&text)
}

// panicCounter is a log handler that counts the panics that net/http reports.
type panicCounter struct{ a *app }

func (p panicCounter) Enabled(context.Context, slog.Level) bool { return true }

func (p panicCounter) Handle(ctx context.Context, rec slog.Record) error {
	if strings.Contains(rec.Message, "panic serving") {
		if strings.Contains(rec.Message, ": planned\n") {
			p.a.panics.Add(1)
			return nil
		}
		rec.Message = "UNPLANNED " + rec.Message
	}
	return p.a.log.Handler().Handle(ctx, rec)
}

func (p panicCounter) WithAttrs([]slog.Attr) slog.Handler { return p }
func (p panicCounter) WithGroup(string) slog.Handler      { return p }
