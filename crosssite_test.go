package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// TestCrossSiteSetStartsNoSession: where the browser keeps a SameSite cookie
// back, a plain Set must not replace it; what is a login, or asked for, may.
func TestCrossSiteSetStartsNoSession(t *testing.T) {
	const strict, none = http.SameSiteStrictMode, http.SameSiteNoneMode
	type h = map[string]string
	cross := h{"Sec-Fetch-Site": "cross-site"}
	navigation := h{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	frame := h{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
	fetch := h{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	dead := h{"Sec-Fetch-Site": "cross-site", "Cookie": "beegosessionID=" + unknownToken()}
	other := h{"Sec-Fetch-Site": "cross-site", "Cookie": "theme=dark"}
	for _, tt := range []struct {
		method  string
		header  h
		cfg     session.Config
		do      string
		status  int
		started bool
	}{
		{"POST", cross, session.Config{}, "set", 403, false},
		{"POST", navigation, session.Config{}, "set", 403, false},
		{"POST", other, session.Config{}, "set", 403, false},
		{"PUT", fetch, session.Config{}, "set", 403, false},
		{"POST", frame, session.Config{}, "set", 403, false},
		{"GET", frame, session.Config{}, "set", 200, false},
		{"GET", fetch, session.Config{}, "set", 200, false},
		{"POST", navigation, session.Config{}, "read", 200, false},

		{"POST", navigation, session.Config{}, "login", 200, true},
		{"POST", navigation, session.Config{}, "set, login", 200, true},
		{"POST", navigation, session.Config{}, "set, renew", 200, true},
		{"POST", navigation, session.Config{Cookie: cookie.Options{SameSite: strict}}, "login", 200, true},
		{"POST", navigation, session.Config{AllowCrossSite: true}, "set", 200, true},
		{"POST", navigation, session.Config{Transport: session.HeaderTransport(session.TokenHeader)}, "set", 200, true},
		{"POST", navigation, session.Config{Cookie: cookie.Options{SameSite: none}}, "set", 200, true},

		{"GET", navigation, session.Config{}, "set", 200, true}, // a Lax cookie would have come
		{"GET", cross, session.Config{}, "set", 200, true},
		{"HEAD", navigation, session.Config{}, "set", 200, true},
		{"GET", navigation, session.Config{Cookie: cookie.Options{SameSite: strict}}, "set", 200, false},
		{"POST", dead, session.Config{}, "set", 200, true}, // it came
		{"POST", nil, session.Config{}, "set", 200, true},
		{"POST", h{"Sec-Fetch-Site": "same-site"}, session.Config{}, "set", 200, true},
		{"POST", h{"Sec-Fetch-Site": "same-origin"}, session.Config{}, "set", 200, true},
		{"POST", h{"Sec-Fetch-Site": "none"}, session.Config{}, "set", 200, true},
	} {
		for _, by := range []string{"", "Save", "Update", "Start"} {
			a := newApp(t, tt.cfg)
			var got error
			handler := func(s *session.Session) {
				switch tt.do {
				case "set":
					if by == "Update" {
						got = s.Update(func(v *session.Values) error { v.Set("a", 1); return nil })
					} else {
						s.Set("a", 1)
					}
				case "read":
					s.Get("a")
				case "login":
					s.SetUser("ada")
				case "set, login":
					s.Set("a", 1)
					s.SetUser("ada")
				case "set, renew":
					s.Renew()
					s.Set("a", 1)
				}
				if by == "Save" {
					got = s.Save()
				}
			}
			r := httptest.NewRequest(tt.method, "https://app.test/", nil)
			for name, value := range tt.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			if by == "Start" {
				s, err := a.Start(w, r)
				if err != nil {
					t.Fatal(err)
				}
				handler(s)
				got = s.Release()
			} else {
				a.handle("/", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { handler(s) })
				a.router.ServeHTTP(w, r)
			}
			status := tt.status
			if by != "" {
				status = 200 // the handler had the error
				if refused := errors.Is(got, session.ErrCrossSite); refused == tt.started && tt.do != "read" && (by != "Update" || tt.do == "set") {
					t.Errorf("%+v by %s: the error is %v", tt, by, got)
				}
			}
			started := w.Header()["Set-Cookie"] != nil || w.Header()[session.TokenHeader] != nil
			if w.Code != status || started != tt.started || (a.Stats().Creates > 0) != tt.started {
				t.Errorf("%+v by %q: status %d, started %v, %d stored; want %d, %v", tt, by, w.Code, started, a.Stats().Creates, status, tt.started)
			}
		}
	}
}
