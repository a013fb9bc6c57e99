package behaviour

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/cookie"
)

// managersCases are about several managers: in one chain, in one process, one
// after the other.
var managersCases = []behaviour{
	each("mounted twice, the inner one does nothing", mountedTwice),
	each("a nested one with other rules is not ignored in silence", nestedManagers),
	once("two cookie names do not mix", twoCookieNames),
	each("what one stores the other sees", twoManagers),
	each("sessions outlive a restart", restart),
	each("one place is opened by many at once", openedAtOnce),
}

// mountedTwice also mounts another manager with a cookie of its own: that one
// is no twin.
func mountedTwice(t *testing.T, k Kind) {
	store := k.open(t)
	a := newApp(t, session.Config{Store: store})
	twin := newApp(t, session.Config{Store: store})
	other := newApp(t, session.Config{Store: k.open(t), Cookie: cookie.Options{Name: "other"}})
	write := func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		n, _ := session.Get[int](s, "n")
		s.Set("n", n+1)
		fmt.Fprint(w, n)
	}
	a.router.With(a.Manager.Middleware, twin.Manager.Middleware).HandleFunc("/twice", write)
	a.router.With(other.Manager.Middleware).HandleFunc("/other", write)
	b := a.browser(t)
	b.get("/twice").want(t, 200, "0")
	a.wantCalls(t, "Create")
	b.get("/twice").want(t, 200, "1")
	a.wantCalls(t, "Create Load Update")
	twin.wantCalls(t, "")
	got := b.get("/other")
	got.want(t, 200, "0")
	if len(got.setCookie) != 1 || !strings.HasPrefix(got.setCookie[0], "other=") {
		t.Errorf("the other manager's session does not have exactly its own cookie")
	}
	b.get("/twice").want(t, 200, "2")
	b.get("/other").want(t, 200, "1")
	other.wantCalls(t, "Create Load Update")
}

// nestedManagers: a manager that is mounted inside another one, with the
// same cookie, must not be ignored without a word where it has other rules.
func nestedManagers(t *testing.T, k Kind) {
	store := k.open(t)
	outer := session.Config{Store: store}
	for name, tt := range map[string]struct {
		inner session.Config
		log   string // what the log names; "" if the inner one is let be
	}{
		"its twin":                   {session.Config{Store: store}, ""},
		"stricter":                   {session.Config{Store: store, IdleTimeout: 2 * time.Minute}, "IdleTimeout is 1h0m0s outside and 2m0s inside"},
		"stricter in the end":        {session.Config{Store: store, AbsoluteTimeout: 2 * time.Hour}, "AbsoluteTimeout is 24h0m0s outside and 2h0m0s inside"},
		"one session a user":         {session.Config{Store: store, MaxPerUser: 1}, "MaxPerUser is 0 outside and 1 inside"},
		"open in an outage":          {session.Config{Store: store, OnOutage: session.OutageAnonymous}, "OnOutage is OutageFail outside and OutageAnonymous inside"},
		"cookies of its own kind":    {session.Config{Store: store, Cookie: cookie.Options{SameSite: http.SameSiteStrictMode}}, "Cookie is"},
		"headers besides":            {session.Config{Store: store, Transport: session.FirstOf(session.BearerTransport(), session.Transport{})}, "Transport is"},
		"another cookie":             {session.Config{Store: store, Cookie: cookie.Options{Name: "admin"}, IdleTimeout: time.Minute}, ""},
		"headers and no cookie":      {session.Config{Store: store, Transport: session.BearerTransport(), IdleTimeout: time.Minute}, ""},
		"stricter, and switched off": {session.Config{Store: store, IdleTimeout: time.Minute, Disabled: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, in := newApp(t, outer), newApp(t, tt.inner)
			a.basics()
			ran := 0
			handler := func(w http.ResponseWriter, r *http.Request) {
				ran++
				session.FromContext(r).Set("k", "v")
				io.WriteString(w, "done")
			}
			a.router.With(in.Middleware).HandleFunc("/admin", handler)
			a.router.With(in.Middleware, in.Middleware).HandleFunc("/admin/twice", handler)
			a.handle("/start", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
				s, err := in.Start(w, r)
				if err != nil {
					http.Error(w, err.Error(), 500)
					return
				}
				s.Set("k", "v")
				if err := s.Release(); err != nil {
					t.Error(err)
				}
			})
			b := a.browser(t)
			for _, path := range []string{"/admin", "/admin/twice"} {
				ran = 0
				got := b.get(path)
				if tt.log == "" {
					got.want(t, 200, "done")
					continue
				}
				got.want(t, 500, "Internal Server Error\n")
				got.wantNoCookie(t)
				if ran != 0 {
					t.Error("the handler ran")
				}
			}
			lines := in.log.lines("ERROR", tt.log)
			if tt.log != "" && len(lines) != 2 {
				t.Errorf("the log does not name the rules, %q, once a request:\n%s", tt.log, in.log)
			}
			if tt.inner.Disabled {
				return
			}
			if got := b.get("/start"); (got.status == 500) != (tt.log != "") || !strings.Contains(got.body, tt.log) {
				t.Errorf("Start: %d %q", got.status, got.body)
			}
			b.get("/set?k=outer&v=1").want(t, 200, "set") // the outer one is none the worse
		})
	}
}

// twoCookieNames: two managers in one chain, with two cookie names,
// do not mix.
func twoCookieNames(t *testing.T) {
	stores := []backend.Store{newMemory(t), newMemory(t)}
	outer := newManager(t, session.Config{Store: stores[0], Cookie: cookie.Options{Name: "outer"}})
	inner := newManager(t, session.Config{Store: stores[1], Cookie: cookie.Options{Name: "inner"}})
	var handle func(r *http.Request)
	chain := outer.Middleware(inner.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(r) })))
	jar := map[string]string{}
	request := func(f func(r *http.Request)) {
		handle = f
		r, w := httptest.NewRequest("GET", "https://example.com/", nil), httptest.NewRecorder()
		for name, value := range jar {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		chain.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			jar[c.Name] = c.Value
		}
	}
	request(func(r *http.Request) {
		outer.FromContext(r).Set("who", "outer")
		inner.FromContext(r).Set("who", "inner")
	})
	if len(jar) != 2 || jar["outer"] == jar["inner"] {
		t.Fatalf("%d cookies, want two, of two sessions", len(jar))
	}
	request(func(r *http.Request) {
		for name, s := range map[string]*session.Session{"outer": outer.FromContext(r), "inner": inner.FromContext(r)} {
			if got := s.Get("who"); got != name {
				t.Errorf("the session of %s has %v", name, got)
			}
		}
		if got := session.FromContext(r).Get("who"); got != "inner" {
			t.Errorf("FromContext is the session of %v, want the innermost", got)
		}
	})
}

func twoManagers(t *testing.T, k Kind) {
	here, there := pair(t, k)
	b, other := here.browser(t), there.browser(t)
	b.get("/start").want200(t)
	other.setToken(b.token())
	other.wantState(`"" a=1 cart=tea`)
	other.get("/set").want200(t)
	b.wantState(`"" a=1 cart=tea late=true`)
	other.get("/login").want200(t)
	b.wantState("none")
	there.wantSessions(t, "ada", other.id())
	here.wantSessions(t, "ada", other.id())
	b.setToken(other.token())
	b.get("/logout").want200(t).wantRemoval(t)
	other.wantState("none")
	here.wantSessions(t, "ada")
}

func restart(t *testing.T, k Kind) {
	path := k.Fresh(t)
	var token, want string
	for round := range 3 {
		store, err := backend.Open(k.Name, path)
		if err != nil {
			t.Fatal(err)
		}
		m := newStage(t, session.Config{Store: store}, nil)
		b := m.browser(t)
		b.setToken(token)
		if round > 0 {
			if !k.Lasts {
				want = "none"
			}
			b.wantState(want)
		}
		b.get("/start").want200(t)
		b.get("/login").want200(t)
		b.get("/update").want200(t)
		token, want = b.token(), b.state()
		m.server.Close()
		if err := m.Manager.Close(); err != nil {
			t.Error(err)
		}
		if c, ok := store.(interface{ Close() error }); ok {
			if err := c.Close(); err != nil {
				t.Errorf("close the store: %v", err)
			}
		}
		if k.Lasts && !strings.Contains(want, fmt.Sprintf("n=%d", round+1)) {
			t.Errorf("after %d restarts the session is %s", round, want)
		}
	}
}

// openedAtOnce: several instances start at one empty place.
func openedAtOnce(t *testing.T, k Kind) {
	path := k.Fresh(t)
	var wg sync.WaitGroup
	managers := make([]*session.Manager, 6)
	for i := range managers {
		wg.Go(func() {
			var err error
			if managers[i], err = session.New(session.Config{Provider: k.Name, SavePath: path}); err != nil {
				t.Errorf("New: %v", err)
			}
		})
	}
	wg.Wait()
	for _, m := range managers {
		if m == nil {
			continue
		}
		if _, err := m.Sessions(t.Context(), "ada"); err != nil {
			t.Errorf("Sessions: %v", err)
		}
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}
