package session_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/chisession/session"
)

// TestHalfDoneWrites: a store does one of the two parts of a write, the record,
// and reports an error; the other, the entry in its index by user, is missing.
// The record under its own commit ID does not prove that all was done: either
// the write is made whole, or the client gets an error. Nobody is logged in
// whom RevokeUser would not find.
func TestHalfDoneWrites(t *testing.T) {
	more := map[string]deed{
		"count":  func(s *session.Session) error { s.SetUser("ada"); return addOne(s) },
		"signup": func(s *session.Session) error { s.Set("new", true); s.SetUser("ada"); return s.Save() },
	}
	forEachKind(t, func(t *testing.T, k kind) {
		store := k.open(t)
		for _, path := range []string{"/login", "/count", "/signup"} {
			for _, isNew := range []bool{false, true} {
				for _, fails := range []int{1, 2, 100} {
					half := &halfStore{Store: store, index: map[string]map[uuid.UUID]bool{}}
					a := newStage(t, session.Config{Store: half}, more)
					b := a.browser(t)
					if !isNew {
						b.get("/start").want200(t)
					}
					half.mu.Lock()
					half.fail = fails
					half.mu.Unlock()
					got := b.get(path)
					half.mu.Lock()
					half.fail = 0
					half.mu.Unlock()
					loggedIn := got.session != ""
					if loggedIn != (got.status == 200) || fails < 3 && !loggedIn {
						t.Errorf("%s, new %v, %d half failures: status %d, a cookie: %v", path, isNew, fails, got.status, loggedIn)
					}
					if !loggedIn {
						continue
					}
					if fails > 3 {
						t.Errorf("%s, new %v: logged in by a store that never succeeds", path, isNew)
					}
					if path == "/count" {
						if state := b.state(); state != `"ada" n=1` && state != `"ada" a=1 cart=tea n=1` {
							t.Errorf("%s, new %v, %d half failures: the session is %s: done twice?", path, isNew, fails, state)
						}
					}
					if n, err := a.RevokeUser(t.Context(), "ada"); n != 1 || err != nil {
						t.Errorf("%s, new %v, %d half failures: RevokeUser ended %d sessions, %v; want 1", path, isNew, fails, n, err)
					}
					b.wantState("none")
				}
			}
		}
	})
}
