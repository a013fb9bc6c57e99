package behaviour

import (
	"io"
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

// cachingCases are about what caches between us and the browser may keep.
var cachingCases = []behaviour{
	each("Vary says what the response depends on", vary),
	once("Cache-Control keeps cookies out of caches", cacheControl),
	once("a cookie slides on no response that a cache may keep", slideNotIntoCaches),
	once("a response that sets the cookie is not public", setCookieIsNotPublic),
	once("Vary of several transports", varyOfFirstOf),
}

func vary(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	own := func(lines ...string) sessionHandler {
		return func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			w.Header()["Vary"] = lines
			s.Get("a")
		}
	}
	a.handle("/other", own("Accept-Encoding"))
	a.handle("/same", own("Accept-Encoding, cookie"))
	a.handle("/star", own("*"))
	a.handle("/lines", own("Accept", "Cookie"))
	a.handle("/fails", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("f", func() {}) })
	a.handle("/late", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		io.WriteString(w, "x")
		s.Get("a")
	})
	b := a.browser(t)
	unasked(a)
	for _, path := range []string{"/ignore", "/silent", "/file", "/public"} {
		if got := b.get(path).header["Vary"]; got != nil {
			t.Errorf("%s, without a session: Vary is %q", path, got)
		}
	}
	b.get("/set?k=a&v=b")
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/silent", nil}, {"/file", nil}, {"/tagged", nil}, {"/old", nil}, {"/public", nil},
		{"/ignore", []string{"Cookie"}}, // it writes, and could still ask for the session
		{"/asks", []string{"Cookie"}},   // as this does
		{"/get?k=a", []string{"Cookie"}},
		{"/set?k=a&v=c", []string{"Cookie"}},
		{"/id", []string{"Cookie"}},
		{"/renew", []string{"Cookie"}},
		{"/other", []string{"Accept-Encoding", "Cookie"}},
		{"/same", []string{"Accept-Encoding, cookie"}},
		{"/star", []string{"*"}},
		{"/lines", []string{"Accept", "Cookie"}},
		{"/fails", []string{"Cookie"}},
		{"/late", []string{"Cookie"}}, // it has the session, and uses it too late to say so then
	} {
		if got := b.get(tt.path).header["Vary"]; !slices.Equal(got, tt.want) {
			t.Errorf("%s: Vary is %q, want %q", tt.path, got, tt.want)
		}
	}
	if got := a.browser(t).get("/get?k=a").header["Vary"]; !slices.Equal(got, []string{"Cookie"}) {
		t.Errorf("used without a cookie: Vary is %q, want Cookie: with one, the response would be another", got)
	}
}

// unasked registers handlers that do not use the session, and one that looks
// like them when its first byte leaves.
func unasked(a *app) {
	a.router.HandleFunc("/silent", func(http.ResponseWriter, *http.Request) {})
	for path, said := range map[string][2]string{
		"/file": {"Last-Modified", "Sat, 28 Nov 2026 08:00:00 GMT"}, "/tagged": {"ETag", `"1"`},
		"/old": {"Expires", "0"}, "/public": {"Cache-Control", "max-age=60"},
	} {
		a.router.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(said[0], said[1])
			io.WriteString(w, "x")
		})
	}
	a.router.HandleFunc("/asks", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		session.FromContext(r).Get("a")
	})
}

func cacheControl(t *testing.T) {
	a := newApp(t, session.Config{})
	a.basics()
	unasked(a)
	for path, said := range map[string]string{"/own": "max-age=60", "/no-cache": "no-cache"} {
		a.handle(path, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
			w.Header().Set("Cache-Control", said)
			s.Set("a", r.FormValue("v"))
		})
	}
	a.handle("/late", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		io.WriteString(w, "x")
		s.Get("a")
	})
	a.handle("/pop", func(w http.ResponseWriter, _ *http.Request, s *session.Session) { s.Pop("b") })
	a.handle("/save", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("c", r.FormValue("v"))
		s.Save()
	})
	a.handle("/update", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		session.Update(s, "n", func(n int) int { return n + 1 })
	})
	a.handle("/label", func(w http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetLabel("here") })
	a.handle("/private", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		s.Set("a", r.FormValue("v"))
	})
	b := a.browser(t)
	for _, tt := range []struct{ path, want string }{
		{"/get?k=a", ""}, {"/pop", ""}, {"/late", ""}, {"/ignore", ""}, {"/asks", ""}, // nobody's page
		{"/set?k=a&v=b", "no-store"}, {"/get?k=a", "private"}, {"/late", "private"}, {"/asks", "private"}, {"/ignore", "private"},
		{"/silent", ""}, {"/file", ""}, {"/tagged", ""}, {"/old", ""}, {"/public", "max-age=60"},
		{"/set?k=a&v=c", "no-store"}, {"/set?k=a&v=c", "private"}, {"/get?k=a", "private"},
		{"/pop", "private"}, {"/set?k=b&v=1", "no-store"}, {"/pop", "no-store"}, {"/pop", "private"},
		{"/save?v=1", "no-store"}, {"/save?v=1", "private"}, {"/update", "no-store"}, {"/label", "no-store"},
		{"/own?v=1", "max-age=60"}, {"/no-cache?v=2", "no-cache"},
		{"/renew", "no-store"}, {"/destroy", "no-store"}, {"/private?v=1", "private, max-age=60"},
	} {
		if got := strings.Join(b.get(tt.path).header["Cache-Control"], "|"); got != tt.want {
			t.Errorf("%s: Cache-Control is %q, want %q", tt.path, got, tt.want)
		}
	}
}

// A cookie that slides must not ride on a response that a shared cache may keep
// (CVE-2023-30861). The expiry moves all the same, and the next response that
// can bring the cookie does.
func slideNotIntoCaches(t *testing.T) {
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
			res := serve(m, nil, func(s *session.Session) { s.Set("n", 1) })
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

// A response that sets the cookie is not for shared caches, whatever the
// handler said.
func setCookieIsNotPublic(t *testing.T) {
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

// A response depends on the header that its request chose, and on those that
// would have been looked at first: a cache must not hand a browser's page to a
// client that comes with a token.
func varyOfFirstOf(t *testing.T) {
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
		res := serve(m, tc.header, func(s *session.Session) { s.Get("n") })
		if got := res.Header["Vary"]; !slices.Equal(got, tc.want) {
			t.Errorf("%s: Vary is %q, want %q", name, got, tc.want)
		}
		if res := serve(m, tc.header, func(*session.Session) {}); res.Header["Vary"] != nil {
			t.Errorf("%s, session not used: Vary is %q", name, res.Header["Vary"])
		}
	}
}
