// Package visit makes requests for tests, without a network: a handler serves
// them on the goroutine of the caller. Package sessiontest is for applications,
// and package behaviour has browsers with a jar.
package visit

import (
	"net/http"
	"net/http/httptest"

	"github.com/chisession/session"
)

// Get has h serve a GET of target, a path or a URL, by a client with these
// cookies. A path is one of http://example.com.
func Get(h http.Handler, target string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Session has m's middleware serve a request over HTTPS by a client with these
// cookies, and hands handle the request's session.
func Session(m *session.Manager, handle func(*session.Session), cookies ...*http.Cookie) *http.Response {
	h := func(_ http.ResponseWriter, r *http.Request) { handle(session.FromContext(r)) }
	return Get(m.Middleware(http.HandlerFunc(h)), "https://example.com/", cookies...).Result()
}

// Jar returns the cookies that a browser has after res which had some before:
// those that res removes are gone, and others of the same name replaced.
func Jar(before []*http.Cookie, res *http.Response) (after []*http.Cookie) {
	jar := map[string]*http.Cookie{}
	for _, c := range append(before[:len(before):len(before)], res.Cookies()...) {
		if jar[c.Name] = c; c.MaxAge < 0 {
			delete(jar, c.Name)
		}
	}
	for _, c := range jar {
		after = append(after, c)
	}
	return after
}
