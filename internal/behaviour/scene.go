package behaviour

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/admin"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/gc"
	"github.com/chisession/session/migrate"
)

// A scene is a program all of whose callbacks ask.
type scene struct {
	*inquiry
	*session.Manager
	store   *nosyStore
	cookies string // of the browser
}

// open opens a store: with everything that one can have, or if plain is set,
// with no more than a user index, a collector's sweep and a count.
func (q *inquiry) open(plain bool) (*nosyStore, backend.Store) {
	q.t.Helper()
	inner, err := memory.New(memory.Options{})
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(func() { inner.Close() })
	s := &nosyStore{inner: inner, q: q}
	if plain {
		return s, plainStore{s, backend.Abilities{UserIndex: s, Sweeper: s, Counter: s}, q}
	}
	return s, s
}

// config is a configuration all of whose callbacks ask.
func (q *inquiry) config(store backend.Store) session.Config {
	return session.Config{
		Store: store, MaxPerUser: 1, TouchEvery: time.Millisecond, SweepEvery: 20 * time.Millisecond,
		Logger: slog.New(nosyLog{q, "session.Config.Logger"}),
		WrapStore: func(store backend.Store) backend.Store {
			q.ask("session.Config.WrapStore", nil)
			return store
		},
		Skip: func(r *http.Request) bool {
			q.ask("session.Config.Skip", r.Context())
			return r.URL.Path == "/skip"
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			q.ask("session.Config.ErrorHandler", r.Context())
			_ = err.Error()
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		On: func(ctx context.Context, _ session.Event) { q.ask("session.Config.On", ctx) },
	}
}

// live is the life of a program whose callbacks all ask.
func (q *inquiry) live(plain bool) {
	none := "nothing yet"
	q.now.Store(&none)
	store, opened := q.open(plain)
	var m *session.Manager
	q.act("New", func() {
		var err error
		if m, err = session.New(q.config(opened)); err != nil {
			q.t.Error(err)
		}
	})
	c := &scene{inquiry: q, Manager: m, store: store}
	defer q.act("Close", func() { m.Close() })
	c.sessions()
	c.failures()
	c.endings()
	c.byHand()
	c.management()
	c.adoption(opened)
	c.collector()
	c.anonymous(opened)
}

// visit sends a request with the browser's cookie serve the middleware, and
// keeps the one that comes back.
func (c *scene) visit(name string, handler func(http.ResponseWriter, *http.Request, *session.Session)) {
	c.t.Helper()
	c.through(name, c.Middleware, handler, nil)
}

func (c *scene) through(name string, middleware func(http.Handler) http.Handler, handler func(http.ResponseWriter, *http.Request, *session.Session), prepare func(*http.Request)) {
	c.t.Helper()
	r := httptest.NewRequest("POST", "https://app.test/"+strings.ReplaceAll(name, " ", "-"), strings.NewReader(url.Values{"user": {"ada"}}.Encode()))
	r = r.WithContext(nosyContext{r.Context(), c.inquiry})
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", c.cookies)
	if prepare != nil {
		prepare(r)
	}
	w := &nosyWriter{ResponseRecorder: httptest.NewRecorder(), q: c.inquiry, ctx: r.Context()}
	h := middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.request.Store(r)
		c.session.Store(session.FromContext(r))
		handler(w, r, session.FromContext(r))
	}))
	c.act(name, func() {
		defer func() {
			if p := recover(); p != nil && p != "on purpose" {
				panic(p)
			}
		}()
		h.ServeHTTP(w, r)
	})
	for _, cookie := range w.Result().Cookies() {
		c.cookies = cookie.Name + "=" + cookie.Value
	}
}

// sessions: what is stored, changed, renewed and touched.
func (c *scene) sessions() {
	c.cookies = "beegosessionID=" + UnknownToken()
	c.visit("create", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("nosy", nosy{c.inquiry})
		s.Set("n", 1)
		flash.Success(r, "hello")
	})
	c.visit("load", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		session.Get[nosy](s, "nosy")
		s.Get("nosy")
		flash.Take(r)
	})
	c.visit("update", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("n", 2)
		io.WriteString(w, "x")
		http.NewResponseController(w).Flush()
		s.Set("late", 1)
	})
	for _, failure := range []error{backend.ErrConflict, nosyError{c.inquiry}} {
		c.store.next("Update", 2, failure)
		c.visit("conflict", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("n", time.Now()) })
		c.store.next("Update", 1, failure)
		c.visit("Update", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			s.Update(func(v *session.Values) error {
				c.ask("Session.Update", r.Context())
				v.Set("nosy2", nosy{c.inquiry})
				return nil
			})
			session.Update(s, "nosy", func(n nosy) nosy {
				c.ask("session.Update", r.Context())
				return nosy{c.inquiry}
			})
		})
	}
	c.visit("login", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada"); s.SetLabel("one") })
	c.visit("renew", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Renew()
		s.Save()
		s.Set("n", 5)
		s.Reload()
	})
	for range 2 { // the second notes it in the head
		time.Sleep(5 * time.Millisecond)
		c.visit("touch", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {})
		c.store.next("Touch", 1, nosyError{c.inquiry})
		time.Sleep(5 * time.Millisecond)
		c.visit("touch fails", func(http.ResponseWriter, *http.Request, *session.Session) {})
		c.visit("shorter", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetIdleTimeout(time.Minute) })
	}
	old := c.cookies
	c.cookies = ""
	c.visit("trim", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
	c.cookies = old + "; " + c.cookies
	c.visit("toss", func(http.ResponseWriter, *http.Request, *session.Session) {})
	c.visit("skip", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Get("n") })
}

// failures: what does not work, and who is told.
func (c *scene) failures() {
	set := func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("n", time.Now()) }
	login := func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") }
	destroy := func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() }
	for _, failure := range []error{nosyError{c.inquiry}, backend.ErrCorrupt, backend.ErrNotFound, backend.ErrConflict, backend.ErrTooLarge, backend.ErrExists} {
		for _, op := range []string{"Load", "Create", "Update", "DeleteVersion", "ByUser", ""} {
			c.cookies = ""
			c.visit("again", login)
			for name, handler := range map[string]func(http.ResponseWriter, *http.Request, *session.Session){"set": set, "login": login, "destroy": destroy} {
				c.store.next(op, 3, failure)
				c.visit(name, handler)
			}
			c.cookies = ""
			c.store.next(op, 3, failure)
			c.visit("create", set)
		}
	}
	c.store.next("", 0, nil)
	c.cookies = ""
	c.visit("again", login)
	c.visit("bad value", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("c", make(chan int)) })
	c.visit("too late", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.WriteHeader(http.StatusOK)
		s.Renew()
		s.Err()
	})
	c.visit("panic", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Destroy()
		panic("on purpose")
	})
	var old *session.Session
	c.visit("keep", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { old = s })
	c.act("released", func() { old.Get("n"); old.Set("n", 1) })
	c.cookies = ""
	c.through("cross-site", c.Middleware, set, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	c.through("plain", c.Middleware, set, func(r *http.Request) { r.TLS, r.URL.Scheme = nil, "http" })
}

// endings: how a session ends.
func (c *scene) endings() {
	c.cookies = ""
	c.visit("short", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("n", 1)
		s.SetIdleTimeout(5 * time.Second)
		s.SetAbsoluteTimeout(20 * time.Millisecond)
	})
	time.Sleep(25 * time.Millisecond)
	c.visit("absolute", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("n", 1) })
	c.visit("destroy", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy(); s.Save(); s.Set("n", 1) })
	// What comes with the token that a login has replaced.
	c.visit("again", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("n", 1) })
	old := c.cookies
	c.visit("login", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
	c.cookies = old
	c.visit("superseded", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("n", 2) })
	// Two requests at once: one logs out under the other.
	c.cookies = ""
	c.visit("again", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
	c.visit("lost", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		c.Revoke(r.Context(), s.ID())
		s.Set("n", 3)
	})
}

// byHand: sessions without the middleware.
func (c *scene) byHand() {
	for range 2 {
		r := httptest.NewRequest("GET", "https://app.test/start", nil)
		r = r.WithContext(nosyContext{r.Context(), c.inquiry})
		r.Header.Set("Cookie", c.cookies)
		w := &nosyWriter{ResponseRecorder: httptest.NewRecorder(), q: c.inquiry, ctx: r.Context()}
		c.act("Start", func() {
			s, err := c.Start(w, r)
			if err != nil {
				c.t.Error(err)
				return
			}
			c.request.Store(r)
			c.session.Store(s)
			s.Set("n", time.Now())
			s.SetUser("ada")
			s.Save()
			s.Destroy()
			s.Release()
		})
	}
}

// management: what a handler, an admin page or a health check asks the store.
func (c *scene) management() {
	c.cookies = ""
	c.visit("again", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
	c.visit("manage", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		c.Count(r.Context()) // as a health check does
		c.Sweep(r.Context())
		c.Sessions(r.Context(), "ada")
		c.RevokeUser(r.Context(), "ada", s.ID())
		c.Revoke(r.Context(), s.ID())
		c.Stats()
	})
	page, err := admin.New(c.Manager, admin.Options{
		DeviceName: func(label string) string { c.ask("admin.Options.DeviceName", nil); return label },
		Logger:     slog.New(nosyLog{c.inquiry, "admin.Options.Logger"}),
		Authorize: func(r *http.Request) error {
			c.ask("admin.Options.Authorize", r.Context())
			if r.Header.Get("X-Refused") != "" {
				return nosyError{c.inquiry}
			}
			return nil
		},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.cookies = ""
	c.visit("again", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada"); s.SetLabel("two") })
	show := func(w http.ResponseWriter, r *http.Request, _ *session.Session) { page.ServeHTTP(w, r) }
	for _, prepare := range []func(*http.Request){
		func(r *http.Request) { r.Method, r.URL.RawQuery = "GET", "user=ada" },
		func(r *http.Request) { r.Header.Set("X-Refused", "1") },
		func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") },
	} {
		c.through("admin", c.Middleware, show, prepare)
	}
}

// An oldStore is that of another library.
type oldStore struct {
	*inquiry
	mu   sync.Mutex // guards gone
	gone map[string]bool
}

func (o *oldStore) Load(ctx context.Context, id string, _ int) ([]byte, error) {
	o.ask("migrate.Source.Load", ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone[id] {
		return nil, migrate.ErrNotFound
	}
	return []byte(id), nil
}

func (o *oldStore) Remove(ctx context.Context, id string, _ []byte) error {
	o.ask("migrate.Source.Remove", ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone[id] = true
	return nil
}

func (o *oldStore) Survey(ctx context.Context, _ string) (migrate.Survey, error) {
	o.ask("migrate.Surveyor.Survey", ctx)
	return migrate.Survey{Where: "there", Live: 1}, nil
}

// adoption: a session of another library becomes one of this.
func (c *scene) adoption(opened backend.Store) {
	format := migrate.Format{
		Name: "old", CookieName: "old", Form: "letters",
		Valid: func(id string) bool { c.ask("migrate.Format.Valid", nil); return id != "" },
		Decode: func(data []byte, _ int) (migrate.Record, error) {
			c.ask("migrate.Format.Decode", nil)
			if string(data) == "damaged" {
				return migrate.Record{}, nosyError{c.inquiry}
			}
			return migrate.Record{Values: map[string]any{"n": 1, "nosy": nosy{c.inquiry}},
				Skipped: []migrate.Skip{{Key: "k", Type: "T", Err: nosyError{c.inquiry}}}}, nil
		},
	}
	opts := migrate.Options{
		Lossy: true, Logger: slog.New(nosyLog{c.inquiry, "migrate.Options.Logger"}),
		Adopted: func(r *http.Request, s *session.Session, old map[string]any) error {
			c.session.Store(s)
			c.ask("migrate.Options.Adopted", r.Context())
			s.SetUser("ada")
			return nil
		},
		Skipped: func(migrate.Skip) { c.ask("migrate.Options.Skipped", nil) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			c.ask("migrate.Options.ErrorHandler", r.Context())
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	}
	var adopt func(http.Handler) http.Handler
	c.act("Adopt", func() {
		adopt = migrate.Adopt(c.Manager, format, &oldStore{inquiry: c.inquiry, gone: map[string]bool{}}, opts)
	})
	chain := func(next http.Handler) http.Handler { return c.Middleware(adopt(next)) }
	for _, id := range []string{"adopted", "damaged", "failing", "late"} {
		c.cookies = "old=" + id
		if id == "failing" {
			c.store.next("Create", 9, nosyError{c.inquiry})
		}
		for range 2 {
			c.through(id, chain, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("n", time.Now()); s.Destroy() }, nil)
			c.cookies += "; old=" + id
		}
		c.store.next("", 0, nil)
	}
}

// collector: what removes expired sessions.
func (c *scene) collector() {
	swept := make(chan struct{})
	var once sync.Once
	collector := gc.Start(c.store, gc.Options{Every: 10 * time.Millisecond, Logger: slog.New(nosyLog{c.inquiry, "gc.Options.Logger"}),
		Swept: func(int) { c.ask("gc.Options.Swept", nil); once.Do(func() { close(swept) }) }})
	c.act("sweep", func() {
		for {
			select {
			case <-swept:
				return
			case <-time.After(time.Millisecond):
				c.store.inner.Create(context.Background(), backend.Record{ID: uuid.Must(uuid.NewV7()), Version: 1, Expires: time.Now()})
			}
		}
	})
	c.store.next("Sweep", 1<<20, nosyError{c.inquiry})
	c.act("a sweep that fails", func() {
		for c.count("gc.Options.Logger") == 0 {
			time.Sleep(time.Millisecond)
		}
	})
	c.store.next("", 0, nil)
	c.act("Stop", collector.Stop)
}

func (q *inquiry) count(callback string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.asked[callback]
}

// anonymous: requests go on while the store is down.
func (c *scene) anonymous(opened backend.Store) {
	cfg := c.config(opened)
	cfg.OnOutage = session.OutageAnonymous
	m, err := session.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.cookies = "beegosessionID=" + UnknownToken()
	for _, failure := range []error{nosyError{c.inquiry}, errors.New("down")} {
		c.store.next("Load", 1, failure)
		c.through("outage", m.Middleware, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Unavailable()
			s.Set("n", 1)
			s.Save()
		}, nil)
	}
	c.act("Close", func() { m.Close() })
	c.through("closed", m.Middleware, func(http.ResponseWriter, *http.Request, *session.Session) {}, nil)
}
