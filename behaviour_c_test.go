package session_test

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

// TestBehaviourC is section C of BEHAVIOURS.md: the cookie. What no store can
// change is tested once.
func TestBehaviourC(t *testing.T) {
	t.Run("22_attributes", attributes) // ID-6, CK-1, CK-3, CK-5
	t.Run("22_secure", secure)         // CK-2, CK-18
	t.Run("22_warning", plainHTTPWarning)
	onEach(t, "23_only_when_needed", onlyWhenNeeded) // CK-7, CK-9
	onEach(t, "23_persistent_slides", persistentSlides)
	t.Run("23_persistent_outlives_writes", persistentOutlivesWrites)
	t.Run("24_removal", removal)                 // LO-4
	onEach(t, "25_other_cookies", otherCookies)  // CK-11
	onEach(t, "25_one_a_response", oneAResponse) // LO-4, CK-8
	t.Run("26_contradictions", contradictions)   // ID-6, CK-3, CK-4, CK-12, CK-18, OP-1
	onEach(t, "27_lifetime_by_handler", ownLifetime)
	onEach(t, "28_vary", vary)              // CK-10, HB-18
	t.Run("28_cache_control", cacheControl) // CK-10
}

// exchange has the app answer a request to path, made by httptest.NewRequest
// and prepared, without a network.
func (a *app) exchange(t testing.TB, url string, prepare func(*http.Request)) answer {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", url, nil)
	if prepare != nil {
		prepare(r)
	}
	a.handler().ServeHTTP(w, r)
	got := answer{status: w.Code, body: w.Body.String(), header: w.Header(), setCookie: w.Header()["Set-Cookie"]}
	for _, line := range got.setCookie {
		if value, ok := strings.CutPrefix(line, a.name+"="); ok {
			got.session = line
			value, _, _ = strings.Cut(value, ";")
			a.saw(value)
		}
	}
	return got
}

// attributesOf returns a Set-Cookie line less its value.
func attributesOf(line string) string {
	name, rest, _ := strings.Cut(line, "=")
	_, rest, _ = strings.Cut(rest, ";")
	return name + ";" + withoutExpires(rest)
}

// withoutExpires takes the date out of a Set-Cookie line. It must be there where
// Max-Age is; what it says is tested in package cookie.
func withoutExpires(line string) string {
	before, after, ok := strings.Cut(line, "; Expires=")
	if !ok {
		return strings.ReplaceAll(line, "Max-Age=", "Max-Age (without Expires)=")
	}
	_, after, _ = strings.Cut(after, ";")
	return before + ";" + after
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

// secure: the attribute depends on the options alone, whatever the request
// looks like, through the middleware and through Start.
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

func onlyWhenNeeded(t *testing.T, k kind) {
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
func persistentSlides(t *testing.T, k kind) {
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

// age makes the last activity of a token's session seem to be by ago.
func (a *app) age(t testing.TB, token string, by time.Duration) {
	t.Helper()
	rec := a.record(t, token)
	rec.Expires = rec.Expires.Add(-by)
	a.plant(t, rec)
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

func otherCookies(t *testing.T, k kind) {
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
		t.Errorf("the answer %d has the cookies %q, want outer, inner, before, after and the session's", got.status, names(got.setCookie))
	}
	got = b.get("/") // it has changed nothing
	if want := []string{"outer", "inner", "before", "after"}; !slices.Equal(names(got.setCookie), want) {
		t.Errorf("the answer has the cookies %q, want %q", names(got.setCookie), want)
	}
	a.calls.On(backendtest.OpCreate, 9, backendtest.Fail(errTest))
	got = a.browser(t).get("/fails")
	if want := []string{"outer", "inner", "before"}; got.status != 503 || !slices.Equal(names(got.setCookie), want) {
		t.Errorf("the error answer %d has the cookies %q, want 503 and %q", got.status, names(got.setCookie), want)
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

func oneAResponse(t *testing.T, k kind) {
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

func save(t *testing.T, s *session.Session) {
	t.Helper()
	if err := s.Save(); err != nil {
		t.Errorf("Save: %v", err)
	}
}

func contradictions(t *testing.T) {
	tests := []struct {
		options cookie.Options
		field   string
	}{
		{cookie.Options{SameSite: http.SameSiteNoneMode, Insecure: true}, "SameSite"},
		{cookie.Options{Partitioned: true, Insecure: true}, "Partitioned"},
		{cookie.Options{Name: "__Host-id", Domain: "example.com"}, "Domain"},
		{cookie.Options{Name: "__Host-id", Path: "/app"}, "Path"},
		{cookie.Options{Name: "__host-id", Path: "/app"}, "Path"},
		{cookie.Options{Name: "__Host-id", Insecure: true}, "Insecure"},
		{cookie.Options{Name: "__Secure-id", Insecure: true}, "Insecure"},
		{cookie.Options{Name: "my session"}, "Name"},
		{cookie.Options{Name: "a=b"}, "Name"},
		{cookie.Options{Name: "a;b"}, "Name"},
		{cookie.Options{Name: "a\r\nSet-Cookie: x=y"}, "Name"},
		{cookie.Options{Name: "é"}, "Name"},
		{cookie.Options{Name: "a\x00"}, "Name"},
		{cookie.Options{Name: strings.Repeat("n", 5000)}, "Name"},
		{cookie.Options{Path: "app"}, "Path"},
		{cookie.Options{Path: "/a; Domain=evil.example"}, "Path"},
		{cookie.Options{Path: "/a\r\nX: y"}, "Path"},
		{cookie.Options{Path: "/" + strings.Repeat("p", 1025)}, "Path"},
		{cookie.Options{Domain: "https://example.com"}, "Domain"},
		{cookie.Options{Domain: "example.com:8080"}, "Domain"},
		{cookie.Options{Domain: "example.com; Secure"}, "Domain"},
		{cookie.Options{Domain: "a b"}, "Domain"},
		{cookie.Options{Domain: "."}, "Domain"},
		{cookie.Options{Domain: "ex\r\nample.com"}, "Domain"},
		{cookie.Options{Domain: "-a.example"}, "Domain"},
		{cookie.Options{SameSite: 9}, "SameSite"},
		{cookie.Options{MaxAge: -1}, "MaxAge"},
		{cookie.Options{MaxAge: time.Millisecond}, "MaxAge"},
		{cookie.Options{MaxAge: 401 * 24 * time.Hour}, "MaxAge"},
	}
	for _, tt := range tests {
		m, err := session.New(session.Config{Cookie: tt.options})
		if err == nil {
			m.Close()
			t.Errorf("New with %+v: no error", tt.options)
			continue
		}
		if !strings.HasPrefix(err.Error(), "session: Config.Cookie: ") || !strings.Contains(err.Error(), "cookie.Options."+tt.field) {
			t.Errorf("New with %+v: %v; want an error that names cookie.Options.%s", tt.options, err, tt.field)
		}
		if text := panicOf(func() { session.Middleware(session.Config{Cookie: tt.options}) }); text != err.Error() {
			t.Errorf("Middleware with %+v panics with %q, want %q", tt.options, text, err)
		}
	}
}

// panicOf returns the text of what f panics with.
func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

func ownLifetime(t *testing.T, k kind) {
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

func vary(t *testing.T, k kind) {
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
		t.Errorf("used without a cookie: Vary is %q, want Cookie: with one, the answer would be another", got)
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
