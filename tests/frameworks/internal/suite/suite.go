// Package suite holds the questions that each framework's wiring has to
// answer: the same requests, through a real server and a cookie jar, whatever
// routes them.
package suite

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/sessiontest"
)

// An App is an application in a framework's own style, behind m in the way
// that its module recommends. Its routes are:
//
//	GET  /set/{value}  Set("value", …); answers "noted"
//	GET  /get          answers the value, or "nothing"
//	POST /login        SetUser("ada"), a flash message "Welcome.", 303 to /home
//	GET  /home         answers the user, a colon, and the flash messages, if any
//	POST /logout       Destroy, 303 to /get
//	GET  /json         Set("value", "json"); 201, ETag, and Body as JSON
//	GET  /empty        Set("value", "empty"); 204
//	GET  /refuse       Set("value", "refuse"); 403 in the way of the framework
//	GET  /panic        Set("value", "panic"), then panics; recovered: 500
//	GET  /stream       Set("value", "stream"), "first", flush; waits for step;
//	                   Set("value", "late"), "second"
type App func(m *session.Manager, step <-chan struct{}) http.Handler

// Body is what /json answers: more than any buffer on the way holds, so that
// some of it would leave early.
var Body = map[string]string{"secret": strings.Repeat("the handler's own words ", 4096)}

// Run asks all questions.
func Run(t *testing.T, app App) {
	for name, question := range map[string]func(*testing.T, *browser){
		"values":       values,
		"login":        login,
		"flash":        flashOnce,
		"answers":      answers,
		"stream":       stream,
		"panic":        panics,
		"unknown":      unknown,
		"store fails":  storeFails,
		"load fails":   loadFails,
		"logout fails": logoutFails,
	} {
		t.Run(name, func(t *testing.T) { question(t, open(t, app)) })
	}
}

// A browser talks to an App on a server of its own.
type browser struct {
	t      *testing.T
	url    string
	client *http.Client
	fault  *backendtest.Fault
	step   chan struct{}
}

func open(t *testing.T, app App) *browser {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	b := &browser{t: t, fault: backendtest.NewFault(store), step: make(chan struct{}, 1)}
	m, err := session.New(session.Config{Store: b.fault.Store(), SweepEvery: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	server := httptest.NewServer(app(m, b.step))
	t.Cleanup(server.Close)
	b.url, b.client = server.URL, server.Client()
	b.client.Jar = sessiontest.NewJar()
	b.client.Timeout = 30 * time.Second
	return b
}

// do sends a request, following redirects, and returns the response and its body.
func (b *browser) do(method, path string) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatalf("%s %s: the body: %v", method, path, err)
	}
	return res, string(body)
}

// expect does it and compares.
func (b *browser) expect(method, path string, status int, body string) *http.Response {
	b.t.Helper()
	res, got := b.do(method, path)
	if res.StatusCode != status || strings.TrimSpace(got) != body {
		b.t.Errorf("%s %s: status %d and %.80q, want %d and %.80q", method, path, res.StatusCode, got, status, body)
	}
	return res
}

// token returns the token in the jar.
func (b *browser) token() string {
	b.t.Helper()
	r, err := http.NewRequest("GET", b.url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	cookies := b.client.Jar.Cookies(r.URL)
	switch kind := len(cookies); {
	case kind == 0:
		return ""
	case kind == 1:
		return cookies[0].Value
	}
	b.t.Fatalf("%d cookies in the jar, want one at most: %v", len(cookies), cookies)
	return ""
}

var errDown = errors.New("the store is down")
