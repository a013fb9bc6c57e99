package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestCrossSite: another site's form does nothing with our user's session. The
// browser leaves the cookie out (SameSite), and the shop refuses the request
// for where it comes from (Sec-Fetch-Site). A link to us from there works as
// ever.
func TestCrossSite(t *testing.T) {
	overBoth(t, func(t *testing.T, s *shop) {
		p := s.visit(t)
		p.expect("the server responded with a status of 403")
		p.expect("/favicon.ico") // browsers look for an icon of the bare answer
		p.signIn("ada", "lovelace", false)
		p.open("/")
		p.add("mug", 1)
		token := p.session().Value

		sent := p.watchCookies()
		evil := otherSite(t, s)
		for _, action := range []string{"/cart/add", "/logout", "/devices/end-others", "/login"} {
			p.openURL(evil + "/")
			p.click(fmt.Sprintf(`form[action$=%q] button`, action))
			if want := s.url + action; p.eval("location.href") != `"`+want+`"` {
				t.Fatalf("the form led to %s, want %s", p.eval("location.href"), want)
			}
			// The browser says SameSiteLax or, newer, SchemefulSameSiteLax.
			if got := sent(action); len(got) != 1 || !strings.HasSuffix(got[0], string(network.CookieBlockedReasonSameSiteLax)) {
				t.Errorf("the browser has nothing against sending the cookie to %s, from another site: %q", action, got)
			}
			if got := p.eval("document.body.innerText"); !strings.Contains(got, "cross-origin request") {
				t.Errorf("%s from another site is answered with %s", action, got)
			}
		}
		if p.session().Value != token {
			t.Error("another site has changed the cookie")
		}

		p.openURL(evil + "/")
		p.click("a")
		p.at("/cart")
		if got := sent("/cart"); len(got) > 0 {
			t.Errorf("a link from another site does not take the cookie along: %q", got)
		}
		p.shows(".who strong", "ada")
		p.counts("1")
	})
}

// otherSite serves a page with forms that aim at the shop, from 127.0.0.1,
// which is another site than localhost.
func otherSite(t *testing.T, s *shop) (url string) {
	t.Helper()
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Evil</title><link rel="icon" href="data:,">
			<form method="post" action="%[1]s/cart/add"><input type="hidden" name="item" value="lamp"><button>A present</button></form>
			<form method="post" action="%[1]s/logout"><button>A prize</button></form>
			<form method="post" action="%[1]s/devices/end-others"><button>A song</button></form>
			<form method="post" action="%[1]s/login"><input type="hidden" name="name" value="grace"><input type="hidden" name="password" value="hopper"><button>A game</button></form>
			<a href="%[1]s/cart">The shop</a>`, s.url)
	})
	server := httptest.NewUnstartedServer(page)
	if s.secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.URL // at 127.0.0.1
}

// watchCookies listens to what the browser does with the session cookie from
// now on. The function that it returns tells why the cookie was left out of
// the last request for path; nothing if it was sent.
func (p *tab) watchCookies() (why func(path string) []string) {
	p.t.Helper()
	var (
		mu      sync.Mutex
		paths   = make(map[network.RequestID]string) // of requests
		reasons = make(map[string][]string)          // by path
	)
	err := chromedp.Listen(p.ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			paths[e.RequestID] = strings.TrimPrefix(e.Request.URL, p.shop.url)
		case *network.EventRequestWillBeSentExtraInfo:
			for _, c := range e.AssociatedCookies {
				if c.Cookie.Name != p.shop.cookie {
					continue
				}
				var found []string
				for _, reason := range c.BlockedReasons {
					found = append(found, string(reason))
				}
				reasons[string(e.RequestID)] = found
			}
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return func(path string) []string {
		p.t.Helper()
		mu.Lock()
		defer mu.Unlock()
		for id, at := range paths {
			if at == path {
				found, seen := reasons[string(id)]
				if !seen {
					p.t.Errorf("the browser did not consider the cookie for %s", path)
				}
				delete(paths, id)
				return found
			}
		}
		p.t.Errorf("the browser sent no request for %s", path)
		return nil
	}
}
