// Package browser is what the tests of the recipes visit them with: a real
// server, and a client that keeps cookies as browsers do.
package browser

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

// A Browser visits one server. Header is sent with every request.
type Browser struct {
	Client *http.Client
	Header http.Header
	URL    string // of the server, without a slash at the end

	t testing.TB
}

// Open serves h until the test ends, and returns a browser for it. Names of hosts
// are not looked up: all lead to the server.
func Open(t testing.TB, h http.Handler) *Browser {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Jar: sessiontest.NewJar()}
	return &Browser{Client: client, Header: http.Header{}, URL: server.URL, t: t}
}

// Manager returns a manager of sessions in memory that is closed when the test ends.
func Manager(t testing.TB, cfg session.Config) *session.Manager {
	t.Helper()
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// Another returns a browser with no cookies for the same server.
func (b *Browser) Another() *Browser {
	client := *b.Client
	client.Jar = sessiontest.NewJar()
	return &Browser{Client: &client, Header: http.Header{}, URL: b.URL, t: b.t}
}

// Get follows redirects and returns status and body of the last response.
func (b *Browser) Get(target string) (int, string) {
	b.t.Helper()
	return b.do(http.MethodGet, target, "", "")
}

// Post sends a form as Get gets a page.
func (b *Browser) Post(target string, form url.Values) (int, string) {
	b.t.Helper()
	return b.do(http.MethodPost, target, "application/x-www-form-urlencoded", form.Encode())
}

// PostJSON sends text as JSON.
func (b *Browser) PostJSON(target, text string) (int, string) {
	b.t.Helper()
	return b.do(http.MethodPost, target, "application/json", text)
}

// Want fails the test unless status and body are those; body is a part of it.
func (b *Browser) Want(what string, status int, body string) func(int, string) {
	return func(gotStatus int, gotBody string) {
		b.t.Helper()
		if gotStatus != status || !strings.Contains(gotBody, body) {
			b.t.Errorf("%s: %d %q, want %d with %q", what, gotStatus, gotBody, status, body)
		}
	}
}

// do sends a request; target is a path, or a whole URL.
func (b *Browser) do(method, target, contentType, body string) (int, string) {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.URL + target
	}
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header = b.Header.Clone()
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := b.Client.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	return res.StatusCode, string(text)
}
