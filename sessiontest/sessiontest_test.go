package sessiontest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/internal/leak"
	"github.com/chisession/session/sessiontest"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// doing is a handler that does something to its session.
func doing(f func(s *session.Session)) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { f(session.FromContext(r)) })
}

func TestWhatBecameOfTheSession(t *testing.T) {
	some := []sessiontest.Setup{sessiontest.Values{"n": 1}}
	tests := []struct {
		name                       string
		with                       []sessiontest.Setup
		do                         func(*session.Session)
		stored, renewed, destroyed bool
		n                          any
	}{
		{"nothing, first visit", nil, func(*session.Session) {}, false, false, false, nil},
		{"read, first visit", nil, func(s *session.Session) { s.Get("n") }, false, false, false, nil},
		{"set, first visit", nil, func(s *session.Session) { s.Set("n", 2) }, true, false, false, 2},
		{"login, first visit", nil, func(s *session.Session) { s.SetUser("ada") }, true, false, false, nil},
		{"read", some, func(s *session.Session) { s.Get("n") }, false, false, false, 1},
		{"set", some, func(s *session.Session) { s.Set("n", 2) }, true, false, false, 2},
		{"set what is there", some, func(s *session.Session) { s.Set("n", 1) }, false, false, false, 1},
		{"delete", some, func(s *session.Session) { s.Delete("n") }, true, false, false, nil},
		{"renew", some, func(s *session.Session) { s.Renew() }, true, true, false, 1},
		{"login", some, func(s *session.Session) { s.SetUser("ada") }, true, true, false, 1},
		{"destroy", some, func(s *session.Session) { s.Destroy() }, false, false, true, nil},
		{"destroy, set", some, func(s *session.Session) { s.Destroy(); s.Set("n", 3) }, true, false, true, 3},
	}
	c := sessiontest.New(t, session.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			res := c.Serve(doing(tt.do), c.Request("GET", "/", tt.with...))
			if got := res.Stored(); got != tt.stored {
				t.Errorf("Stored() = %v, want %v", got, tt.stored)
			}
			if got := res.Renewed(); got != tt.renewed {
				t.Errorf("Renewed() = %v, want %v", got, tt.renewed)
			}
			if got := res.Destroyed(); got != tt.destroyed {
				t.Errorf("Destroyed() = %v, want %v", got, tt.destroyed)
			}
			if got := res.Session().Get("n"); got != tt.n {
				t.Errorf("Session().Get(n) = %v, want %v", got, tt.n)
			}
		})
	}
}

func TestSetups(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	req := c.Request("GET", "/",
		sessiontest.Values{"n": 1, "when": 3 * time.Second},
		sessiontest.User("ada"),
		sessiontest.Label("Firefox"),
		sessiontest.With(func(s *session.Session) { s.SetPersistent(true) }),
	)
	res := c.Serve(doing(func(s *session.Session) {
		if s.Get("n") != 1 || s.Get("when") != 3*time.Second || s.User() != "ada" || s.IsNew() {
			t.Errorf("the handler's session has %v, user %q, new %v", s.Keys(), s.User(), s.IsNew())
		}
		s.Renew()
	}), req)
	if line := res.Header().Get("Set-Cookie"); !strings.Contains(line, "Max-Age=") || !strings.Contains(line, "Secure") {
		t.Errorf("Set-Cookie of a persistent session over HTTPS = %q", line)
	}
	infos, err := c.Manager().Sessions(t.Context(), "ada")
	if err != nil || len(infos) != 1 || infos[0].Label != "Firefox" {
		t.Errorf("Sessions(ada) = %v, %v, want one, labelled Firefox", infos, err)
	}
}

func TestAttachKeepsTheRequest(t *testing.T) {
	c := sessiontest.New(t, session.Config{Provider: "file", SavePath: t.TempDir()})
	req := httptest.NewRequest("POST", "/", strings.NewReader("hello"))
	res := c.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		session.FromContext(r).Set("body", body)
		w.WriteHeader(http.StatusCreated)
	}), c.Attach(req, sessiontest.User("ada")))
	got, _ := session.Get[[]byte](res.Session(), "body")
	if string(got) != "hello" || res.Session().User() != "ada" || res.Code != http.StatusCreated {
		t.Errorf("stored %q of user %q, status %d", got, res.Session().User(), res.Code)
	}
}

func TestNextIsTheSameBrowser(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	save := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flash.Success(r, "Saved.")
		http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	res := c.Serve(save, c.Request("POST", "/"))
	if got := res.Flash().Map()["success"].String(); got != "Saved." {
		t.Errorf("Flash() = %q, want Saved.", got)
	}

	shown := 0
	show := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown += len(flash.Take(r)) })
	next := res.Next("GET", "/")
	if theme, err := next.Cookie("theme"); err != nil || theme.Value != "dark" {
		t.Errorf("the other cookie is %v, %v", theme, err)
	}
	res = c.Serve(show, next)
	res = c.Serve(show, res.Next("GET", "/"))
	if shown != 1 || len(res.Flash()) != 0 {
		t.Errorf("the message was shown %d times, %v is left", shown, res.Flash())
	}

	res = c.Serve(doing((*session.Session).Destroy), res.Next("POST", "/logout"))
	if cookies := res.Next("GET", "/").Cookies(); len(cookies) != 1 || cookies[0].Name != "theme" {
		t.Errorf("after the logout the browser has %v", cookies)
	}
}

// Config.On and Stats are told what the handler did, and nothing else.
func TestClientLeavesNoTrace(t *testing.T) {
	var told []string
	c := sessiontest.New(t, session.Config{
		MaxPerUser: 1,
		On: func(_ context.Context, e session.Event) {
			told = append(told, fmt.Sprint(e.Kind, " ", e.User, " ", e.Reason))
		},
	})
	res := c.Serve(doing((*session.Session).Destroy), c.Request("POST", "/logout", sessiontest.User("ada")))
	if !res.Destroyed() {
		t.Error("Destroyed() = false")
	}
	if got := strings.Join(told, ", "); got != "ended ada destroyed" {
		t.Errorf("Config.On was told: %s", got)
	}
	if got := c.Manager().Stats(); got.Loads != 1 || got.Creates != 0 || got.Deletes != 1 {
		t.Errorf("Stats() = %+v, want 1 load, 1 delete", got)
	}
}

func TestTransportWithCookie(t *testing.T) {
	c := sessiontest.New(t, session.Config{Transport: session.FirstOf(session.BearerTransport(), session.Transport{})})
	res := c.Serve(doing(func(s *session.Session) { s.Renew() }), c.Request("GET", "/", sessiontest.User("ada")))
	if !res.Renewed() {
		t.Error("Renewed() = false")
	}
	if n, err := c.Manager().Count(t.Context()); n != 1 || err != nil {
		t.Errorf("Count() = %d, %v, want 1: New stores nothing", n, err)
	}
}

func TestRouterThatMountsItsOwn(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	other, err := session.New(session.Config{IdleTimeout: time.Minute}) // other rules, too
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	router := other.Middleware(doing(func(s *session.Session) { s.Set("user", s.User()) }))
	res := c.Serve(router, c.Request("GET", "/", sessiontest.User("ada")))
	if got := res.Session().Get("user"); got != "ada" {
		t.Errorf("the handler behind two middlewares saw user %v, want ada", got)
	}
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sessiontest.New(t, session.Config{IdleTimeout: time.Hour, SweepEvery: time.Minute})
		res := c.Serve(doing(func(s *session.Session) { s.Set("n", 1) }), c.Request("GET", "/"))
		time.Sleep(59 * time.Minute)
		res = c.Serve(doing(func(s *session.Session) { s.Get("n") }), res.Next("GET", "/"))
		if got := res.Session().Get("n"); got != 1 {
			t.Errorf("after 59 minutes n = %v, want 1", got)
		}
		time.Sleep(time.Hour)
		res = c.Serve(doing(func(s *session.Session) { s.Get("n") }), res.Next("GET", "/"))
		if got := res.Session().Get("n"); got != nil || !res.Session().IsNew() {
			t.Errorf("after another hour n = %v, want none", got)
		}
	})
}

// Looking at a session is not activity, whatever the lifetime of its cookie.
func TestLookingDoesNotTouch(t *testing.T) {
	for _, persistent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := sessiontest.New(t, session.Config{Cookie: cookie.Options{Persistent: persistent}})
			res := c.Serve(doing(func(s *session.Session) { s.Set("n", 1) }), c.Request("GET", "/"))
			want := res.Session().ExpiresAt()
			time.Sleep(30 * time.Minute)
			poll := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).NoTouch() })
			res = c.Serve(poll, res.Next("GET", "/"))
			if got := res.Session().ExpiresAt(); !got.Equal(want) {
				t.Errorf("persistent %v: ExpiresAt() = %v, want %v still", persistent, got, want)
			}
		})
	}
}

func TestOutage(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fault := backendtest.NewFault(store)
	c := sessiontest.New(t, session.Config{Store: fault.Store()})
	req := c.Request("GET", "/", sessiontest.User("ada"))
	fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(errors.New("no answer")))
	res := c.Serve(doing(func(*session.Session) { t.Error("the handler ran") }), req)
	if res.Code != http.StatusServiceUnavailable {
		t.Errorf("status = %d, want 503", res.Code)
	}
	fault.Reset()
	res = c.Serve(doing(func(*session.Session) {}), res.Next("GET", "/"))
	if res.Code != http.StatusOK || res.Session().User() != "ada" {
		t.Errorf("afterwards: status %d, user %q", res.Code, res.Session().User())
	}
}

func TestWithSession(t *testing.T) {
	check := func(t *testing.T) {
		r := sessiontest.WithSession(t, httptest.NewRequest("GET", "/", nil), sessiontest.Values{"n": 1}, sessiontest.User("ada"))
		s := session.FromContext(r)
		s.Set("n", s.Get("n").(int)+1)
		if err := s.Save(); err != nil || s.Get("n") != 2 || s.User() != "ada" {
			t.Errorf("n = %v, user %q, Save: %v", s.Get("n"), s.User(), err)
		}
		fresh := session.FromContext(sessiontest.WithSession(t, httptest.NewRequest("GET", "/", nil)))
		if !fresh.IsNew() || fresh.Len() != 0 || fresh.Err() != nil {
			t.Errorf("without setups: new %v, %d values, %v", fresh.IsNew(), fresh.Len(), fresh.Err())
		}
	}
	t.Run("real clock", check)
	t.Run("fake clock", func(t *testing.T) { synctest.Test(t, check) })
}

// fatal is a test that notes how it failed.
type fatal struct {
	testing.TB
	text string
}

func (f *fatal) Helper() {}

func (f *fatal) Fatalf(format string, args ...any) {
	f.text = format
	panic(f)
}

func TestMisuseEndsTheTest(t *testing.T) {
	tests := []struct {
		name string
		do   func(t testing.TB)
		want string
	}{
		{"disabled", func(t testing.TB) { sessiontest.New(t, session.Config{Disabled: true}) }, "Config.Disabled"},
		{"bad config", func(t testing.TB) { sessiontest.New(t, session.Config{MaxBytes: -1}) }, "New: %v"},
		{"bad provider", func(t testing.TB) { sessiontest.New(t, session.Config{Provider: "nosuch"}) }, "Provider"},
		{"no cookie", func(t testing.TB) {
			sessiontest.New(t, session.Config{Transport: session.BearerTransport()})
		}, "Config.Transport"},
		{"nothing to store", func(t testing.TB) {
			sessiontest.New(t, session.Config{}).Request("GET", "/", sessiontest.Label("x"))
		}, "nothing to store"},
		{"not storable", func(t testing.TB) {
			sessiontest.New(t, session.Config{}).Request("GET", "/", sessiontest.Values{"f": func() {}})
		}, "store the session"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fatal{TB: t}
			defer func() {
				if recover() == nil || !strings.Contains(f.text, tt.want) {
					t.Errorf("the test ended with %q, want %q in it", f.text, tt.want)
				}
			}()
			tt.do(f)
		})
	}
}

// TestForm: a form arrives with its fields, from the same site over HTTPS, and
// the next one of the same browser in the same session.
func TestForm(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	protected := http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			t.Error("the form came over plain HTTP")
		}
		s := session.FromContext(r)
		n, _ := s.Get("n").(int)
		s.Set("n", n+1)
		s.Set("name", r.PostFormValue("name"))
	}))
	res := c.Serve(protected, c.Form("/name", url.Values{"name": {"Ada & Bob"}}))
	if got := res.Session().Get("name"); res.Code != http.StatusOK || got != "Ada & Bob" {
		t.Fatalf("Form: status %d, name %v; want 200 and %q", res.Code, got, "Ada & Bob")
	}
	res = c.Serve(protected, res.NextForm("/name", url.Values{"name": {"Eve"}}))
	if s := res.Session(); s.Get("n") != 2 || s.Get("name") != "Eve" {
		t.Errorf("NextForm: n %v, name %v; want 2 and Eve", s.Get("n"), s.Get("name"))
	}
	res = c.Serve(protected, c.Form("/name", nil, sessiontest.Values{"n": 6}))
	if n := res.Session().Get("n"); n != 7 {
		t.Errorf("Form with a session: n is %v, want 7", n)
	}
}
