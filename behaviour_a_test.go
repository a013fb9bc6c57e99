package session_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// TestBehaviourA is section A of BEHAVIOURS.md: creating and loading.
func TestBehaviourA(t *testing.T) {
	t.Run("01_no_cookie_session_ignored", func(t *testing.T) {
		forEachBackend(t, func(t *testing.T, open func(*testing.T) backend.Store) {
			a := newApp(t, session.Config{Store: open(t)})
			a.handle("/", func(w http.ResponseWriter, _ *http.Request, _ *session.Session) { fmt.Fprint(w, "hello") })
			got := a.browser(t).get("/")
			got.want(t, 200, "hello")
			if len(got.setCookie) > 0 || got.header.Get("Vary") != "" {
				t.Errorf("Set-Cookie %q, Vary %q, want neither", got.setCookie, got.header.Get("Vary"))
			}
			a.wantCalls(t, "")
			if n := a.records(t); n != 0 {
				t.Errorf("%d records, want 0", n)
			}
		})
	})
}
