package behaviour

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session/sessiontest"
)

// exchange has the app answer a request to path, made by httptest.NewRequest
// and prepared, without a network.
func (a *app) exchange(t testing.TB, url string, prepare func(*http.Request)) response {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", url, nil)
	if prepare != nil {
		prepare(r)
	}
	a.handler().ServeHTTP(w, r)
	got := response{status: w.Code, body: w.Body.String(), header: w.Header(), setCookie: w.Header()["Set-Cookie"]}
	for _, line := range got.setCookie {
		if value, ok := strings.CutPrefix(line, a.name+"="); ok {
			got.session = line
			value, _, _ = strings.Cut(value, ";")
			a.saw(value)
		}
	}
	return got
}

// want200 fails the test unless the response has status 200.
func (a response) want200(t testing.TB) response {
	t.Helper()
	if a.status != http.StatusOK {
		t.Errorf("response is %d %q, want status 200", a.status, a.body)
	}
	return a
}

// wantNoCookie fails the test if the response has a cookie of the session.
func (a response) wantNoCookie(t testing.TB) response {
	t.Helper()
	if a.session != "" {
		kind := "a token"
		if strings.Contains(a.session, "Max-Age=0") {
			kind = "the removal"
		}
		t.Errorf("response %d %q sets the session's cookie to %s, want none", a.status, a.body, kind)
	}
	return a
}

// wantRemoval fails the test unless the response removes the session's cookie.
func (a response) wantRemoval(t testing.TB) response {
	t.Helper()
	if !strings.Contains(a.session, "Max-Age=0") {
		t.Errorf("response %d %q: the session's cookie is %q, want its removal", a.status, a.body, a.session)
	}
	return a
}

// A browser is a client with a cookie jar of its own. It does not follow
// redirects.
type browser struct {
	t      testing.TB
	app    *app
	base   *url.URL
	client *http.Client
}

// browser returns a new browser, which talks to the app over the network. Those of
// one app take turns at its connections: new ones for each took a tenth of the time.
func (a *app) browser(t testing.TB) *browser {
	t.Helper()
	return a.newBrowser(t, a.url(), a.network)
}

// direct returns a new browser that calls the handler in its own goroutine,
// without a network: for synctest bubbles. The site is https://app.test.
func (a *app) direct(t testing.TB) *browser {
	t.Helper()
	return a.newBrowser(t, "https://app.test", recorded{a.handler()})
}

func (a *app) newBrowser(t testing.TB, base string, transport http.RoundTripper) *browser {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, a, u, &http.Client{Jar: sessiontest.NewJar(), Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// recorded is a RoundTripper made of a handler.
type recorded struct{ http.Handler }

func (h recorded) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if r.URL.Scheme == "https" {
		in.TLS = &tls.ConnectionState{}
	}
	in.Host, in.RequestURI, in.RemoteAddr = r.URL.Host, r.URL.RequestURI(), "192.0.2.1:1234"
	h.ServeHTTP(w, in)
	return w.Result(), nil
}

// A response is what a browser got.
type response struct {
	status    int
	body      string
	header    http.Header
	setCookie []string // all Set-Cookie lines
	session   string   // the one of them that is the session's; empty if there is none
}

// get asks for path.
func (b *browser) get(path string) response {
	b.t.Helper()
	return b.do(b.request("GET", path))
}

// getPatiently asks for path again while the response is that the store took too
// long: a short StoreTimeout is little on a busy machine.
func (b *browser) getPatiently(path string) response {
	b.t.Helper()
	got := b.get(path)
	for end := time.Now().Add(patience); got.status == http.StatusServiceUnavailable && time.Now().Before(end); {
		got = b.get(path)
	}
	return got
}

func (b *browser) request(method, path string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequest(method, b.base.String()+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// do sends r. A request that gets no answer is an error of the test, and
// status 0; try is for where that may happen.
func (b *browser) do(r *http.Request) response {
	b.t.Helper()
	a, err := b.try(r)
	if err != nil {
		b.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	return a
}

func (b *browser) try(r *http.Request) (response, error) {
	b.t.Helper()
	for _, c := range append(r.Cookies(), b.client.Jar.Cookies(r.URL)...) {
		b.app.saw(c.Value)
	}
	resp, err := b.client.Do(r)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := response{status: resp.StatusCode, body: string(body), header: resp.Header, setCookie: resp.Header["Set-Cookie"]}
	for _, line := range a.setCookie {
		value, ok := strings.CutPrefix(line, b.app.name+"=")
		if !ok {
			continue
		}
		if a.session != "" {
			b.t.Errorf("%s %s: two cookies of the session in one response: %q", r.Method, r.URL, a.setCookie)
		}
		a.session = line
		value, _, _ = strings.Cut(value, ";")
		b.app.saw(value)
	}
	return a, err
}

// token returns the browser's token, "" if it has none.
func (b *browser) token() string {
	for _, c := range b.client.Jar.Cookies(b.base) {
		if c.Name == b.app.name {
			return c.Value
		}
	}
	return ""
}

// setToken puts a token into the browser's jar; "" takes it out.
func (b *browser) setToken(token string) {
	c := &http.Cookie{Name: b.app.name, Value: token, Path: "/"}
	if token == "" {
		c.MaxAge = -1
	}
	b.client.Jar.SetCookies(b.base, []*http.Cookie{c})
}

// want fails the test unless the response has this status and body.
func (a response) want(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("response is %d %q, want %d %q", a.status, a.body, status, body)
	}
}
