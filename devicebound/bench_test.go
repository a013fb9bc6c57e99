package devicebound_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/devicebound"
)

// BenchmarkPage reads a session that is bound, and one that is not, by turns: what
// the proof costs is the difference.
func BenchmarkPage(b *testing.B) {
	m, err := session.New(session.Config{SweepEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	if _, err := devicebound.New(m, devicebound.Options{}); err != nil {
		b.Fatal(err)
	}
	login := func(key *signer) (cookies []*http.Cookie) {
		w := httptest.NewRecorder()
		m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("cart", "tea")
			session.FromContext(r).SetUser("ada")
		})).ServeHTTP(w, httptest.NewRequest("GET", origin, nil))
		cookies = w.Result().Cookies()
		if key == nil {
			return cookies
		}
		r := httptest.NewRequest("POST", origin+"/session-device/bind", nil)
		r.AddCookie(cookies[0])
		r.Header.Set("Secure-Session-Response", key.token(challengeOf(b, w.Header().Get("Secure-Session-Registration")), true))
		w = httptest.NewRecorder()
		m.Middleware(nil).ServeHTTP(w, r)
		return append(cookies, w.Result().Cookies()...)
	}
	for name, cookies := range map[string][]*http.Cookie{"unbound": login(nil), "bound": login(newES256(b))} {
		r := httptest.NewRequest("GET", origin, nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		page := m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if s := session.FromContext(r); s.Get("cart") != "tea" || devicebound.Bound(r) != (name == "bound") {
				b.Fatal("another session")
			}
		}))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
