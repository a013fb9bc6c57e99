package session_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// through runs one request behind m's middleware.
func through(m *session.Manager, header http.Header, f func(*session.Session)) *http.Response {
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { f(session.FromContext(r)) })).ServeHTTP(w, r)
	return w.Result()
}

func newManager(t *testing.T, cfg session.Config) *session.Manager {
	t.Helper()
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestHeaderTransport: ID-5 of SECURITY-BAR.
func TestHeaderTransport(t *testing.T) {
	for name, tc := range map[string]struct {
		transport session.Transport
		request   func(token string) http.Header
		vary      string
	}{
		"header": {session.HeaderTransport("x-session-token"), func(token string) http.Header {
			return http.Header{"X-Session-Token": {token}}
		}, "X-Session-Token"},
		"bearer": {session.BearerTransport(), func(token string) http.Header {
			return http.Header{"Authorization": {"bearer  " + token}}
		}, "Authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, session.Config{Transport: tc.transport})
			res := through(m, nil, func(s *session.Session) { s.Set("n", 1); s.SetPersistent(true) })
			token := res.Header.Get(session.TokenHeader)
			if len(token) != 64 || res.Header["Set-Cookie"] != nil || res.Header.Get("Vary") != tc.vary || res.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("a new session: header %v", res.Header)
			}
			res = through(m, tc.request(token), func(s *session.Session) {
				if s.Get("n") != 1 || s.Token() != token {
					t.Errorf("Get(n) = %v, want 1", s.Get("n"))
				}
			})
			if res.Header[session.TokenHeader] != nil || res.Header["Set-Cookie"] != nil {
				t.Errorf("a read: header %v, want no token", res.Header)
			}
			res = through(m, tc.request(token), func(s *session.Session) { s.Renew() })
			renewed := res.Header.Get(session.TokenHeader)
			if len(renewed) != 64 || renewed == token {
				t.Fatalf("Renew: token %q, want another", renewed)
			}
			through(m, tc.request(token), func(s *session.Session) {
				if !s.IsNew() {
					t.Error("the old token still opens the session")
				}
			})
			through(m, http.Header{"Cookie": {"beegosessionID=" + renewed}}, func(s *session.Session) {
				if !s.IsNew() {
					t.Error("a cookie is read where tokens travel in a header")
				}
			})
			res = through(m, tc.request(renewed), func(s *session.Session) { s.Destroy() })
			if got, ok := res.Header[session.TokenHeader]; !ok || len(got) != 1 || got[0] != "" || res.Header["Set-Cookie"] != nil {
				t.Errorf("Destroy: header %v, want an empty token", res.Header)
			}
		})
	}
}

func TestFirstOf(t *testing.T) {
	m := newManager(t, session.Config{Transport: session.FirstOf(session.HeaderTransport(session.TokenHeader), session.BearerTransport(), session.Transport{})})
	set := func(s *session.Session) { s.Set("n", 1) }
	if res := through(m, nil, set); res.Header["Set-Cookie"] == nil || res.Header[session.TokenHeader] != nil {
		t.Errorf("a request without a token: header %v, want a cookie", res.Header)
	}
	res := through(m, http.Header{"X-Session-Token": {""}}, set)
	token := res.Header.Get(session.TokenHeader)
	if len(token) != 64 || res.Header["Set-Cookie"] != nil {
		t.Fatalf("a request with an empty header: header %v, want a token in it", res.Header)
	}
	both := http.Header{"Authorization": {"Bearer " + token}, "Cookie": {"beegosessionID=" + strings.Repeat("A", 64)}}
	res = through(m, both, func(s *session.Session) { s.Renew() })
	if res.Header["Set-Cookie"] != nil || len(res.Header.Get(session.TokenHeader)) != 64 {
		t.Errorf("a token from a header was promoted: header %v", res.Header)
	}
	other := http.Header{"Authorization": {"Basic dTpw"}}
	if res := through(m, other, set); res.Header["Set-Cookie"] == nil {
		t.Errorf("Authorization: Basic is not ours: header %v, want a cookie", res.Header)
	}
}

func TestTransportRefused(t *testing.T) {
	for _, transport := range []session.Transport{
		session.HeaderTransport("no good"), session.HeaderTransport("Cookie"), session.HeaderTransport("authorization"), session.HeaderTransport("a:b"),
		session.FirstOf(session.FirstOf(session.BearerTransport())), session.FirstOf(session.HeaderTransport("\n")),
		session.HeaderTransport(""), session.FirstOf(), session.FirstOf(session.HeaderTransport("")), // an unset variable is not a wish for cookies
		session.HeaderTransport("location"), session.HeaderTransport("Set-Cookie2"), session.HeaderTransport("content-encoding"), session.HeaderTransport("X-Forwarded-For"),
	} {
		if _, err := session.New(session.Config{Transport: transport}); err == nil || !strings.Contains(err.Error(), "Config.Transport") {
			t.Errorf("New with %+v: %v, want an error that names Config.Transport", transport, err)
		}
	}
}

func TestStartByHeader(t *testing.T) {
	m := newManager(t, session.Config{Transport: session.BearerTransport()})
	w := httptest.NewRecorder()
	s, err := m.Start(w, httptest.NewRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	s.Set("n", 1)
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	if token := w.Header().Get(session.TokenHeader); len(token) != 64 || w.Header()["Set-Cookie"] != nil {
		t.Errorf("header %v, want a token", w.Header())
	}
}

// A cookie that slides must not ride on a response that a shared cache may keep
// (CVE-2023-30861). The expiry moves all the same, and the next response that
// can bring the cookie does.
// Of SECURITY-BAR: CK-10.
func TestSlideNotIntoCaches(t *testing.T) {
	for name, tc := range map[string]struct {
		cacheControl string
		use          bool
		slides       bool
	}{
		"a static file":        {"public, max-age=3600", false, false},
		"untouched":            {"", false, true},
		"a page":               {"", true, true},
		"a public page":        {"public", true, false},
		"max-age":              {"max-age=60", true, false},
		"s-maxage":             {"max-age=0, s-maxage=60", true, false},
		"no number":            {"max-age=soon", true, false},
		"private, max-age":     {"private, max-age=60", true, true},
		"a private field":      {`private="x-name", max-age=60`, true, false},
		"max-age=0":            {"private, max-age=0", true, true},
		"old IE":               {"no-cache, max-age=0, must-revalidate", true, true},
		"max-age=-1":           {"max-age=-1", true, true},
		"public, no-store":     {"public, no-store", true, true},
		"no-store":             {"no-store", true, true},
		"no-cache":             {"no-cache", true, true},
		"immutable, untouched": {"immutable", false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, err := session.New(session.Config{Cookie: cookie.Options{Persistent: true}, SweepEvery: -1})
			if err != nil {
				t.Fatal(err)
			}
			res := through(m, nil, func(s *session.Session) { s.Set("n", 1) })
			token, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
			time.Sleep(10 * time.Minute)
			r := httptest.NewRequest("GET", "https://example.com/", nil)
			r.Header.Set("Cookie", token)
			w := httptest.NewRecorder()
			m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tc.cacheControl != "" {
					w.Header().Set("Cache-Control", tc.cacheControl)
				}
				if tc.use {
					session.FromContext(r).Get("n")
				}
			})).ServeHTTP(w, r)
			if got := w.Header()["Set-Cookie"] != nil; got != tc.slides {
				t.Errorf("%s: Set-Cookie sent: %v, want %v (header %v)", name, got, tc.slides, w.Header())
			}
			if touched := m.Stats().Touches; touched != 1 {
				t.Errorf("%s: touched %d times, want once", name, touched)
			}
			time.Sleep(time.Second)
			next := httptest.NewRecorder()
			m.Middleware(http.NotFoundHandler()).ServeHTTP(next, r)
			if got := next.Header()["Set-Cookie"] != nil; got == tc.slides {
				t.Errorf("%s: the next response brings the cookie: %v", name, got)
			}
		})
	}
}

// An answer that sets the cookie is not for shared caches, whatever the
// handler said.
// Of SECURITY-BAR: CK-10.
func TestSetCookieIsNotPublic(t *testing.T) {
	for said, want := range map[string]string{
		"":                        "no-store",
		"public, max-age=60":      "no-store",
		"max-age=300":             "no-store",
		"s-maxage=300":            "no-store",
		"immutable":               "no-store",
		"no-cache":                "no-store", // it may be stored, and is used if the server says so
		"must-revalidate":         "no-store",
		`private="x-name"`:        "no-store",
		"private":                 "private",
		"Private, max-age=60":     "Private, max-age=60",
		"max-age=0, no-store":     "max-age=0, no-store",
		"no-store, must-validate": "no-store, must-validate",
	} {
		for name, transport := range map[string]session.Transport{"cookie": {}, "header": session.HeaderTransport(session.TokenHeader)} {
			m := newManager(t, session.Config{Transport: transport})
			r := httptest.NewRequest("GET", "https://example.com/", nil)
			w := httptest.NewRecorder()
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if said != "" {
					w.Header().Set("Cache-Control", said)
				}
				session.FromContext(r).Set("n", 1)
			})
			m.Middleware(handler).ServeHTTP(w, r)
			if got := w.Header().Get("Cache-Control"); got != want || w.Header()["Set-Cookie"] == nil && w.Header()[session.TokenHeader] == nil {
				t.Errorf("%s, Cache-Control %q: header %v, want a token and %q", name, said, w.Header(), want)
			}
			w = httptest.NewRecorder()
			if said != "" {
				w.Header().Set("Cache-Control", said)
			}
			s, err := m.Start(w, r)
			if err != nil {
				t.Fatal(err)
			}
			s.Set("n", 1)
			if err := s.Release(); err != nil || w.Header().Get("Cache-Control") != want {
				t.Errorf("%s by hand, Cache-Control %q: %v, header %v, want %q", name, said, err, w.Header(), want)
			}
		}
	}
}

// An answer depends on the header that its request chose, and on those that
// would have been looked at first: a cache must not hand a browser's page to a
// client that comes with a token.
// Of SECURITY-BAR: CK-10.
func TestVaryOfFirstOf(t *testing.T) {
	m := newManager(t, session.Config{Transport: session.FirstOf(session.HeaderTransport("X-Session-Token"), session.BearerTransport(), session.Transport{})})
	for name, tc := range map[string]struct {
		header http.Header
		want   []string
	}{
		"header":  {http.Header{"X-Session-Token": {""}}, []string{"X-Session-Token"}},
		"bearer":  {http.Header{"Authorization": {"Bearer x"}}, []string{"X-Session-Token", "Authorization"}},
		"cookie":  {http.Header{"Cookie": {"beegosessionID=x"}}, []string{"X-Session-Token", "Authorization", "Cookie"}},
		"neither": {nil, []string{"X-Session-Token", "Authorization", "Cookie"}},
	} {
		res := through(m, tc.header, func(s *session.Session) { s.Get("n") })
		if got := res.Header["Vary"]; !slices.Equal(got, tc.want) {
			t.Errorf("%s: Vary is %q, want %q", name, got, tc.want)
		}
		if res := through(m, tc.header, func(*session.Session) {}); res.Header["Vary"] != nil {
			t.Errorf("%s, session not used: Vary is %q", name, res.Header["Vary"])
		}
	}
}
