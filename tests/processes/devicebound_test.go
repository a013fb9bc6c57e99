package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/devicebound"
	"github.com/chisession/session/internal/testserver"
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

// TestDeviceBoundAtTheServer counts what Redis is asked for: an ordinary request of a
// bound session costs what any other does, a new proof two reads and no write.
func TestDeviceBoundAtTheServer(t *testing.T) {
	server, err := testserver.StartRedis(testserver.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	m, err := session.New(session.Config{Provider: "redis", SavePath: server.URL(), SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if _, err := devicebound.New(m, devicebound.Options{}); err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		switch r.URL.Path {
		case "/login":
			s.SetUser("ada")
		case "/set":
			s.Set("at", time.Now())
		case "/logout":
			s.Destroy()
		}
		fmt.Fprint(w, s.User())
	})))
	t.Cleanup(app.Close)
	home, err := url.Parse(app.URL)
	if err != nil {
		t.Fatal(err)
	}
	jar := sessiontest.NewJar()
	device := sessiontest.NewDevice(jar, app.Client().Transport)
	bound := &boundUser{t, jar, device, &http.Client{Jar: jar, Transport: device}, home}
	plain := &http.Client{Jar: sessiontest.NewJar(), Transport: app.Client().Transport}

	get := func(c *http.Client, path string) {
		t.Helper()
		res, err := c.Get(app.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("GET %s: status %d", path, res.StatusCode)
		}
	}
	costs := func(c *http.Client, path string) testserver.RedisCount {
		t.Helper()
		n, err := server.Count(func() error { get(c, path); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, path := range []string{"/login", "/set", "/login", "/logout"} { // the scripts are known from then on
		get(plain, path)
	}
	login, binding := costs(plain, "/login"), costs(bound.client, "/login")
	if device.Sessions() != 1 {
		t.Fatal("the login is not bound")
	}
	if binding.Trips != login.Trips+2 {
		t.Errorf("a login takes %d round trips, one that is bound %d, want 2 more", login.Trips, binding.Trips)
	}
	for _, path := range []string{"/", "/set", "/login"} {
		if a, b := costs(plain, path), costs(bound.client, path); !reflect.DeepEqual(a, b) {
			t.Errorf("GET %s: %+v of a session that is not bound, %+v of a bound one", path, a, b)
		}
	}
	page := costs(plain, "/")
	bound.dropProof()
	renewed := costs(bound.client, "/")
	if bound.cookie(proofName) == "" {
		t.Fatal("there is no new proof")
	}
	if want := page.Commands["get"] + 2; renewed.Trips != page.Trips+2 || len(renewed.Commands) != 1 || renewed.Commands["get"] != want {
		t.Errorf("a page: %+v, with a new proof: %+v, want two reads more", page, renewed)
	}
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
