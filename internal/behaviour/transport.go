package behaviour

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chisession/session"
)

// transportCases are about tokens in headers.
var transportCases = []behaviour{
	once("a token in a header", headerTransport),
	once("the first of several transports", firstOf),
}

// headerTransport: a token travels in the header alone, there and back.
func headerTransport(t *testing.T) {
	for name, tc := range map[string]struct {
		transport session.Transport
		request   func(token string) http.Header
		vary      string
	}{
		"header": {session.HeaderTransport("x-session-token"), func(token string) http.Header {
			return http.Header{"X-Session-Token": {token}}
		}, "X-Session-Token"},
		"bearer": {session.BearerTransport(), func(token string) http.Header {
			return http.Header{"Authorization": {"bearer  " + token}}
		}, "Authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newManager(t, session.Config{Transport: tc.transport})
			res := serve(m, nil, func(s *session.Session) { s.Set("n", 1); s.SetPersistent(true) })
			token := res.Header.Get(session.TokenHeader)
			if len(token) != 64 || res.Header["Set-Cookie"] != nil || res.Header.Get("Vary") != tc.vary || res.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("a new session: header %v", res.Header)
			}
			res = serve(m, tc.request(token), func(s *session.Session) {
				if s.Get("n") != 1 || s.Token() != token {
					t.Errorf("Get(n) = %v, want 1", s.Get("n"))
				}
			})
			if res.Header[session.TokenHeader] != nil || res.Header["Set-Cookie"] != nil {
				t.Errorf("a read: header %v, want no token", res.Header)
			}
			res = serve(m, tc.request(token), func(s *session.Session) { s.Renew() })
			renewed := res.Header.Get(session.TokenHeader)
			if len(renewed) != 64 || renewed == token {
				t.Fatalf("Renew: token %q, want another", renewed)
			}
			serve(m, tc.request(token), func(s *session.Session) {
				if !s.IsNew() {
					t.Error("the old token still opens the session")
				}
			})
			serve(m, http.Header{"Cookie": {"beegosessionID=" + renewed}}, func(s *session.Session) {
				if !s.IsNew() {
					t.Error("a cookie is read where tokens travel in a header")
				}
			})
			res = serve(m, tc.request(renewed), func(s *session.Session) { s.Destroy() })
			if got, ok := res.Header[session.TokenHeader]; !ok || len(got) != 1 || got[0] != "" || res.Header["Set-Cookie"] != nil {
				t.Errorf("Destroy: header %v, want an empty token", res.Header)
			}
		})
	}
}

func firstOf(t *testing.T) {
	m := newManager(t, session.Config{Transport: session.FirstOf(session.HeaderTransport(session.TokenHeader), session.BearerTransport(), session.Transport{})})
	set := func(s *session.Session) { s.Set("n", 1) }
	if res := serve(m, nil, set); res.Header["Set-Cookie"] == nil || res.Header[session.TokenHeader] != nil {
		t.Errorf("a request without a token: header %v, want a cookie", res.Header)
	}
	res := serve(m, http.Header{"X-Session-Token": {""}}, set)
	token := res.Header.Get(session.TokenHeader)
	if len(token) != 64 || res.Header["Set-Cookie"] != nil {
		t.Fatalf("a request with an empty header: header %v, want a token in it", res.Header)
	}
	both := http.Header{"Authorization": {"Bearer " + token}, "Cookie": {"beegosessionID=" + strings.Repeat("A", 64)}}
	res = serve(m, both, func(s *session.Session) { s.Renew() })
	if res.Header["Set-Cookie"] != nil || len(res.Header.Get(session.TokenHeader)) != 64 {
		t.Errorf("a token from a header was promoted: header %v", res.Header)
	}
	other := http.Header{"Authorization": {"Basic dTpw"}}
	if res := serve(m, other, set); res.Header["Set-Cookie"] == nil {
		t.Errorf("Authorization: Basic is not ours: header %v, want a cookie", res.Header)
	}
}
