package session_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// TestActiveUserStaysLoggedIn: the browser drops the cookie when its time is
// over, and the server the session. Whatever pages say about caches, neither
// may happen to somebody who comes by every few minutes.
func TestActiveUserStaysLoggedIn(t *testing.T) {
	for _, said := range []string{
		"", "Cache-Control: private, max-age=0", "Cache-Control: no-cache, max-age=0, must-revalidate", "Cache-Control: no-store",
		"Cache-Control: private, max-age=60", "Cache-Control: private", "Cache-Control: no-cache", "Cache-Control: must-revalidate",
		"Cache-Control: max-age=0", "Cache-Control: max-age=-1", `Cache-Control: max-age="0"`, "Cache-Control: s-maxage=0",
		"Expires: 0", "Expires: -1", "Expires: Thu, 01 Jan 1970 00:00:00 GMT", "Expires: Sat, 01 Jan 2000 00:00:00 GMT", "Pragma: no-cache",
	} {
		for _, write := range []string{"", "Set", "Save", "Update"} {
			for name, o := range map[string]struct {
				cfg   session.Config
				every time.Duration
				until time.Duration
			}{
				"persistent":                {session.Config{Cookie: cookie.Options{Persistent: true}}, 5 * time.Minute, 3 * time.Hour},
				"rare touches":              {session.Config{Cookie: cookie.Options{Persistent: true}, TouchEvery: 20 * time.Minute}, 7 * time.Minute, 5 * time.Hour},
				"a short cookie":            {session.Config{Cookie: cookie.Options{MaxAge: 30 * time.Second}}, 10 * time.Second, 10 * time.Minute},
				"a short cookie, near idle": {session.Config{Cookie: cookie.Options{MaxAge: 30 * time.Second}}, 28 * time.Second, 10 * time.Minute},
				"idle is absolute": {session.Config{IdleTimeout: 24 * time.Hour, AbsoluteTimeout: 24 * time.Hour,
					Cookie: cookie.Options{MaxAge: time.Hour}}, 40 * time.Minute, 23 * time.Hour},
				"until the absolute timeout": {session.Config{IdleTimeout: 2 * time.Hour, AbsoluteTimeout: 6 * time.Hour,
					Cookie: cookie.Options{MaxAge: time.Hour}}, 50 * time.Minute, 6*time.Hour - time.Minute},
			} {
				synctest.Test(t, func(t *testing.T) {
					a := newApp(t, o.cfg)
					a.basics()
					a.handle("/login", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
					a.handle("/page", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
						if field, value, ok := strings.Cut(said, ": "); ok {
							w.Header().Set(field, value)
						}
						switch write {
						case "Set", "Save":
							s.Set("n", r.FormValue("n"))
							if write == "Save" {
								if err := s.Save(); err != nil {
									t.Error(err)
								}
							}
						case "Update":
							if _, err := session.Update(s, "n", func(n int) int { return n + 1 }); err != nil {
								t.Error(err)
							}
						}
						fmt.Fprint(w, s.User())
					})
					b := a.direct(t)
					b.get("/login")
					for began, n := time.Now(), 0; time.Since(began)+o.every < o.until; n++ {
						time.Sleep(o.every)
						if got := b.get(fmt.Sprint("/page?n=", n)); got.body != "ada" {
							t.Errorf("%s, %q, %s: after %v the user is %q, want ada", name, said, write, time.Since(began), got.body)
							return
						}
					}
				})
			}
		}
	}
}

// TestPublicPagesDoNotCostTheCookie: what may not carry a token comes between
// pages that may. The expiry moves with both, and the cookie is never behind it
// for longer than until the next page.
func TestPublicPagesDoNotCostTheCookie(t *testing.T) {
	for _, write := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a := newApp(t, session.Config{Cookie: cookie.Options{Persistent: true}})
			a.basics()
			a.handle("/public", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
				w.Header().Set("Cache-Control", "public, max-age=3600")
				if write {
					s.Set("n", r.FormValue("n"))
				}
			})
			b := a.direct(t)
			b.get("/set?k=a&v=1")
			for n := range 5 {
				for range 45 { // public pages alone: the session's expiry moves, the cookie does not
					time.Sleep(time.Minute)
					if got := b.get(fmt.Sprint("/public?n=", time.Now().UnixNano())); got.setCookie != nil || got.header.Get("Cache-Control") != "public, max-age=3600" {
						t.Fatalf("a public page has %q, Cache-Control %q", got.setCookie, got.header["Cache-Control"])
					}
				}
				time.Sleep(time.Second)
				if got := b.get("/get?k=a"); got.body != "1" || !strings.Contains(got.session, "; Max-Age=3600;") {
					t.Fatalf("round %d: the page after them is %q with cookie %q, want 1 and one for an hour", n, got.body, attributesOf(got.session))
				}
				b.get("/get?k=a").wantNoCookie(t)
			}
		})
	}
}

// TestDestroyRemovesWhatTheBrowserHas: a cookie of this request's own making needs no removal,
// and one that the browser brought does.
func TestDestroyRemovesWhatTheBrowserHas(t *testing.T) {
	for name, tt := range map[string]struct {
		cookie string // what is sent; none if empty
		path   string
		remove bool
	}{
		"nothing":             {"", "/destroy", false},
		"made and destroyed":  {"", "/made", false},
		"dead":                {unknownToken(), "/destroy", true},
		"dead, made again":    {unknownToken(), "/made", true},
		"malformed":           {"x", "/destroy", true},
		"empty":               {"-", "/destroy", true},
		"somebody's ID":       {strings.Repeat("A", 64), "/destroy", true},
		"dead, but only read": {unknownToken(), "/get?k=a", false},
	} {
		a := newApp(t, session.Config{})
		a.basics()
		a.handle("/made", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("a", 1)
			if err := s.Save(); err != nil {
				t.Error(err)
			}
			s.Destroy()
		})
		got := a.exchange(t, "https://app.test"+tt.path, func(r *http.Request) {
			if tt.cookie != "" {
				r.Header.Set("Cookie", a.name+"="+strings.Trim(tt.cookie, "-"))
			}
		})
		if removed := strings.Contains(got.session, "; Max-Age=0;"); removed != tt.remove || !removed && got.session != "" {
			t.Errorf("%s: cookie %q, want a removal: %v", name, attributesOf(got.session), tt.remove)
		}
	}
}

// TestDestroyLeavesTheCookieOfALogin: what comes with a token that a login has
// replaced moments ago ends nothing, and removes nothing.
func TestDestroyLeavesTheCookieOfALogin(t *testing.T) {
	a := newApp(t, session.Config{})
	a.basics()
	a.handle("/login", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	old := b.token()
	b.get("/login")
	got := a.exchange(t, "https://app.test/destroy", func(r *http.Request) { r.Header.Set("Cookie", a.name+"="+old) })
	if got.status != http.StatusServiceUnavailable || got.setCookie != nil {
		t.Errorf("Destroy with the old token: status %d, cookies %q; want 503 and none", got.status, got.setCookie)
	}
}
