package session_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/cookie"
)

// TestNestedManagers: a manager that is mounted inside another one, with the
// same cookie, must not be ignored without a word where it has other rules.
func TestNestedManagers(t *testing.T) {
	forEachBackend(t, func(t *testing.T, open func(*testing.T) backend.Store) {
		store := open(t)
		outer := session.Config{Store: store}
		for name, tt := range map[string]struct {
			inner session.Config
			log   string // what the log names; "" if the inner one is let be
		}{
			"its twin":                   {session.Config{Store: store}, ""},
			"stricter":                   {session.Config{Store: store, IdleTimeout: 2 * time.Minute}, "IdleTimeout is 1h0m0s outside and 2m0s inside"},
			"stricter in the end":        {session.Config{Store: store, AbsoluteTimeout: 2 * time.Hour}, "AbsoluteTimeout is 24h0m0s outside and 2h0m0s inside"},
			"one session a user":         {session.Config{Store: store, MaxPerUser: 1}, "MaxPerUser is 0 outside and 1 inside"},
			"open in an outage":          {session.Config{Store: store, OnOutage: session.OutageAnonymous}, "OnOutage is OutageFail outside and OutageAnonymous inside"},
			"cookies of its own kind":    {session.Config{Store: store, Cookie: cookie.Options{SameSite: http.SameSiteStrictMode}}, "Cookie is"},
			"headers besides":            {session.Config{Store: store, Transport: session.FirstOf(session.BearerTransport(), session.Transport{})}, "Transport is"},
			"another cookie":             {session.Config{Store: store, Cookie: cookie.Options{Name: "admin"}, IdleTimeout: time.Minute}, ""},
			"headers and no cookie":      {session.Config{Store: store, Transport: session.BearerTransport(), IdleTimeout: time.Minute}, ""},
			"stricter, and switched off": {session.Config{Store: store, IdleTimeout: time.Minute, Disabled: true}, ""},
		} {
			t.Run(name, func(t *testing.T) {
				a, in := newApp(t, outer), newApp(t, tt.inner)
				a.basics()
				ran := 0
				handler := func(w http.ResponseWriter, r *http.Request) {
					ran++
					session.FromContext(r).Set("k", "v")
					io.WriteString(w, "done")
				}
				a.router.With(in.Middleware).HandleFunc("/admin", handler)
				a.router.With(in.Middleware, in.Middleware).HandleFunc("/admin/twice", handler)
				a.handle("/start", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
					s, err := in.Start(w, r)
					if err != nil {
						http.Error(w, err.Error(), 500)
						return
					}
					s.Set("k", "v")
					if err := s.Release(); err != nil {
						t.Error(err)
					}
				})
				b := a.browser(t)
				for _, path := range []string{"/admin", "/admin/twice"} {
					ran = 0
					got := b.get(path)
					if tt.log == "" {
						got.want(t, 200, "done")
						continue
					}
					got.want(t, 500, "Internal Server Error\n")
					got.wantNoCookie(t)
					if ran != 0 {
						t.Error("the handler ran")
					}
				}
				lines := in.log.lines("ERROR", tt.log)
				if tt.log != "" && len(lines) != 2 {
					t.Errorf("the log does not name the rules, %q, once a request:\n%s", tt.log, in.log)
				}
				if tt.inner.Disabled {
					return
				}
				if got := b.get("/start"); (got.status == 500) != (tt.log != "") || !strings.Contains(got.body, tt.log) {
					t.Errorf("Start: %d %q", got.status, got.body)
				}
				b.get("/set?k=outer&v=1").want(t, 200, "set") // the outer one is none the worse
			})
		}
	})
}
