package migrate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/migrate"
)

// secure is a process whose cookie is Secure.
func secure(t *testing.T, old *oldStore, opts cookie.Options, h http.HandlerFunc) *app {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return newProcessWith(t, session.Config{Store: &newStore{Store: store}, Cookie: opts}, old, migrate.Options{Adopted: login}, h)
}

// ask sends a request with the old cookie and the headers, which are names and
// values.
func (a *app) ask(method, url string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, url, nil)
	r.Header.Set("Cookie", oldCookie)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w.Result()
}

// A session is adopted by the first request whose response the browser takes
// and whose cookie it keeps; others leave the old record alone.
func TestAdoptedWhereTheCookieArrives(t *testing.T) {
	const https, plain = "https://shop.example/", "http://intranet/"
	none := cookie.Options{SameSite: http.SameSiteNoneMode}
	for name, tt := range map[string]struct {
		opts    cookie.Options
		method  string
		url     string
		headers []string
		adopted bool
	}{
		"HTTPS":                         {url: https, adopted: true},
		"a form over HTTPS":             {method: "POST", url: https, adopted: true},
		"plain HTTP":                    {url: plain},
		"plain HTTP by a proxy's word":  {url: plain, headers: []string{"X-Forwarded-Proto", "http"}},
		"HTTPS by a proxy's word":       {url: plain, headers: []string{"X-Forwarded-Proto", "https"}, adopted: true},
		"insecure over plain HTTP":      {opts: cookie.Options{Insecure: true}, url: plain, adopted: true},
		"HEAD":                          {method: "HEAD", url: https},
		"prefetch":                      {url: https, headers: []string{"Sec-Purpose", "prefetch"}},
		"anonymous prefetch":            {url: https, headers: []string{"Sec-Purpose", "prefetch;anonymous-client-ip"}},
		"prerender":                     {url: https, headers: []string{"Sec-Purpose", "prefetch;prerender"}},
		"an old prefetch":               {url: https, headers: []string{"Purpose", "prefetch"}},
		"a preview":                     {url: https, headers: []string{"Purpose", "preview"}},
		"Firefox's prefetch":            {url: https, headers: []string{"X-Moz", "prefetch"}},
		"same site":                     {url: https, headers: []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, adopted: true},
		"another site's image":          {url: https, headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		"another site's script":         {url: https, headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}},
		"another site's frame":          {url: https, headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		"another site's link":           {url: https, headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, adopted: true},
		"another site's form":           {method: "POST", url: https, headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, adopted: true},
		"SameSite=None in a frame":      {opts: none, url: https, headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, adopted: true},
		"SameSite=None over plain HTTP": {opts: none, url: plain},
	} {
		t.Run(name, func(t *testing.T) {
			old := holding(ann)
			a := secure(t, old, tt.opts, show)
			r := a.ask(method(tt.method), tt.url, tt.headers...)
			if got := len(r.Cookies()) > 0; got != tt.adopted || old.has(oldID) == tt.adopted {
				t.Errorf("adopted: the response sets %v, the old record is there: %v; want it adopted: %v", r.Cookies(), old.has(oldID), tt.adopted)
			}
			if strings.Contains(name, "pre") && r.StatusCode != 503 {
				t.Errorf("status %d: the browser shows this page later, without a session", r.StatusCode)
			}
			if tt.adopted {
				return
			}
			if n, err := a.m.Count(context.Background()); n != 0 || err != nil {
				t.Errorf("%d records were left in the new store, %v", n, err)
			}
			if text := a.log.String(); r.StatusCode != 503 && !strings.Contains(text, migrate.ErrUndeliverable.Error()) {
				t.Errorf("the log does not say why:\n%s", text)
			}
			expect(t, a.ask("GET", https), 200, "ann Ann", 1)
		})
	}
}

func method(m string) string {
	if m == "" {
		return "GET"
	}
	return m
}

// A page that another page's prefetch would show without a session is not
// refused to those who have none.
func TestPrefetchWithoutAnOldSession(t *testing.T) {
	old := &oldStore{records: map[string][]byte{}}
	a := secure(t, old, cookie.Options{}, show)
	expect(t, a.ask("GET", "https://shop.example/", "Sec-Purpose", "prefetch"), 200, " <nil>", 0)
}

// Until a response has gone out to a client that was there, the old cookie
// opens the new session: a response that http.TimeoutHandler gave up on, that
// was never sent because of a panic, or whose client hung up costs nobody his
// session.
func TestOldCookieOpensUntilAResponseLeft(t *testing.T) {
	panicky := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { _ = recover() }()
			next.ServeHTTP(w, r)
		})
	}
	gaveUp := func(next http.Handler) http.Handler {
		return http.TimeoutHandler(next, 50*time.Millisecond, "too slow")
	}
	hungUp := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	slow := func(http.ResponseWriter) { time.Sleep(200 * time.Millisecond) }
	for name, tt := range map[string]struct {
		outside func(http.Handler) http.Handler
		inside  func(http.ResponseWriter)
	}{
		"timed out":                     {gaveUp, slow},
		"timed out behind its header":   {gaveUp, func(w http.ResponseWriter) { w.WriteHeader(200); slow(w) }},
		"timed out behind its body":     {gaveUp, func(w http.ResponseWriter) { fmt.Fprint(w, "half"); slow(w) }},
		"panicked":                      {panicky, func(http.ResponseWriter) { panic("no") }},
		"aborted":                       {panicky, func(http.ResponseWriter) { panic(http.ErrAbortHandler) }},
		"hung up":                       {hungUp, slow},
		"hung up behind half its bytes": {hungUp, func(w http.ResponseWriter) { fmt.Fprint(w, "half"); slow(w) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := holding(ann)
				a := secure(t, old, cookie.Options{}, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/lost" {
						tt.inside(w)
					}
					show(w, r)
				})
				first := a.handler
				a.handler = tt.outside(first)
				a.ask("GET", "https://shop.example/lost")
				a.handler = first

				time.Sleep(40 * time.Minute)
				token := expect(t, a.ask("GET", "https://shop.example/"), 200, "ann Ann", 1)
				expect(t, a.get("/", token), 200, "ann Ann", 0)
				time.Sleep(10 * time.Second) // now the browser must have it
				expect(t, a.ask("GET", "https://shop.example/"), 200, " <nil>", 0)
				expect(t, a.get("/", token), 200, "ann Ann", 0)
			})
		})
	}
}

// What has been flushed has left, even if the client goes before it ends.
func TestStreamOfTheAdoptingRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := holding(ann)
		ctx, cancel := context.WithCancel(context.Background())
		a := secure(t, old, cookie.Options{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stream" {
				w.(http.Flusher).Flush()
				cancel()
			}
			show(w, r)
		})
		r := httptest.NewRequestWithContext(ctx, "GET", "https://shop.example/stream", nil)
		r.Header.Set("Cookie", oldCookie)
		a.handler.ServeHTTP(httptest.NewRecorder(), r)
		time.Sleep(10 * time.Second)
		expect(t, a.get("/", oldCookie), 200, " <nil>", 0)
	})
}

// A logout in the new session ends what a left-over old cookie would open.
func TestLogoutEndsTheOldSession(t *testing.T) {
	old := holding(ann)
	a := newApp(t, old, migrate.Options{Adopted: func(*http.Request, *session.Session, map[string]any) error {
		return fmt.Errorf("not today")
	}})
	token := expect(t, a.get("/set", oldCookie), 200, " <nil>", 1)
	expect(t, a.get("/", token, oldCookie), 200, " <nil>", 0)
	if !old.has(oldID) {
		t.Fatal("the old record is gone before the logout")
	}
	r := a.get("/logout", token, oldCookie)
	removed := 0
	for _, c := range r.Cookies() {
		if c.MaxAge < 0 {
			removed++
		}
	}
	if old.has(oldID) || removed != 2 {
		t.Errorf("after the logout the old record is there: %v, and the response removes %d cookies: %q", old.has(oldID), removed, r.Header["Set-Cookie"])
	}
}
