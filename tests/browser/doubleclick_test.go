package browser

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session"
)

// A slowShop is a small shop in this process, with nothing in its
// configuration. Somebody with tea in the cart logs in, and that takes a while.
type slowShop struct {
	url  string
	gap  time.Duration // between two clicks on "log in"
	pair chan struct{} // the second of two logins tells the first that it is there

	begun, finished atomic.Int64 // logins
}

const loginTakes = 200 * time.Millisecond // as bcrypt does

// A setup is what is between the browser and the shop.
type setup struct {
	name   string
	secure bool // TLS, and HTTP/2
	deaf   bool // a proxy that does not pass on that a browser has given up
}

var setups = []setup{{name: "http"}, {name: "https", secure: true}, {name: "proxy", deaf: true}}

var slowPage = template.Must(template.New("").Parse(`<!DOCTYPE html><title>Shop</title><link rel="icon" href="data:,">
<p id="who">user={{.User}} cart={{.Cart}}</p>
<form method="post" action="/cart"><button id="add">Add tea</button></form>
<form method="post" action="/login"><button id="login">Log in</button></form>
`))

func startSlowShop(t *testing.T, between setup, gap time.Duration) *slowShop {
	t.Helper()
	s := &slowShop{gap: gap, pair: make(chan struct{}, 1)}
	manager, err := session.New(session.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		x := session.FromContext(r)
		cart, _ := x.Get("cart").(string)
		slowPage.Execute(w, struct{ User, Cart string }{x.User(), cart})
	})
	mux.HandleFunc("POST /cart", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("cart", "tea")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		x := session.FromContext(r)
		s.check()
		x.SetUser("ada")
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	handler := manager.Middleware(mux)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if between.deaf {
			r = r.WithContext(context.WithoutCancel(r.Context()))
		}
		if r.URL.Path == "/login" {
			defer s.finished.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	if between.secure {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		server.CloseClientConnections() // the browsers keep theirs
		server.Close()
		if err := manager.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	s.url = server.URL
	return s
}

// check takes its time for a password. Of two clicks, the first ends gap before
// the second, however long this machine needs to deliver the second: by then,
// both have loaded the session.
func (s *slowShop) check() {
	if s.begun.Add(1)%2 == 0 {
		s.pair <- struct{}{}
		<-time.After(loginTakes)
		return
	}
	select {
	case <-s.pair:
		<-time.After(loginTakes - s.gap)
	case <-time.After(10 * loginTakes): // of two clicks at once, a browser may send one
	}
}

// idle waits until all logins have ended, also of a click that the browser has
// given up on, and returns how many there were.
func (s *slowShop) idle(t *testing.T) int64 {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for {
		n := s.begun.Load()
		if n > 0 && n == s.finished.Load() {
			return n
		}
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("%d logins have begun, %d have ended", n, s.finished.Load())
		}
	}
}

func whoIs(text string) string {
	return fmt.Sprintf("document.readyState === 'complete' && document.querySelector('#who').innerText.trim() === %q", text)
}

// TestDoubleClickLogsIn: two clicks on "log in" are two requests with one
// cookie, and the browser shows the response to the second. Whoever clicked is
// logged in, with the cart, and the token from before opens nothing.
func TestDoubleClickLogsIn(t *testing.T) {
	inEachBrowser(t, func(t *testing.T, visit func(t *testing.T, url string) visitor) {
		slow, pairs := 0, 0
		for _, between := range setups {
			for _, gap := range []time.Duration{0, 30 * time.Millisecond, 120 * time.Millisecond} {
				t.Run(fmt.Sprintf("%s, %v", between.name, gap), func(t *testing.T) {
					if gap > 0 {
						slow++
					}
					s := startSlowShop(t, between, gap)
					v := visit(t, s.url+"/")
					v.clicks("#add", 1, 0)
					v.wait("tea in the cart", whoIs("user= cart=tea"))
					before := v.stored("beegosessionID")
					if len(before) != 1 {
						t.Fatalf("the browser has %d cookies, want one", len(before))
					}
					v.clicks("#login", 2, gap)
					switch n := s.idle(t); {
					case n == 1: // a busy browser takes back the first before it is sent
					case n == 2:
						pairs++
					default:
						t.Errorf("the browser sent %d requests, want 2", n)
					}
					v.wait("logged in with the cart", whoIs("user=ada cart=tea"))
					v.openURL(s.url + "/")
					v.wait("still logged in", whoIs("user=ada cart=tea"))
					after := v.stored("beegosessionID")
					if len(after) != 1 || after[0].value == before[0].value {
						t.Errorf("the browser has %d cookies, want one new one", len(after))
					}
					if got := s.holder(t, before[0].value); !strings.Contains(got, "user= cart=<") {
						t.Errorf("the token from before the login opens\n%s", got)
					}
				})
			}
		}
		if slow > 0 && pairs == 0 && !t.Failed() {
			t.Errorf("no double click sent two requests: this tests something else")
		}
	})
}

// holder returns the page that a token opens.
func (s *slowShop) holder(t *testing.T, token string) string {
	t.Helper()
	return (&shop{url: s.url, cookie: "beegosessionID"}).pageWith(t, "/", token)
}

// TestDoubleClickPays: two clicks on the button that pays, with a password that
// renews the session, order once, and say so: the page sends the form once.
func TestDoubleClickPays(t *testing.T) {
	t.Parallel()
	s := startShop(t, false, "-confirm", "0s")
	for _, gap := range []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond} {
		t.Run(gap.String(), func(t *testing.T) {
			t.Parallel()
			p := s.visit(t)
			p.signIn("ada", "lovelace", false)
			p.open("/")
			p.add("mug", 1)
			p.open("/pay")
			p.typeIn(`[name=password]`, "lovelace")
			p.clicks(`form[action="/pay"] button`, 2, gap)
			p.wait("the order", "location.pathname === '/cart' && document.readyState === 'complete' && [...document.querySelectorAll('.message')].some(e => e.innerText.startsWith('Ordered 1 thing'))")
			p.shows(".message", "Ordered 1 thing for €14.50. Nothing was charged: this is an example.")
			p.shows(".who strong", "ada")
		})
	}
}
