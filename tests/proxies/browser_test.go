package proxies

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

const (
	host     = "shop.example" // in the address bar
	name     = "beegosessionID"
	patience = 30 * time.Second
)

// A browser is a client with a cookie jar that knows host by its certificate
// and finds it behind a proxy. It fails the test when a cookie that it gets is
// not Secure.
type browser struct {
	t      *testing.T
	scheme string
	modern bool // it sends Sec-Fetch-Site, as browsers since 2023 do to URLs that nobody can listen to
	client *http.Client
	set    []*http.Cookie // the session's Set-Cookie lines of the last response
	header http.Header    // of the last response
}

func newBrowser(t *testing.T, scheme, proxy string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, proxy)
		},
		TLSClientConfig:   &tls.Config{RootCAs: certificate.Pool},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: t, scheme: scheme, client: &http.Client{
		Transport: transport, Jar: jar, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// another returns a browser with an empty jar at the same place.
func (b *browser) another() *browser {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	client := *b.client
	client.Jar = jar
	return &browser{t: b.t, scheme: b.scheme, modern: b.modern, client: &client}
}

// do sends a request, with that Cookie header if it is not empty, and returns
// the body.
func (b *browser) do(method, path, cookie string) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.scheme+"://"+host+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	if b.modern {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	if response.StatusCode >= 400 {
		b.t.Errorf("%s %s: %s %s", method, path, response.Status, body)
	}
	b.set, b.header = nil, response.Header
	for _, c := range response.Cookies() {
		if c.Name != name {
			continue
		}
		b.set = append(b.set, c)
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			b.t.Errorf("%s %s: the cookie's attributes are %q, want Path=/, HttpOnly, Secure, SameSite=Lax", method, path, strings.Replace(c.Raw, c.Value, "…", 1))
		}
	}
	if len(b.set) > 1 {
		b.t.Errorf("%s %s sets the cookie %d times", method, path, len(b.set))
	}
	return strings.TrimSpace(string(body))
}

func (b *browser) get(path string) string  { b.t.Helper(); return b.do("GET", path, "") }
func (b *browser) post(path string) string { b.t.Helper(); return b.do("POST", path, "") }

// with asks for a page with this token alone, as somebody who found it.
func (b *browser) with(token, path string) string {
	b.t.Helper()
	return b.another().do("GET", path, name+"="+token)
}

// token returns what the jar would send, or "".
func (b *browser) token() string {
	r, err := http.NewRequest("GET", b.scheme+"://"+host+"/", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(r.URL) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// shows fails the test if a page is another than what is wanted.
func (b *browser) shows(path, want string) {
	b.t.Helper()
	if got := b.get(path); got != want {
		b.t.Errorf("GET %s = %q, want %q", path, got, want)
	}
}
