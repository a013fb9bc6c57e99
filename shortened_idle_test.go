package session_test

import (
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
)

// TestShortenedIdleTimeoutHolds: "this is a public computer" says one request,
// while another, which loaded the session before, is under way and notes the
// user's activity by the long timeout that it knows. The short one holds.
func TestShortenedIdleTimeoutHolds(t *testing.T) {
	const short = 600 * time.Millisecond
	more := map[string]deed{
		"long": func(s *session.Session) error {
			s.Set("a", 1)
			s.SetUser("ada")
			s.SetIdleTimeout(240 * time.Hour)
			return nil
		},
		"back":   func(s *session.Session) error { s.SetIdleTimeout(0); return nil },
		"public": func(s *session.Session) error { s.SetIdleTimeout(short); return nil },
		"bob":    func(s *session.Session) error { s.SetUser("bob"); return nil },
		"now":    func(s *session.Session) error { s.SetIdleTimeout(short); return s.Save() },
	}
	for _, tt := range []struct {
		name, begin, shorten string
		longest              time.Duration
	}{
		{"of the manager", "/login", "/public", short},
		{"of its own", "/long", "/public", short},
		{"by Save", "/long", "/now", short},
		{"back to the manager's", "/long", "/back", time.Hour},
		{"by the next user", "/long", "/bob", time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forEachKind(t, func(t *testing.T, k kind) {
				store := k.open(t)
				cfg := session.Config{Store: store, TouchEvery: time.Millisecond}
				a, other := newStage(t, cfg, more), newStage(t, cfg, more)
				for _, slowly := range []string{"handler", "touch"} {
					b, old := a.browser(t), other.browser(t)
					b.get(tt.begin).want200(t)
					old.setToken(b.token())
					a.age(t, b.token(), 2*time.Minute) // so that a touch is due
					var got answer
					if slowly == "handler" {
						slow := old.hold("/show")
						b.get(tt.shorten).want200(t)
						got = slow.finish()
					} else { // it has decided to touch, and by how much
						g := other.calls.Gate(backendtest.OpTouch, backendtest.AtCall)
						slow := old.hold("/show").let()
						reach(t, g)
						b.get(tt.shorten).want200(t)
						g.Release()
						got = <-slow
					}
					got.want200(t)
					user := "ada"
					if tt.shorten == "/bob" {
						user = "bob"
					}
					infos, err := a.Sessions(t.Context(), user)
					if err != nil || len(infos) != 1 || time.Until(infos[0].ExpiresAt) > tt.longest {
						t.Fatalf("%s: the sessions are %+v, %v; want one that expires within %v", slowly, infos, err, tt.longest)
					}
					if tt.name != "of the manager" { // the others need not be waited for
						if _, err := a.RevokeUser(t.Context(), user); err != nil {
							t.Error(err)
						}
						continue
					}
					elapse(short / 2)
					b.get("/show").want200(t) // activity moves it on, by the short one
					lives := time.Now()
					if infos, err = a.Sessions(t.Context(), user); err != nil || len(infos) != 1 || time.Until(infos[0].ExpiresAt) < short*6/10 {
						t.Fatalf("%s: after a request the sessions are %+v, %v", slowly, infos, err)
					}
					elapse(time.Until(lives.Add(short + 100*time.Millisecond)))
					if infos, err = a.Sessions(t.Context(), user); err != nil || len(infos) != 0 {
						t.Errorf("%s: when the time is over the sessions are %+v, %v; want none", slowly, infos, err)
					}
					b.wantState("none")
					other.browser(t).get("/show").want200(t)
				}
			})
		})
	}
}

// TestShortenedIdleTimeoutEndsRequestsToo: a request that loaded the session in
// time and stores after its end finds that it has ended.
func TestShortenedIdleTimeoutEndsRequestsToo(t *testing.T) {
	const short = 300 * time.Millisecond
	forEachKind(t, func(t *testing.T, k kind) {
		cfg := session.Config{Store: k.open(t), TouchEvery: time.Millisecond}
		more := map[string]deed{"public": func(s *session.Session) error { s.SetIdleTimeout(short); return nil }}
		a, other := newStage(t, cfg, more), newStage(t, cfg, more)
		for _, deed := range []string{"set", "update", "save", "renew"} {
			b, old := a.browser(t), other.browser(t)
			b.get("/start").want200(t)
			old.setToken(b.token())
			id := b.id()
			stale := old.hold("/show")
			b.get("/public").want200(t)
			stale.finish().want200(t) // and the store has it for an hour, again
			slow := b.hold("/" + deed)
			elapse(short + 100*time.Millisecond)
			if got := slow.finish().wantNoCookie(t); got.status != endedStatus(deed) {
				t.Errorf("%s: status %d, want %d", deed, got.status, endedStatus(deed))
			}
			b.wantState("none")
			a.gone(t, id)
		}
	})
}

// TestShortenedIdleTimeoutCosts: while nobody shortens anything, activity is a
// Touch; afterwards it is an Update.
func TestShortenedIdleTimeoutCosts(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
			"public": func(s *session.Session) error { s.SetIdleTimeout(10 * time.Minute); return nil },
			"home":   func(s *session.Session) error { s.SetIdleTimeout(time.Hour); return nil },
		})
		b := a.browser(t)
		b.get("/start").want200(t)
		for _, tt := range []struct{ path, calls string }{
			{"/show", "Load Touch"}, {"/public", "Load Update"}, {"/home", "Load Update"},
		} {
			a.age(t, b.token(), 2*time.Minute)
			a.calls.Reset()
			b.get(tt.path).want200(t)
			a.wantCalls(t, tt.calls)
		}
		rec := a.record(t, b.token())
		a.calls.Reset()
		b.get("/show").want200(t)
		a.wantCalls(t, "Load") // the hour's twentieth has not passed
		if again := a.record(t, b.token()); again.Version != rec.Version {
			t.Error("a read has stored the session")
		}
	})
}
