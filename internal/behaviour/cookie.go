package behaviour

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
)

// cookieCases are about the cookie that goes out.
var cookieCases = []behaviour{
	once("the attributes are as documented", attributes),
	once("Secure depends on the options alone", secure),
	once("one warning of a Secure cookie over plain HTTP", plainHTTPWarning),
	each("sent only when it changes", onlyWhenNeeded),
	each("a persistent cookie slides", persistentSlides),
	once("a persistent cookie outlives writes", persistentOutlivesWrites),
	once("the removal has the same attributes", removal),
	each("other cookies survive", otherCookies),
	each("one a response", oneAResponse),
	each("a lifetime set by the handler holds", ownLifetime),
	once("an active user stays logged in", activeUser),
	once("public pages do not cost the cookie", publicPages),
	once("pages that Start serves keep it", startedPages),
	once("Max-Age decides nothing at the server", maxAgeDecidesNothing),
}

func attributes(t *testing.T) {
	tests := []struct {
		options cookie.Options
		want    string
	}{
		{cookie.Options{}, "beegosessionID; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{cookie.Options{Insecure: true}, "beegosessionID; Path=/; HttpOnly; SameSite=Lax"},
		{cookie.Options{ScriptReadable: true}, "beegosessionID; Path=/; Secure; SameSite=Lax"},
		{cookie.Options{SameSite: http.SameSiteStrictMode}, "beegosessionID; Path=/; HttpOnly; Secure; SameSite=Strict"},
		{cookie.Options{SameSite: http.SameSiteNoneMode}, "beegosessionID; Path=/; HttpOnly; Secure; SameSite=None"},
		{cookie.Options{SameSite: http.SameSiteDefaultMode}, "beegosessionID; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{cookie.Options{Partitioned: true}, "beegosessionID; Path=/; HttpOnly; Secure; SameSite=Lax; Partitioned"},
		{cookie.Options{Name: "id", Path: "/app", Domain: "example.com"}, "id; Path=/app; Domain=example.com; HttpOnly; Secure; SameSite=Lax"},
		{cookie.Options{Domain: ".example.com"}, "beegosessionID; Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Lax"},
		{cookie.Options{Name: "__Host-id"}, "__Host-id; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{cookie.Options{Name: "__Secure-id", Path: "/a"}, "__Secure-id; Path=/a; HttpOnly; Secure; SameSite=Lax"},
		{cookie.Options{Persistent: true}, "beegosessionID; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		{cookie.Options{MaxAge: 90 * time.Second}, "beegosessionID; Path=/; Max-Age=90; HttpOnly; Secure; SameSite=Lax"},
		{cookie.Options{Persistent: true, Insecure: true, ScriptReadable: true, SameSite: http.SameSiteStrictMode, Domain: "a.example", Path: "/x/"}, "beegosessionID; Path=/x/; Domain=a.example; Max-Age=3600; SameSite=Strict"},
	}
	for _, tt := range tests {
		a := newApp(t, session.Config{Cookie: tt.options})
		a.basics()
		got := a.exchange(t, "https://app.example.com/set?k=a&v=b", nil)
		if len(got.setCookie) != 1 || attributesOf(got.session) != tt.want {
			t.Errorf("%+v: Set-Cookie without its value is %q, want %q", tt.options, attributesOf(got.session), tt.want)
		}
	}
}

// names returns the names of Set-Cookie lines.
func names(lines []string) (names []string) {
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	return names
}

func save(t *testing.T, s *session.Session) {
	t.Helper()
	if err := s.Save(); err != nil {
		t.Errorf("Save: %v", err)
	}
}

// secure: the attribute depends on the options alone, whatever the request
// looks like, serve the middleware and serve Start.
func secure(t *testing.T) {
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	tests := []struct {
		what    string
		url     string
		prepare func(*http.Request)
	}{
		{"TLS", "https://app.example/", nil},
		{"plain", "http://app.example/", nil},
		{"plain, an address", "http://192.168.1.10:8080/", nil},
		{"localhost", "http://localhost/", nil},
		{"localhost with a port", "http://localhost:8080/", nil},
		{"below localhost", "http://app.localhost:3000/", nil},
		{"nginx with its default Host and HTTP/1.1", "http://127.0.0.1:8080/", nil},
		{"nginx with its default Host and HTTP/1.0", "http://127.0.0.1:8080/", func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }},
		{"cleartext HTTP/2", "http://127.0.0.1:8080/", func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0 }},
		{"::1", "http://[::1]:8080/", nil},
		{"TLS on localhost", "https://localhost:8443/", nil},
		{"a proxy with TLS on this machine", "http://127.0.0.1:8080/", header("X-Forwarded-Proto", "https")},
		{"a second proxy behind it", "http://127.0.0.1:8080/", header("X-Forwarded-Proto", "http")},
		{"a second proxy that knows the host", "http://127.0.0.1:8080/", header("X-Forwarded-Proto", "http", "X-Forwarded-Host", "shop.example")},
		{"a proxy that does not say", "http://127.0.0.1:8080/", header("X-Forwarded-For", "203.0.113.7")},
		{"a Host that is not one", "http://app.example/", func(r *http.Request) { r.Host = "localhost:80:80" }},
		{"no Host", "http://app.example/", func(r *http.Request) { r.Host = "" }},
	}
	for _, o := range []cookie.Options{{}, {Insecure: true}, {Name: "__Host-id"}, {Name: "__Secure-id"}, {SameSite: http.SameSiteNoneMode}, {Partitioned: true}} {
		a := newApp(t, session.Config{Cookie: o})
		a.handle("/", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("a", 1) })
		for _, tt := range tests {
			got := a.exchange(t, tt.url, tt.prepare)
			if has := strings.Contains(got.session, "; Secure;"); got.session == "" || has == o.Insecure {
				t.Errorf("%s, %+v: the cookie is %q", tt.what, o, attributesOf(got.session))
			}
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", tt.url, nil)
			if tt.prepare != nil {
				tt.prepare(r)
			}
			s, err := a.Start(w, r)
			if err != nil {
				t.Fatal(err)
			}
			s.Set("a", 1)
			if err := s.Release(); err != nil {
				t.Fatal(err)
			}
			if line := w.Header().Get("Set-Cookie"); line == "" || strings.Contains(line, "; Secure;") == o.Insecure {
				t.Errorf("Start, %s, %+v: the cookie is %q", tt.what, o, attributesOf(line))
			}
		}
	}
}

func plainHTTPWarning(t *testing.T) {
	const warning = "logins will not stick"
	silent := []struct {
		url     string
		options cookie.Options
		prepare func(*http.Request)
	}{
		{"https://app.example/set?k=a&v=b", cookie.Options{}, nil},
		{"http://localhost:8080/set?k=a&v=b", cookie.Options{}, nil},
		{"http://app.example/set?k=a&v=b", cookie.Options{Insecure: true}, nil},
		{"http://app.example/set?k=a&v=b", cookie.Options{}, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }},
		{"http://app.example/set?k=a&v=b", cookie.Options{}, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https, http") }},
		{"http://app.example/set?k=a&v=b", cookie.Options{}, func(r *http.Request) { r.Header.Set("Forwarded", `for="[::1]";proto="https"`) }},
		{"http://app.example/set?k=a&v=b", cookie.Options{}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") }},
		{"http://app.example/get?k=a", cookie.Options{}, nil},
	}
	for _, tt := range silent {
		a := newApp(t, session.Config{Cookie: tt.options})
		a.basics()
		a.exchange(t, tt.url, tt.prepare)
		if lines := a.log.lines("", warning); len(lines) > 0 {
			t.Errorf("%s with %+v: warned: %v", tt.url, tt.options, lines)
		}
	}
	a := newApp(t, session.Config{})
	a.basics()
	for range 3 {
		a.exchange(t, "http://app.example/set?k=a&v=b", nil)
	}
	lines := a.log.lines("WARN", warning)
	if len(lines) != 1 || lines[0]["host"] != "app.example" || !strings.Contains(fmt.Sprint(lines[0]["msg"]), "X-Forwarded-Proto") {
		t.Errorf("warnings %v, want exactly one, with the host and the cure", lines)
	}
}

func onlyWhenNeeded(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	a.handle("/login", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
	b := a.browser(t)
	first := b.get("/set?k=a&v=1")
	if first.session == "" || strings.Contains(first.session, "Max-Age") || strings.Contains(first.session, "Expires") {
		t.Errorf("a browser-session cookie has a lifetime, or is not there: %q", attributesOf(first.session))
	}
	for _, path := range []string{"/get?k=a", "/set?k=a&v=2", "/set?k=a&v=2", "/ignore", "/set?k=b&v=3", "/id"} {
		b.get(path).wantNoCookie(t)
	}
	for _, path := range []string{"/renew", "/login"} {
		before := b.token()
		if got := b.get(path); got.session == "" || b.token() == before || b.token() == "" {
			t.Errorf("%s: no new token in a cookie", path)
		}
		b.get("/get?k=a").wantNoCookie(t)
	}
	if got := b.get("/destroy"); !strings.Contains(got.session, "; Max-Age=0;") || b.token() != "" {
		t.Errorf("/destroy: the cookie was not removed: %q", attributesOf(got.session))
	}
	b.get("/get?k=a").wantNoCookie(t)
}

// persistentSlides lets the record look older than it is, so that nobody has
// to wait.
func persistentSlides(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t), Cookie: cookie.Options{Persistent: true}, TouchEvery: 10 * time.Minute})
	a.basics()
	b := a.browser(t)
	if got := b.get("/set?k=a&v=1"); !strings.Contains(got.session, "; Max-Age=3600;") {
		t.Errorf("the first cookie is %q, want Max-Age=3600", attributesOf(got.session))
	}
	token := b.token()
	for _, tt := range []struct {
		path  string
		age   time.Duration
		calls string
		again bool
	}{
		{"/get?k=a", 0, "Load", false},
		{"/get?k=a", 9 * time.Minute, "Load", false},
		{"/set?k=a&v=2", 0, "Load Update", true},
		{"/get?k=a", 11 * time.Minute, "Load Touch", true},
		{"/get?k=a", 0, "Load", false},
		{"/ignore", 11 * time.Minute, "Load Touch", true},
		{"/set?k=a&v=3", 11 * time.Minute, "Load Update", true},
	} {
		a.age(t, token, tt.age)
		a.calls.Reset()
		got := b.get(tt.path)
		a.wantCalls(t, tt.calls)
		if (got.session != "") != tt.again || tt.again && !strings.Contains(got.session, "; Max-Age=3600;") {
			t.Errorf("%s after %v: cookie %q, want one with Max-Age=3600: %v", tt.path, tt.age, attributesOf(got.session), tt.again)
		}
		if b.token() != token {
			t.Errorf("%s after %v: the token has changed", tt.path, tt.age)
		}
	}
}

// persistentOutlivesWrites: each write moves the expiry by less than
// TouchEvery, and the browser's cookie must not end for that.
func persistentOutlivesWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, session.Config{Cookie: cookie.Options{Persistent: true}, TouchEvery: 10 * time.Minute})
		a.basics()
		b := a.direct(t)
		b.get("/set?k=n&v=0")
		for n := range 14 {
			time.Sleep(9 * time.Minute)
			b.get("/get?k=n").want(t, 200, fmt.Sprint(n))
			b.get(fmt.Sprint("/set?k=n&v=", n+1))
		}
	})
}

func removal(t *testing.T) {
	for _, o := range []cookie.Options{
		{}, {Insecure: true}, {ScriptReadable: true}, {SameSite: http.SameSiteStrictMode}, {SameSite: http.SameSiteNoneMode}, {Partitioned: true},
		{Name: "id", Path: "/app", Domain: "example.com"}, {Name: "__Host-id"}, {Persistent: true}, {MaxAge: time.Hour},
		{Partitioned: true, SameSite: http.SameSiteNoneMode, Persistent: true, Domain: ".example.com", Path: "/a/b"},
	} {
		for _, site := range []string{"https://app.example", "http://app.example", "http://localhost:8080"} {
			a := newApp(t, session.Config{Cookie: o})
			a.basics()
			set := a.exchange(t, site+"/set?k=a&v=b", nil).session
			value, rest, _ := strings.Cut(strings.TrimPrefix(withoutExpires(set), a.name+"="), ";")
			got := a.exchange(t, site+"/destroy", func(r *http.Request) { r.Header.Set("Cookie", a.name+"="+value) })
			// The same line without a value, with Max-Age=0 and a date in the past.
			if !strings.Contains(got.session, "; Expires=Thu, 01 Jan 1970 00:00:00 GMT;") {
				t.Errorf("%+v: removed without Expires: %q", o, got.session)
			}
			got.session = withoutExpires(got.session)
			var parts []string
			for part := range strings.SplitSeq(rest, ";") {
				if part = strings.TrimSpace(part); !strings.HasPrefix(part, "Max-Age=") {
					parts = append(parts, part)
				}
			}
			at := slices.IndexFunc(parts, func(p string) bool { return !strings.HasPrefix(p, "Path=") && !strings.HasPrefix(p, "Domain=") })
			want := a.name + "=; " + strings.Join(slices.Insert(parts, at, "Max-Age=0"), "; ")
			if len(got.setCookie) != 1 || got.session != want {
				t.Errorf("%+v at %s: removed by %q, want %q", o, site, got.setCookie, want)
			}
		}
	}
}

func otherCookies(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.around = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Set-Cookie", "outer=1")
			next.ServeHTTP(w, r)
		})
	}
	a.router.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "inner", Value: "2"})
			next.ServeHTTP(w, r)
		})
	})
	a.handle("/", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		w.Header().Add("Set-Cookie", "before=3")
		s.Set("a", 1)
		w.Header().Add("Set-Cookie", "after=4")
		lines := w.Header()["Set-Cookie"]
		w.WriteHeader(201)
		w.Header().Add("Set-Cookie", "late=5") // net/http has sent the header: it is lost
		io.WriteString(w, "ok")
		if len(lines) != 4 {
			t.Errorf("the handler saw the lines of %d cookies, want 4", len(lines))
		}
	})
	a.handle("/fails", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.Header().Add("Set-Cookie", "before=3")
		s.Set("a", 2)
	})
	b := a.browser(t)
	got := b.get("/")
	want := []string{"outer=1", "inner=2", "before=3", "after=4", got.session}
	if !slices.Equal(got.setCookie, want) || got.session == "" || got.status != 201 {
		t.Errorf("the response %d has the cookies %q, want outer, inner, before, after and the session's", got.status, names(got.setCookie))
	}
	got = b.get("/") // it has changed nothing
	if want := []string{"outer", "inner", "before", "after"}; !slices.Equal(names(got.setCookie), want) {
		t.Errorf("the response has the cookies %q, want %q", names(got.setCookie), want)
	}
	a.calls.On(backendtest.OpCreate, 9, backendtest.Fail(errTest))
	got = a.browser(t).get("/fails")
	if want := []string{"outer", "inner", "before"}; got.status != 503 || !slices.Equal(names(got.setCookie), want) {
		t.Errorf("the error response %d has the cookies %q, want 503 and %q", got.status, names(got.setCookie), want)
	}
}

func oneAResponse(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	ways := map[string]func(s *session.Session){
		"renew renew":      func(s *session.Session) { s.Renew(); s.Renew() },
		"renew save renew": func(s *session.Session) { s.Renew(); save(t, s); s.Renew() },
		"user renew":       func(s *session.Session) { s.SetUser("ada"); s.Renew(); s.SetUser("bob") },
		"set save renew":   func(s *session.Session) { s.Set("x", 1); save(t, s); s.Renew(); save(t, s); s.Set("y", 2) },
		"destroy set":      func(s *session.Session) { s.Destroy(); s.Set("x", 1) },
		"destroy save set": func(s *session.Session) { s.Destroy(); save(t, s); s.Set("x", 1) },
		"renew destroy":    func(s *session.Session) { s.Renew(); s.Destroy() },
		"persist renew":    func(s *session.Session) { s.SetPersistent(true); s.Renew(); s.SetIdleTimeout(time.Minute) },
		"destroy destroy":  func(s *session.Session) { s.Destroy(); s.Destroy() },
	}
	a.handle("/way", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		if s.IsNew() {
			s.Set("n", 1)
		}
		ways[r.FormValue("w")](s)
	})
	for way := range ways {
		for _, isNew := range []bool{true, false} {
			b := a.browser(t)
			if !isNew {
				b.get("/set?k=a&v=b")
			}
			before := b.token()
			got := b.get("/way?w=" + strings.ReplaceAll(way, " ", "+"))
			ends := strings.HasSuffix(way, "destroy")
			switch {
			case got.status != 200:
				t.Errorf("%s, new %v: status %d", way, isNew, got.status)
			case isNew && ends && len(got.setCookie) != 0:
				t.Errorf("%s of a session that was never stored: cookies %q, want none", way, names(got.setCookie))
			case !(isNew && ends) && len(got.setCookie) != 1:
				t.Errorf("%s, new %v: %d cookies, want one", way, isNew, len(got.setCookie))
			case ends != (b.token() == ""), before != "" && b.token() == before:
				t.Errorf("%s, new %v: the browser has a token: %v", way, isNew, b.token() != "")
			case !ends: // the token that the browser ended up with is the live one
				b.get("/get?k=x")
				if _, err := a.store.Load(t.Context(), idOf(t, b.token())); err != nil {
					t.Errorf("%s, new %v: the token's record: %v", way, isNew, err)
				}
			}
		}
	}
}

func ownLifetime(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	a.handle("/remember", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		s.SetIdleTimeout(12 * time.Hour)
		s.SetAbsoluteTimeout(72 * time.Hour)
		s.SetPersistent(true)
	})
	a.handle("/forget", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.SetIdleTimeout(10 * time.Minute)
		s.SetPersistent(false)
	})
	a.handle("/default", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.SetIdleTimeout(0)
		s.SetAbsoluteTimeout(0)
	})
	a.handle("/wrong", func(_ http.ResponseWriter, r *http.Request, s *session.Session) { s.SetIdleTimeout(-time.Second) })
	b := a.browser(t)
	check := func(path, line string, left time.Duration) {
		t.Helper()
		got := b.get(path)
		if got.status != 200 || !strings.Contains(got.session, line) || line == "" && got.session != "" {
			t.Errorf("%s: status %d, cookie %q, want one with %q", path, got.status, attributesOf(got.session), line)
		}
		expires := a.record(t, b.token()).Expires
		if off := time.Until(expires) - left; off > 0 || off < -30*time.Second {
			t.Errorf("%s: the record lives for %v more, want %v", path, time.Until(expires), left)
		}
	}
	check("/remember", "; Max-Age=43200;", 12*time.Hour)
	a.age(t, b.token(), 2*time.Hour)
	check("/get?k=a", "; Max-Age=43200;", 12*time.Hour) // the base of later requests
	a.age(t, b.token(), 2*time.Hour)
	check("/set?k=a&v=2", "; Max-Age=43200;", 12*time.Hour)
	check("/renew", "; Max-Age=43200;", 12*time.Hour)
	check("/forget", "; HttpOnly", 10*time.Minute)
	if got := b.get("/renew"); strings.Contains(got.session, "Max-Age") {
		t.Errorf("after SetPersistent(false) the cookie has a lifetime: %q", attributesOf(got.session))
	}
	a.age(t, b.token(), 5*time.Minute)
	check("/get?k=a", "", 10*time.Minute)
	check("/default", "", time.Hour)
	b.get("/wrong").want(t, 500, "Internal Server Error\n")
	check("/get?k=a", "", time.Hour)
}

// activeUser: the browser drops the cookie when its time is over, and the server
// the session. Whatever pages say about caches, neither may happen to somebody
// who comes by every few minutes.
func activeUser(t *testing.T) {
	headers := []string{
		"", "Cache-Control: private, max-age=0", "Cache-Control: no-cache, max-age=0, must-revalidate", "Cache-Control: no-store",
		"Cache-Control: private, max-age=60", "Cache-Control: private", "Cache-Control: no-cache", "Cache-Control: must-revalidate",
		"Cache-Control: max-age=0", "Cache-Control: max-age=-1", `Cache-Control: max-age="0"`, "Cache-Control: s-maxage=0",
		"Expires: 0", "Expires: -1", "Expires: Thu, 01 Jan 1970 00:00:00 GMT", "Expires: Sat, 01 Jan 2000 00:00:00 GMT", "Pragma: no-cache",
	}
	for name, v := range map[string]visits{
		"persistent":                {cfg: session.Config{Cookie: cookie.Options{Persistent: true}}, every: 5 * time.Minute, until: 3 * time.Hour},
		"rare touches":              {cfg: session.Config{Cookie: cookie.Options{Persistent: true}, TouchEvery: 20 * time.Minute}, every: 7 * time.Minute, until: 3 * time.Hour},
		"a short cookie":            {cfg: session.Config{Cookie: cookie.Options{MaxAge: 30 * time.Second}}, every: 10 * time.Second, until: 3 * time.Minute},
		"a short cookie, near idle": {cfg: session.Config{Cookie: cookie.Options{MaxAge: 30 * time.Second}}, every: 28 * time.Second, until: 5 * time.Minute},
		"idle is absolute": {cfg: session.Config{IdleTimeout: 24 * time.Hour, AbsoluteTimeout: 24 * time.Hour,
			Cookie: cookie.Options{MaxAge: time.Hour}}, every: 40 * time.Minute, until: 23 * time.Hour},
		"until the absolute timeout": {cfg: session.Config{IdleTimeout: 2 * time.Hour, AbsoluteTimeout: 6 * time.Hour,
			Cookie: cookie.Options{MaxAge: time.Hour}}, every: 50 * time.Minute, until: 6*time.Hour - time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, header := range headers {
				for _, write := range []string{"", "Set", "Save", "Update"} {
					synctest.Test(t, func(t *testing.T) { v.make(t, header, write) })
				}
			}
		})
	}
}

// visits are of one user, to pages of one kind.
type visits struct {
	cfg          session.Config
	every, until time.Duration
}

// make logs the user in and makes the visits, to a page that sets a header and
// changes the session by write. The user must stay logged in.
func (v visits) make(t *testing.T, header, write string) {
	v.cfg.SweepEvery = -1 // else most of the time goes into sweeps
	a := newApp(t, v.cfg)
	a.basics()
	a.handle("/login", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
	a.handle("/page", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if field, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(field, value)
		}
		switch write {
		case "Set", "Save":
			s.Set("n", r.FormValue("n"))
			if write == "Save" {
				if err := s.Save(); err != nil {
					t.Error(err)
				}
			}
		case "Update":
			if _, err := session.Update(s, "n", func(n int) int { return n + 1 }); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprint(w, s.User())
	})
	b := a.direct(t)
	b.get("/login")
	for began, n := time.Now(), 0; time.Since(began)+v.every < v.until; n++ {
		time.Sleep(v.every)
		if got := b.get(fmt.Sprint("/page?n=", n)); got.body != "ada" {
			t.Errorf("%q, %s: after %v the user is %q, want ada", header, write, time.Since(began), got.body)
			return
		}
	}
}

// publicPages: what may not carry a token comes between
// pages that may. The expiry moves with both, and the cookie is never behind it
// for longer than until the next page.
func publicPages(t *testing.T) {
	for _, write := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := newApp(t, session.Config{Cookie: cookie.Options{Persistent: true}})
			a.basics()
			a.handle("/public", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
				w.Header().Set("Cache-Control", "public, max-age=3600")
				if write {
					s.Set("n", r.FormValue("n"))
				}
			})
			b := a.direct(t)
			b.get("/set?k=a&v=1")
			for n := range 5 {
				for range 45 { // public pages alone: the session's expiry moves, the cookie does not
					time.Sleep(time.Minute)
					if got := b.get(fmt.Sprint("/public?n=", time.Now().UnixNano())); got.setCookie != nil || got.header.Get("Cache-Control") != "public, max-age=3600" {
						t.Fatalf("a public page has %q, Cache-Control %q", got.setCookie, got.header["Cache-Control"])
					}
				}
				time.Sleep(time.Second)
				if got := b.get("/get?k=a"); got.body != "1" || !strings.Contains(got.session, "; Max-Age=3600;") {
					t.Fatalf("round %d: the page after them is %q with cookie %q, want 1 and one for an hour", n, got.body, attributesOf(got.session))
				}
				b.get("/get?k=a").wantNoCookie(t)
			}
		})
	}
}

// startedPages: a page without the middleware, whose
// Release comes after its first byte, is activity like any other: the browser
// gets the cookie again in time.
func startedPages(t *testing.T) {
	for name, o := range map[string]struct {
		options cookie.Options
		persist bool
		every   time.Duration
	}{
		"persistent":     {options: cookie.Options{Persistent: true}, every: 5 * time.Minute},
		"remember me":    {persist: true, every: 5 * time.Minute},
		"a short cookie": {options: cookie.Options{MaxAge: 30 * time.Second}, every: 10 * time.Second},
	} {
		for _, write := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				a := newApp(t, session.Config{Cookie: o.options})
				a.around = func(http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						s := started(t, a.Manager, w, r)
						defer s.Release()
						if r.URL.Path == "/login" {
							s.SetUser("ada")
							s.SetPersistent(o.persist || o.options.Persistent || o.options.MaxAge > 0)
							return
						}
						fmt.Fprint(w, s.User())
						if write {
							s.Set("n", time.Now().UnixNano())
						}
					})
				}
				b := a.direct(t)
				b.get("/login")
				for began := time.Now(); time.Since(began) < 40*o.every; {
					time.Sleep(o.every)
					if got := b.get("/page"); got.body != "ada" {
						t.Errorf("%s, Set %v: after %v the user is %q, want ada", name, write, time.Since(began), got.body)
						return
					}
				}
			})
		}
	}
}

// maxAgeDecidesNothing: a client that keeps a cookie beyond its
// Max-Age is served as long as the server says, and one whose cookie has
// longer to live not a moment longer.
func maxAgeDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, maxAge := range []time.Duration{time.Second, cookie.MaxAge} {
			m := newManager(t, session.Config{SweepEvery: -1, Cookie: cookie.Options{MaxAge: maxAge}})
			res, token := visit(m, "", setOne)
			if got := res.Cookies()[0].MaxAge; got != int(maxAge/time.Second) {
				t.Errorf("Max-Age is %d, want %v", got, maxAge)
			}
			for _, tt := range []struct {
				after time.Duration
				known bool
			}{{59 * time.Minute, true}, {61 * time.Minute, false}} {
				time.Sleep(tt.after)
				visit(m, token, func(s *session.Session) {
					if s.IsNew() == tt.known {
						t.Errorf("Max-Age %v, %v after the last request: known %v, want %v", maxAge, tt.after, !s.IsNew(), tt.known)
					}
				})
			}
			m.Close()
		}
	})
	if cookie.MaxAge > 400*24*time.Hour {
		t.Errorf("cookie.MaxAge is %v, want at most 400 days", cookie.MaxAge)
	}
}
