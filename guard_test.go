package session_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/guard"
	visits "github.com/chisession/session/internal/visit"
)

// A sentry is a guard of sessions in whose record it keeps something: it decides
// by the request's header X-Verdict, and serves /endpoint.
type sentry struct{ served http.HandlerFunc }

func (g *sentry) Endpoint(r *http.Request) http.Handler {
	if r.URL.Path == "/endpoint" {
		return g.served
	}
	return nil
}

func (g *sentry) Cookie() string { return "sentry" }

func (g *sentry) Admit(r *http.Request, s *guard.Session) guard.Verdict {
	if s.At.UnixMilli() == 0 {
		panic("asked about a session that was not loaded")
	}
	if s.Kept == nil {
		return guard.Verdict{}
	}
	switch r.Header.Get("X-Verdict") {
	case "refused":
		return guard.Verdict{Refused: true}
	case "foreign":
		return guard.Verdict{Refused: true, Foreign: true}
	case "instead":
		return guard.Verdict{Instead: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
		})}
	}
	return guard.Verdict{}
}

func (g *sentry) Header(h http.Header, _ *http.Request, s *guard.Session) {
	switch {
	case s.Gone:
		h.Set("X-Guard", "gone")
	case s.New:
		h.Set("X-Guard", "login "+s.User+" "+s.Cred.Token())
	default:
		h.Set("X-Guard", "later "+s.User)
	}
}

// A guardedSite is a manager with a sentry, and a session of ada's in whose
// record the sentry keeps something.
type guardedSite struct {
	*testing.T
	*session.Manager
	sentry sentry
	look   func(session any) *guard.Session
	fault  *backendtest.Fault
	events []session.Event
	ada    *http.Cookie
}

func newGuardedSite(t *testing.T, change func(*session.Config)) *guardedSite {
	t.Helper()
	inner, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &guardedSite{T: t, fault: backendtest.NewFault(inner)}
	cfg := session.Config{Store: s.fault.Store(), On: func(_ context.Context, e session.Event) { s.events = append(s.events, e) }}
	if change != nil {
		change(&cfg)
	}
	if s.Manager, err = session.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := session.Guard(s.Manager, s.guard); err != nil {
		t.Fatal(err)
	}
	s.ada = cookieOf(visits.Session(s.Manager, func(sess *session.Session) {
		sess.Set("cart", "tea")
		sess.SetUser("ada")
		if err := sess.Save(); err != nil {
			t.Fatal(err)
		}
		if kept, err := s.see(sess).Keep([]byte("key")); string(kept) != "key" || err != nil {
			t.Fatalf("Keep = %q, %v", kept, err)
		}
	}))
	s.events = nil
	return s
}

// guard makes the sentry the guard of m.
func (s *guardedSite) guard(m guard.Manager) (guard.Guard, error) {
	s.look = m.See
	return &s.sentry, nil
}

// see returns what a guard's own handler sees of sess.
func (s *guardedSite) see(sess *session.Session) *guard.Session { return s.look(sess) }

// request is one of the browser that has the session of ada, or whoever has its
// token.
func (s *guardedSite) request(verdict string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	r.AddCookie(s.ada)
	r.Header.Set("X-Verdict", verdict)
	return r
}

// serve serves r with a handler that has the session.
func (s *guardedSite) serve(r *http.Request, handle func(*session.Session)) *http.Response {
	w := httptest.NewRecorder()
	s.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handle(session.FromContext(r)) })).ServeHTTP(w, r)
	return w.Result()
}

// user returns whose session a request is let into, by the middleware.
func (s *guardedSite) user(r *http.Request) (user string) {
	s.serve(r, func(sess *session.Session) { user = sess.User() })
	return user
}

// A token that the guard refuses opens nothing, whatever it came by, and the
// session is untouched.
func TestGuardRefuses(t *testing.T) {
	byHeader := session.FirstOf(session.HeaderTransport("X-Session-Token"), session.BearerTransport(), session.Transport{})
	s := newGuardedSite(t, func(c *session.Config) { c.Transport = byHeader })
	for name, carry := range map[string]func(r *http.Request, token string){
		"cookie": func(r *http.Request, token string) { r.AddCookie(s.ada) },
		"second cookie": func(r *http.Request, token string) {
			r.Header.Set("Cookie", s.ada.Name+"=x; "+s.ada.Name+"="+token)
		},
		"header": func(r *http.Request, token string) { r.Header.Set("X-Session-Token", token) },
		"bearer": func(r *http.Request, token string) { r.Header.Set("Authorization", "Bearer "+token) },
	} {
		for _, verdict := range []string{"refused", ""} {
			r := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
			carry(r, s.ada.Value)
			r.Header.Set("X-Verdict", verdict)
			want := "ada"
			if verdict == "refused" {
				want = ""
			}
			if got := s.user(r.Clone(t.Context())); got != want {
				t.Errorf("%s, verdict %q: the middleware lets in %q, want %q", name, verdict, got, want)
			}
			started, err := s.Start(httptest.NewRecorder(), r)
			if err != nil || started.User() != want || started.IsNew() != (want == "") || (started.Get("cart") == nil) != (want == "") {
				t.Errorf("%s, verdict %q: Start lets in %q, %v; want %q", name, verdict, started.User(), err, want)
			}
			started.Release()
		}
	}
	infos, err := s.Sessions(t.Context(), "ada")
	if err != nil || len(infos) != 1 {
		t.Fatalf("ada has %d sessions, %v", len(infos), err)
	}
	id := infos[0].ID
	if len(s.events) != 8 {
		t.Errorf("%d events, want one for each refusal", len(s.events))
	}
	for _, e := range s.events {
		if e.Kind != session.EventRejected || e.Reason != session.ReasonUnproven || e.User != "ada" || e.ID != id {
			t.Errorf("event %+v, want a rejected token of ada's, unproven", e)
		}
	}
	if n := s.Stats().Rejected; n != 8 {
		t.Errorf("Rejected = %d, want 8", n)
	}
}

// A manager of the same cookie around the one with the guard would be a way round it;
// inside that one it would have other rules. So would one whose cookie is the guard's.
func TestGuardAndAnotherManager(t *testing.T) {
	program := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {})
	for _, tc := range []struct {
		name string
		cfg  session.Config
		want int
	}{
		{"the same cookie", session.Config{}, http.StatusInternalServerError},
		{"the guard's cookie", session.Config{Cookie: cookie.Options{Name: "sentry"}}, http.StatusInternalServerError},
		{"another cookie", session.Config{Cookie: cookie.Options{Name: "admin"}}, http.StatusOK},
	} {
		s := newGuardedSite(t, nil)
		tc.cfg.Store, tc.cfg.Logger = s.fault.Store(), slog.New(slog.DiscardHandler)
		other, err := session.New(tc.cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		for where, h := range map[string]http.Handler{
			"outside": other.Middleware(s.Middleware(program)),
			"inside":  s.Middleware(other.Middleware(program)),
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, s.request(""))
			if w.Code != tc.want {
				t.Errorf("%s, %s: status %d, want %d", tc.name, where, w.Code, tc.want)
			}
		}
	}
}

// Whoever is refused can log in: into a session of its own, and the one that
// was refused stays what it was.
func TestGuardRefusedCanLogIn(t *testing.T) {
	s := newGuardedSite(t, nil)
	res := s.serve(s.request("refused"), func(sess *session.Session) {
		sess.Destroy()
		sess.SetUser("ada")
	})
	fresh := cookieOf(res)
	if fresh == nil || fresh.Value == s.ada.Value || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d, cookie %v, want one of a new session", res.StatusCode, fresh)
	}
	infos, _ := s.Sessions(t.Context(), "ada")
	if len(infos) != 2 || s.user(s.request("")) != "ada" {
		t.Errorf("ada has %d sessions, want the new one beside the old one", len(infos))
	}
}

// What is said of a token that another origin sent, unproven, does not go for the
// next one, which opens a session.
func TestGuardRefusesTheFirstOfTwo(t *testing.T) {
	s := newGuardedSite(t, nil)
	grace := cookieOf(visits.Session(s.Manager, func(sess *session.Session) { sess.SetUser("grace") }))
	r := s.request("foreign")
	r.Method = http.MethodPost
	r.AddCookie(grace)
	res := s.serve(r, func(sess *session.Session) {
		if sess.User() != "grace" {
			t.Errorf("let in: %q, want grace", sess.User())
		}
		sess.Destroy()
		sess.Set("cart", "tea")
	})
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
}

// Where the guard responds, and at its endpoint, the program does not see the
// request, no activity is noted, and the cookie stays.
func TestGuardResponds(t *testing.T) { synctest.Test(t, guardResponds) }

func guardResponds(t *testing.T) {
	s := newGuardedSite(t, func(c *session.Config) { c.Cookie.Persistent = true })
	s.sentry.served = func(w http.ResponseWriter, r *http.Request) {
		if seen := s.see(session.FromContext(r)); seen == nil || string(seen.Kept) != "key" {
			t.Errorf("the endpoint sees %+v", seen)
		}
		w.WriteHeader(http.StatusTeapot)
	}
	endpoint := s.request("refused")
	endpoint.URL.Path = "/endpoint"
	time.Sleep(5 * time.Minute)
	s.fault.Reset()
	for _, tc := range []struct {
		r    *http.Request
		want int
	}{{s.request("instead"), http.StatusUnauthorized}, {endpoint, http.StatusTeapot}} {
		res := s.serve(tc.r.Clone(t.Context()), func(*session.Session) { t.Error("the program ran") })
		if res.StatusCode != tc.want || len(res.Cookies()) > 0 {
			t.Errorf("status %d, want %d; cookies %v, want none", res.StatusCode, tc.want, res.Cookies())
		}
		if started, err := s.Start(httptest.NewRecorder(), tc.r); started != nil || !errors.Is(err, session.ErrUnproven) {
			t.Errorf("Start = %v, %v, want ErrUnproven", started, err)
		}
	}
	if calls, loads := s.fault.Calls(backendtest.OpAny), s.fault.Calls(backendtest.OpLoad); calls != 3 || loads != 3 {
		t.Errorf("%d store calls, %d of them loads, want 3 loads", calls, loads)
	}
	if len(s.events) > 0 {
		t.Errorf("events: %+v", s.events)
	}
}

// At the endpoint an outage is a 503, whatever the program does with outages:
// another status could mean something to the browser.
func TestGuardEndpointInAnOutage(t *testing.T) {
	for _, how := range []session.Outage{session.OutageFail, session.OutageAnonymous} {
		s := newGuardedSite(t, func(c *session.Config) {
			c.OnOutage = how
			c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, _ error) { http.Redirect(w, r, "/sorry", http.StatusFound) }
		})
		s.sentry.served = func(w http.ResponseWriter, r *http.Request) {
			if !session.FromContext(r).Unavailable() || s.see(session.FromContext(r)) != nil {
				t.Error("the endpoint is not told of the outage")
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		s.fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(errors.New("down")))
		r := s.request("")
		r.URL.Path = "/endpoint"
		if res := s.serve(r, nil); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%v: status %d, want 503", how, res.StatusCode)
		}
	}
}

// A token that was replaced a moment ago is told from one that opens nothing.
func TestGuardEndpointTellsSuperseded(t *testing.T) {
	s := newGuardedSite(t, nil)
	old := s.request("")
	old.URL.Path = "/endpoint"
	s.serve(s.request(""), func(sess *session.Session) { sess.Renew() })
	var err error
	s.sentry.served = func(_ http.ResponseWriter, r *http.Request) { err = session.FromContext(r).Err() }
	s.serve(old, nil)
	if !errors.Is(err, session.ErrSuperseded) {
		t.Errorf("Err = %v, want ErrSuperseded", err)
	}
	s.ada.Value = "nothing"
	unknown := s.request("")
	unknown.URL.Path = "/endpoint"
	s.serve(unknown, nil)
	if err != nil {
		t.Errorf("of a token that is nobody's: Err = %v", err)
	}
}

// Start leaves the endpoint to the guard, whatever the token is: a program that
// responded there itself could end the browser's key.
func TestGuardEndpointIsNotStarted(t *testing.T) {
	s := newGuardedSite(t, nil)
	s.sentry.served = func(http.ResponseWriter, *http.Request) {}
	old := s.request("")
	s.ada = cookieOf(s.serve(s.request(""), func(sess *session.Session) { sess.Renew() }))
	unknown := s.request("")
	unknown.Header.Set("Cookie", s.ada.Name+"=x")
	without := httptest.NewRequest(http.MethodGet, "https://example.com/", nil)
	for name, r := range map[string]*http.Request{"live": s.request(""), "replaced": old, "unknown": unknown, "none": without} {
		r.URL.Path = "/endpoint"
		w := httptest.NewRecorder()
		if started, err := s.Start(w, r); started != nil || !errors.Is(err, session.ErrUnproven) {
			t.Errorf("token %s: Start = %v, %v, want ErrUnproven", name, started, err)
		}
		if session.FromContext(r).Err() == nil || len(w.Result().Cookies()) > 0 {
			t.Errorf("token %s: the request has a session", name)
		}
	}
	s.fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(errors.New("down")))
	r := s.request("")
	r.URL.Path = "/endpoint"
	if _, err := s.Start(httptest.NewRecorder(), r); !errors.Is(err, session.ErrUnproven) {
		t.Errorf("in an outage: %v, want ErrUnproven", err)
	}
}

// The guard completes the response of a login, of a logout, and of any other
// whose session has nothing kept.
func TestGuardCompletesHeaders(t *testing.T) {
	s := newGuardedSite(t, nil)
	res := visits.Session(s.Manager, func(sess *session.Session) { sess.SetUser("grace") })
	grace := cookieOf(res)
	if got, want := res.Header.Get("X-Guard"), "login grace "+grace.Value; got != want {
		t.Errorf("login: %q, want %q", got, want)
	}
	res = visits.Session(s.Manager, func(sess *session.Session) { sess.User() }, grace)
	if got := res.Header.Get("X-Guard"); got != "later grace" {
		t.Errorf("the next response: %q", got)
	}
	res = s.serve(s.request(""), func(sess *session.Session) { sess.SetUser("ada") })
	s.ada = cookieOf(res)
	if got := res.Header.Get("X-Guard"); got != "" {
		t.Errorf("login in a session that has something kept: %q", got)
	}
	res = s.serve(s.request(""), func(sess *session.Session) { sess.Destroy() })
	if got := res.Header.Get("X-Guard"); got != "gone" {
		t.Errorf("logout: %q", got)
	}

	w := httptest.NewRecorder()
	started, err := s.Start(w, httptest.NewRequest(http.MethodGet, "https://example.com/", nil))
	if err != nil {
		t.Fatal(err)
	}
	started.SetUser("alan")
	if got, want := w.Header().Get("X-Guard"), "login alan "+cookieOf(w.Result()).Value; got != want {
		t.Errorf("login with Start: %q, want %q", got, want)
	}
	if err := started.Release(); err != nil {
		t.Fatal(err)
	}
}

// What a guard keeps is the session's for as long as its record lives; the
// program cannot see it, nor get rid of it.
func TestGuardKeeps(t *testing.T) {
	s := newGuardedSite(t, nil)
	kept := func(when, want string) {
		t.Helper()
		s.serve(s.request(""), func(sess *session.Session) {
			if seen := s.see(sess); seen == nil || string(seen.Kept) != want {
				t.Errorf("%s: kept %+v, want %q", when, seen, want)
			}
		})
	}
	s.serve(s.request(""), func(sess *session.Session) {
		if keys := sess.Keys(); !slices.Equal(keys, []string{"cart"}) || sess.Len() != 1 {
			t.Errorf("keys %q, Len %d", keys, sess.Len())
		}
		sess.Clear()
		if err := sess.Update(func(v *session.Values) error { v.Clear(); return nil }); err != nil {
			t.Error(err)
		}
	})
	kept("after Clear", "key")
	for _, user := range []string{"ada", "grace", "", "alan"} {
		s.ada = cookieOf(s.serve(s.request(""), func(sess *session.Session) { sess.SetUser(user) }))
		kept("after SetUser "+user, "key")
	}
	s.serve(s.request(""), func(sess *session.Session) {
		if first, err := s.see(sess).Keep([]byte("another")); string(first) != "key" || err != nil {
			t.Errorf("Keep again = %q, %v, want what was kept first", first, err)
		}
		sess.Destroy()
		sess.SetUser("ada")
		if err := sess.Save(); err != nil || s.see(sess).Kept != nil {
			t.Errorf("a new session has %q kept, %v", s.see(sess).Kept, err)
		}
	})
}

// A login as somebody else keeps what a guard keeps, also of a write that it meets.
func TestGuardKeepsWhatALoginMeets(t *testing.T) {
	s := newGuardedSite(t, nil)
	s.ada = cookieOf(s.serve(s.request(""), func(sess *session.Session) {
		sess.SetUser("grace")
		s.serve(s.request(""), func(other *session.Session) { other.Set("cart", "coffee") })
	}))
	s.serve(s.request(""), func(sess *session.Session) {
		if string(s.see(sess).Kept) != "key" || sess.User() != "grace" || sess.Len() != 0 {
			t.Errorf("kept %q, user %q, %d values; want the key, grace and none", s.see(sess).Kept, sess.User(), sess.Len())
		}
	})
}

// So does one that another goroutine of the request makes while something is kept.
func TestGuardKeepsBesideALogin(t *testing.T) {
	s := newGuardedSite(t, nil)
	s.ada = cookieOf(visits.Session(s.Manager, func(sess *session.Session) { sess.SetUser("alan") }))
	s.ada = cookieOf(s.serve(s.request(""), func(sess *session.Session) {
		s.fault.On(backendtest.OpUpdate, 1, func(context.Context, backendtest.Call) error {
			sess.SetUser("grace")
			return nil
		})
		if kept, err := s.see(sess).Keep([]byte("key")); string(kept) != "key" || err != nil {
			t.Errorf("Keep = %q, %v", kept, err)
		}
	}))
	s.serve(s.request(""), func(sess *session.Session) {
		if string(s.see(sess).Kept) != "key" || sess.User() != "grace" {
			t.Errorf("kept %q, user %q; want the key, and grace", s.see(sess).Kept, sess.User())
		}
	})
}

// A login that goes on in a new session, as its own was renewed meanwhile, does
// not take along what a guard keeps of the old one.
func TestGuardKeepsNothingOfAnotherSession(t *testing.T) {
	s := newGuardedSite(t, nil)
	res := s.serve(s.request(""), func(sess *session.Session) {
		visits.Session(s.Manager, (*session.Session).Renew, s.ada)
		sess.SetUser("ada")
	})
	s.ada = cookieOf(res)
	s.serve(s.request(""), func(sess *session.Session) {
		if s.see(sess).Kept != nil || sess.Get("cart") != "tea" {
			t.Errorf("kept %q, cart %v; want nothing, and the cart", s.see(sess).Kept, sess.Get("cart"))
		}
	})
}

// A manager has one guard.
func TestGuardOnce(t *testing.T) {
	s := newGuardedSite(t, nil)
	if err := session.Guard(s.Manager, s.guard); err == nil {
		t.Error("a second guard is no error")
	}
}
