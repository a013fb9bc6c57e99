package devicebound_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chisession/session"
	_ "github.com/chisession/session/backend/file"
	"github.com/chisession/session/devicebound"
)

// BenchmarkPage reads a session: without this package, with it but not bound, and
// bound. What a proof costs shows most in memory, where a load costs least: it makes
// no call of the store.
func BenchmarkPage(b *testing.B) {
	for _, provider := range []string{"memory", "file"} {
		for _, kind := range []string{"without", "unbound", "bound"} {
			b.Run(provider+"/"+kind, func(b *testing.B) {
				cfg := session.Config{Provider: provider, SweepEvery: -1}
				if provider == "file" {
					cfg.SavePath = b.TempDir()
				}
				m, err := session.New(cfg)
				if err != nil {
					b.Fatal(err)
				}
				defer m.Close()
				if kind != "without" {
					if _, err := devicebound.New(m, devicebound.Options{}); err != nil {
						b.Fatal(err)
					}
				}
				benchmarkPage(b, m, kind == "bound")
			})
		}
	}
}

func benchmarkPage(b *testing.B, m *session.Manager, bound bool) {
	r := httptest.NewRequest("GET", origin, nil)
	for _, c := range cookiesOfLogin(b, m, bound) {
		r.AddCookie(c)
	}
	page := m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if s := session.FromContext(r); s.Get("cart") != "tea" || devicebound.Bound(r) != bound {
			b.Fatal("another session")
		}
	}))
	b.ReportAllocs()
	for b.Loop() {
		page.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// cookiesOfLogin logs in, binds the session if wanted, and returns the cookies.
func cookiesOfLogin(b *testing.B, m *session.Manager, bind bool) []*http.Cookie {
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("cart", "tea")
		session.FromContext(r).SetUser("ada")
	})).ServeHTTP(w, httptest.NewRequest("GET", origin, nil))
	cookies := w.Result().Cookies()
	if !bind {
		return cookies
	}
	r := httptest.NewRequest("POST", origin+"/session-device/bind", nil)
	r.AddCookie(cookies[0])
	r.Header.Set("Secure-Session-Response", newES256(b).token(challengeOf(b, w.Header().Get("Secure-Session-Registration")), true))
	w = httptest.NewRecorder()
	m.Middleware(nil).ServeHTTP(w, r)
	return append(cookies, w.Result().Cookies()...)
}
