//go:build servers

package beego

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/migrate"
)

// A message that Beego left for the next page is shown by the first page that
// shows messages, once, to users and visitors, with and without an adoption.
func TestPendingFlashIsShownOnce(t *testing.T) {
	pending := url.QueryEscape("\x00error#BEEGOFLASH#No 100% <b>\x00\x00notice#BEEGOFLASH#Hello\x00")
	for name, id := range map[string]string{"a visitor": "", "an adopted user": annsID} {
		t.Run(name, func(t *testing.T) {
			p := inFiles(t)
			p.put(t, annsID, encode(t, map[any]any{"uid": 4711}), 0)
			m, err := session.New(session.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { m.Close() })
			server := httptest.NewServer(m.Middleware(Adopt(m, p.source, migrate.Options{Adopted: login})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/page" {
					fmt.Fprint(w, flash.Take(r))
				}
			}))))
			t.Cleanup(server.Close)
			c, at := browser(t, server, id)
			c.Jar.SetCookies(at, []*http.Cookie{{Name: flashCookie, Value: pending, Path: "/"}})
			at.Path = "/poll" // shows none
			get(t, c, at)
			at.Path = "/page"
			if _, text := get(t, c, at); text != "[No 100% <b> Hello]" {
				t.Errorf("the page shows %q", text)
			}
			for _, left := range c.Jar.Cookies(at) {
				if left.Name == flashCookie {
					t.Error("the cookie is still there")
				}
			}
			if _, text := get(t, c, at); text != "[]" {
				t.Errorf("the next page shows %q", text)
			}
		})
	}
}

func TestStrangeFlashCookies(t *testing.T) {
	for _, value := range []string{"", "x", "%zz", "%00", "%00%23BEEGOFLASH%23text%00", strings.Repeat("a", 5000), url.QueryEscape("\x00" + strings.Repeat("#", 100) + "\x00")} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", flashCookie+"="+value)
		if got := pendingFlash(r); len(got) > 0 {
			t.Errorf("%.30q: %q", value, got)
		}
	}
}
