package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

func TestRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sessiontest.New(t, session.Config{})
		h := routes(c.Manager())
		res := c.Serve(h, c.Form("/login", url.Values{"name": {"ada"}, "remember": {"on"}}))
		if cookie := cookieOf(t, res.ResponseRecorder); cookie.MaxAge != int(30*day/time.Second) {
			t.Errorf("the browser keeps the cookie for %d s, want 30 days", cookie.MaxAge)
		}
		for visit := range 8 { // 25 days apart; the eighth is after 200 days, beyond half a year
			time.Sleep(25 * day)
			res = c.Serve(h, res.Next("GET", "/"))
			if got, want := res.Session().User() == "ada", visit < 7; got != want {
				t.Errorf("logged in after %d days: %v, want %v", 25*(visit+1), got, want)
			}
		}
	})
}

func TestWithoutRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sessiontest.New(t, session.Config{})
		h := routes(c.Manager())
		res := c.Serve(h, c.Form("/login", url.Values{"name": {"ada"}}))
		if cookie := cookieOf(t, res.ResponseRecorder); cookie.MaxAge != 0 {
			t.Errorf("the browser keeps the cookie for %d s, want until it is closed", cookie.MaxAge)
		}
		time.Sleep(61 * time.Minute)
		if res = c.Serve(h, res.Next("GET", "/")); res.Session().User() != "" {
			t.Error("logged in after an hour without a visit")
		}
	})
}

func cookieOf(t *testing.T, w *httptest.ResponseRecorder) *http.Cookie {
	t.Helper()
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies in the response, want one", len(cookies))
	}
	return cookies[0]
}
