package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chisession/session/cookie"
	"github.com/chisession/session/devicebound"
	"github.com/chisession/session/sessiontest"
)

// TestDeviceBound: one process binds a session, the other gives a challenge, and the
// first takes it, on every backend. What happens to the session otherwise leaves it
// bound, but for its end.
func TestDeviceBound(t *testing.T) {
	forEach(t, slices.Concat(stores, moreStores), func(t *testing.T, a, b *child) {
		u := newBoundUser(t, a, b)
		u.asks("/login?value=ada", "ada")
		if u.device.Sessions() != 1 || u.cookie(proofName) == "" {
			t.Fatal("the login is not bound")
		}
		for _, act := range []string{"/get", "/clear", "/renew", "/set?key=b&value=2", "/login?value=bob"} {
			u.asks(act, "")
			u.dropProof()
			u.asks("/get", "")
		}
		if u.device.Sessions() != 1 {
			t.Errorf("the device has %d keys, want the one from the login", u.device.Sessions())
		}
		id := u.asks("/get", "bob").ID
		for _, c := range []*child{a, b} {
			if got := u.refresh(c, id); got != http.StatusForbidden {
				t.Errorf("a refresh without a signature: status %d, want 403", got)
			}
		}
		a.ok("", "/revoke?id="+id)
		if got := u.refresh(b, id); got != http.StatusNotFound {
			t.Errorf("a refresh of what the other process has ended: status %d, want 404", got)
		}
	}, "-device-bound")
}

const proofName = cookie.DefaultName + "_device"

// A boundUser has a browser with a device, whose requests go to the two processes
// by turns.
type boundUser struct {
	t      *testing.T
	jar    http.CookieJar
	device *sessiontest.Device
	client *http.Client
	home   *url.URL
}

func newBoundUser(t *testing.T, a, b *child) *boundUser {
	t.Helper()
	home, err := url.Parse(a.base)
	if err != nil {
		t.Fatal(err)
	}
	jar := sessiontest.NewJar()
	device := sessiontest.NewDevice(jar, &byTurns{children: []*child{a, b}})
	return &boundUser{t, jar, device, &http.Client{Jar: jar, Transport: device}, home}
}

// byTurns sends each request to another process.
type byTurns struct {
	children []*child
	next     atomic.Int32
}

// RoundTrip implements [http.RoundTripper].
func (t *byTurns) RoundTrip(r *http.Request) (*http.Response, error) {
	c := t.children[int(t.next.Add(1))%len(t.children)]
	r = r.Clone(r.Context())
	r.URL.Host = strings.TrimPrefix(c.base, "http://")
	return c.http.Transport.RoundTrip(r)
}

// asks sends a GET, and expects this user, or any, in the state that is the
// response.
func (u *boundUser) asks(path, user string) (got state) {
	u.t.Helper()
	res, err := u.client.Get(u.home.String() + path)
	if err != nil {
		u.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		u.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || got.User == "" || user != "" && got.User != user {
		u.t.Errorf("GET %s: status %d, user %q, want %q", path, res.StatusCode, got.User, user)
	}
	return got
}

// cookie returns the value of a cookie, empty if there is none.
func (u *boundUser) cookie(name string) string {
	for _, c := range u.jar.Cookies(u.home) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// dropProof is as if the proof were over.
func (u *boundUser) dropProof() {
	u.jar.SetCookies(u.home, []*http.Cookie{{Name: proofName, Path: "/", MaxAge: -1}})
}

// refresh asks a process for a new proof, with the session's cookie alone, and
// returns the status.
func (u *boundUser) refresh(c *child, id string) int {
	u.t.Helper()
	r, err := http.NewRequest("POST", c.base+devicebound.DefaultPath+"/refresh", nil)
	if err != nil {
		u.t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: cookie.DefaultName, Value: u.cookie(cookie.DefaultName)})
	r.Header.Set("Sec-Secure-Session-Id", id)
	res, err := c.http.Do(r)
	if err != nil {
		u.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}
