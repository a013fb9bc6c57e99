package sessiontest_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

func TestJarKeepsSecureCookiesOfLoopbackHosts(t *testing.T) {
	for address, want := range map[string]int{
		"http://localhost:8080/": 1, "http://shop.localhost/": 1, "http://127.0.0.1:1/": 1, "http://127.9.9.9/": 1, "http://[::1]:1/": 1,
		"https://shop.example/": 1, "http://shop.example/": 0, "http://192.0.2.1/": 0, "http://localhost.example/": 0,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		jar := sessiontest.NewJar()
		jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1", Path: "/", Secure: true}})
		if got := len(jar.Cookies(u)); got != want {
			t.Errorf("%s: %d cookies, want %d", address, got, want)
		}
		jar.SetCookies(u, []*http.Cookie{{Name: "a", Path: "/", Secure: true, MaxAge: -1}, {Name: "b", Value: "1"}})
		if got := jar.Cookies(u); len(got) != 1 || got[0].Name != "b" {
			t.Errorf("%s: after the removal of one and a plain other: %v", address, got)
		}
	}
}

// TestJarOnServer counts visits over a real connection.
func TestJarOnServer(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	server := httptest.NewServer(c.Manager().Middleware(http.HandlerFunc(addToCart)))
	defer server.Close()
	client := server.Client()
	client.Jar = sessiontest.NewJar()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for want := range 2 {
		res, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := len(res.Cookies()); got != 1-want {
			t.Errorf("visit %d: %d cookies, want the session's only at the first", want, got)
		}
	}
}
