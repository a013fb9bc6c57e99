package sessiontest_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/devicebound"
	"github.com/chisession/session/sessiontest"
)

// newBoundSite serves a program with bound sessions over TLS; /login logs ada in.
func newBoundSite(t *testing.T) *httptest.Server {
	t.Helper()
	m, err := session.New(session.Config{SweepEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	if _, err := devicebound.New(m, devicebound.Options{}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			session.FromContext(r).SetUser("ada")
		}
		if _, err := r.Cookie("theme"); err == nil {
			w.Header().Set("X-Theme", "yes")
		}
	})))
	t.Cleanup(server.Close)
	return server
}

// TestDeviceElsewhere: a device has nothing to do with the requests to other hosts,
// such as an identity provider of the same test.
func TestDeviceElsewhere(t *testing.T) {
	site := newBoundSite(t)
	var requests []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.Method+" "+r.URL.Path)
		http.NotFound(w, r)
	}))
	defer other.Close()
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1) // with cookies of its own
	jar := sessiontest.NewJar()
	device := sessiontest.NewDevice(jar, site.Client().Transport)
	browser := &http.Client{Jar: jar, Transport: device}
	for _, url := range []string{site.URL + "/login", elsewhere + "/authorize", site.URL + "/"} {
		res, err := browser.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if device.Sessions() != 1 || !slices.Equal(requests, []string{"GET /authorize"}) {
		t.Errorf("the device has %d keys, want 1; the other host got %q, want what was asked for", device.Sessions(), requests)
	}
}

// TestDeviceKeepsCookies: a request may bring cookies that are not in the jar.
func TestDeviceKeepsCookies(t *testing.T) {
	site := newBoundSite(t)
	jar := sessiontest.NewJar()
	browser := &http.Client{Jar: jar, Transport: sessiontest.NewDevice(jar, site.Client().Transport)}
	for _, proof := range []string{"there is none yet", "there", "gone"} {
		r, err := http.NewRequest(http.MethodGet, site.URL+"/login", nil)
		if err != nil {
			t.Fatal(err)
		}
		if proof == "gone" {
			jar.SetCookies(r.URL, []*http.Cookie{{Name: "beegosessionID_device", Path: "/", MaxAge: -1}})
		}
		r.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
		res, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.Header.Get("X-Theme") != "yes" {
			t.Errorf("where the proof is %s, the request's own cookie is lost", proof)
		}
	}
}
