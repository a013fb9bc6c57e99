package session_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

var errDown = errors.New("the store is down")

// TestBehaviourF is section F of BEHAVIOURS.md: renew and destroy. What
// happens to requests under way is in behaviour_f_ends_test.go.
func TestBehaviourF(t *testing.T) {
	t.Run("47_renew", func(t *testing.T) { forEachBackend(t, testRenew) }) // FX-3
	t.Run("47_renew_twice_in_a_request", func(t *testing.T) { forEachBackend(t, testRenewTwice) })
	t.Run("47_renew_and_set", func(t *testing.T) { forEachBackend(t, testRenewAndSet) })
	t.Run("47_superseded_token_comes_late", func(t *testing.T) { forEachBackend(t, testSupersededToken) }) // FX-7
	t.Run("47_superseded_for_10_s", testSupersededFor)                                                     // FX-10
	t.Run("48_renew_while_the_store_fails", func(t *testing.T) { forEachBackend(t, testRenewStoreFails) }) // FX-8
	t.Run("48_renew_with_the_reply_lost", func(t *testing.T) { forEachBackend(t, testRenewReplyLost) })    // FX-4
	t.Run("49_two_renewals", func(t *testing.T) { forEachBackend(t, testTwoRenewals) })
	t.Run("49_two_logins", func(t *testing.T) { forEachBackend(t, testTwoLogins) })
	t.Run("50_destroy", func(t *testing.T) { forEachBackend(t, testDestroy) })            // LO-1, LO-6
	t.Run("50_destroy_then", func(t *testing.T) { forEachBackend(t, testDestroyThen) })   // LO-9
	t.Run("51_destroy_fails", func(t *testing.T) { forEachBackend(t, testDestroyFails) }) // LO-5
	t.Run("51_destroy_with_the_reply_lost", func(t *testing.T) { forEachBackend(t, testDestroyReplyLost) })
	t.Run("52_ended_meanwhile", func(t *testing.T) { forEachKind(t, testEndedMeanwhile) })                   // LO-2, LO-3, LO-7
	t.Run("52_absolute_timeout_meanwhile", testAbsoluteMeanwhile)                                            // TO-8
	t.Run("52_renewed_meanwhile", func(t *testing.T) { forEachKind(t, testRenewedMeanwhile) })               // FX-5, FX-6, FX-7
	t.Run("52_renewed_between_load_and_store", func(t *testing.T) { forEachKind(t, testRenewedAtTheStore) }) // FX-5
	t.Run("52_ended_among_writers", func(t *testing.T) { forEachBackend(t, testEndedAmongWriters) })         // LO-2
	t.Run("52_an_old_timeout_ends_nothing", testOldTimeout)
	t.Run("53_cart_before_login", func(t *testing.T) { forEachBackend(t, testCart) }) // FX-12
}

func testRenew(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, nil)
	b := a.browser(t)
	b.get("/start").want200(t)
	old, id, before := b.twin(), b.id(), b.token()
	if got := b.get("/renew").want200(t); got.session == "" {
		t.Error("Renew: no cookie")
	}
	if b.token() == before {
		t.Error("Renew: the token is the old one")
	}
	if got := b.id(); got != id {
		t.Errorf("Renew: the ID is %s, was %s", got, id)
	}
	b.wantState(`"" a=1 cart=tea`)
	old.wantState("none")
	if n := a.records(t); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	// Of a session that is not stored there is nothing to renew.
	n := a.browser(t)
	n.get("/renew").want200(t).wantNoCookie(t)
	if got := a.records(t); got != 1 {
		t.Errorf("%d records, want 1", got)
	}
}

func testRenewTwice(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, map[string]deed{
		"twice": func(s *session.Session) error { s.Renew(); s.Renew(); return nil },
		"between": func(s *session.Session) error {
			s.Renew()
			err := s.Save()
			s.Renew()
			return err
		},
		"all": func(s *session.Session) error {
			s.SetUser("bob")
			s.Set("late", 1)
			s.Renew()
			s.SetUser("ada")
			return nil
		},
	})
	b := a.browser(t)
	b.get("/start").want200(t)
	for _, step := range []struct{ path, want string }{
		{"/twice", `"" a=1 cart=tea`},
		{"/between", `"" a=1 cart=tea`},
		{"/all", `"ada"`}, // which was bob's for a moment
	} {
		old := b.twin()
		b.get(step.path).want200(t)
		if b.token() == old.token() {
			t.Errorf("%s: the token is the old one", step.path)
		}
		old.wantState("none")
		b.wantState(step.want)
	}
}

func testRenewAndSet(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, map[string]deed{
		"fresh": func(s *session.Session) error { s.Renew(); s.Set("a", 1); return nil },
	})
	b := a.browser(t)
	b.get("/start").want200(t)
	b.get("/setrenew").want200(t)
	b.wantState(`"" a=1 cart=tea late=true`)
	n := a.browser(t)
	n.get("/fresh").want200(t)
	n.wantState(`"" a=1`)
}

// testSupersededToken: a request that starts with a token replaced moments
// ago may not put its own cookie in the place of the new one.
func testSupersededToken(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	for _, name := range []string{"show", "set", "delete", "clear", "pop", "update", "save", "saveset", "reload", "reset",
		"logout", "restart", "label", "remember", "flash", "take"} {
		t.Run(name, func(t *testing.T) {
			a := newStage(t, session.Config{Store: store}, nil)
			b := a.browser(t)
			b.get("/start").want200(t)
			old := b.twin()
			b.get("/login").want200(t)
			records := a.records(t)
			old.get("/" + name).wantNoCookie(t)
			b.wantState(`"ada" a=1 cart=tea`)
			old.wantState("none")
			if n := a.records(t); n != records {
				t.Errorf("%d records, want %d", n, records)
			}
		})
	}
	// A login is meant, whatever token the request came with.
	for _, name := range []string{"login", "bob", "setrenew"} {
		t.Run(name, func(t *testing.T) {
			a := newStage(t, session.Config{Store: store}, nil)
			b := a.browser(t)
			b.get("/start").want200(t)
			old, id := b.twin(), b.id()
			b.get("/login").want200(t)
			old.get("/" + name).want200(t)
			if old.id() == id {
				t.Error("the old token leads to the renewed session")
			}
			b.wantState(`"ada" a=1 cart=tea`)
		})
	}
}

func testSupersededFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStage(t, session.Config{Store: newMemory(t)}, nil)
		b := a.direct(t)
		b.get("/start").want200(t)
		early, late := b.twin(), b.twin()
		b.get("/renew").want200(t)
		time.Sleep(10*time.Second - time.Millisecond)
		early.get("/set").want200(t).wantNoCookie(t)
		if n := a.Stats().Superseded; n != 1 {
			t.Errorf("Stats.Superseded is %d, want 1", n)
		}
		time.Sleep(time.Millisecond)
		if got := late.get("/set").want200(t); got.session == "" {
			t.Error("10 s after the renewal an old token still keeps a request from a session of its own")
		}
		late.wantState(`"" late=true`)
		b.wantState(`"" a=1 cart=tea`)
		if b.id() == late.id() {
			t.Error("the old token leads to the renewed session")
		}
	})
}

func newMemory(t *testing.T) backend.Store {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func testRenewStoreFails(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, nil)
	b := a.browser(t)
	b.get("/start").want200(t)
	for _, path := range []string{"/renew", "/setrenew", "/login"} {
		before := b.token()
		a.calls.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(errDown))
		got := b.get(path).wantNoCookie(t)
		if got.status != 503 || strings.Contains(got.body, "tea") {
			t.Errorf("%s: answer %d %q, want 503 and nothing of the handler's", path, got.status, got.body)
		}
		a.calls.Reset()
		if b.token() != before {
			t.Errorf("%s: the cookie has changed", path)
		}
		b.wantState(`"" a=1 cart=tea`)
	}
}

func testRenewReplyLost(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, nil)
	b := a.browser(t)
	b.get("/start").want200(t)
	for _, path := range []string{"/renew", "/setrenew", "/login"} {
		old := b.twin()
		a.calls.Lose(backendtest.OpUpdate, 1)
		b.get(path).want200(t)
		if b.token() == old.token() {
			t.Errorf("%s: the token is the old one", path)
		}
		old.wantState("none")
	}
	b.wantState(`"ada" a=1 cart=tea late=true`)
}

// testTwoRenewals has two managers, as two processes have, renew one session
// at once. The one that the store does first wins.
func testTwoRenewals(t *testing.T, open func(*testing.T) backend.Store) {
	testRivals(t, open, "/renew", "/renew", `"" a=1 cart=tea`, "")
}

// testTwoLogins: both are logged in, with what the session had before.
func testTwoLogins(t *testing.T, open func(*testing.T) backend.Store) {
	t.Run("same_user", func(t *testing.T) {
		testRivals(t, open, "/login", "/login", `"ada" a=1 cart=tea`, `"ada" a=1 cart=tea`)
	})
	t.Run("other_user", func(t *testing.T) {
		testRivals(t, open, "/login", "/bob", `"ada" a=1 cart=tea`, `"bob" a=1 cart=tea`)
	})
}

// testRivals lets winner and loser meet in every order. The winner's session
// is as in want, the loser's, a new one, as in lost; with "" it gets no cookie.
func testRivals(t *testing.T, open func(*testing.T) backend.Store, winner, loser, want, lost string) {
	store := open(t)
	for name, meet := range map[string]func(t *testing.T, here, there *app, won, beaten *held) (answer, answer){
		"one_after_the_other": func(_ *testing.T, _, _ *app, won, beaten *held) (answer, answer) {
			return won.finish(), beaten.finish()
		},
		"loser_held_before_the_store": func(t *testing.T, _, there *app, won, beaten *held) (answer, answer) {
			g := there.calls.Gate(backendtest.OpUpdate, backendtest.AtCall)
			result := beaten.let()
			reach(t, g)
			first := won.finish()
			g.Release()
			return first, <-result
		},
		"winner_held_after_the_store": func(t *testing.T, here, _ *app, won, beaten *held) (answer, answer) {
			g := here.calls.Gate(backendtest.OpUpdate, backendtest.AtReply)
			result := won.let()
			reach(t, g)
			second := beaten.finish()
			g.Release()
			return <-result, second
		},
	} {
		t.Run(name, func(t *testing.T) {
			here := newStage(t, session.Config{Store: store}, nil)
			there := newStage(t, session.Config{Store: store}, nil)
			one, two := here.browser(t), there.browser(t)
			one.get("/start").want200(t)
			two.setToken(one.token())
			old := one.twin()
			first, second := meet(t, here, there, one.hold(winner), two.hold(loser))
			first.want200(t)
			if first.session == "" {
				t.Error("the winner got no cookie")
			}
			second.want200(t)
			if lost == "" {
				second.wantNoCookie(t)
			} else {
				two.wantState(lost)
				if one.id() == two.id() {
					t.Error("both have one session")
				}
			}
			one.wantState(want)
			old.wantState("none")
		})
	}
}

func testDestroy(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, nil)
	b := a.browser(t)
	b.get("/start").want200(t)
	old := b.twin()
	b.get("/logout").want200(t).wantRemoval(t)
	if b.token() != "" {
		t.Error("the browser has a token after the logout")
	}
	if n := a.records(t); n != 0 {
		t.Errorf("%d records, want 0", n)
	}
	old.wantState("none")
	a.browser(t).get("/logout").want200(t).wantNoCookie(t)
	if n := a.Stats().Deletes; n != 1 {
		t.Errorf("Stats.Deletes is %d, want 1", n)
	}
}

// testDestroyThen: what is done after Destroy belongs to a fresh session.
func testDestroyThen(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	for name, c := range map[string]struct {
		do   deed
		want string // the state after it; "none" is a removal
	}{
		"set":     {func(s *session.Session) error { s.Destroy(); s.Set("fresh", 1); return nil }, `"" fresh=1`},
		"login":   {func(s *session.Session) error { s.Destroy(); s.SetUser("bob"); return nil }, `"bob"`},
		"update":  {func(s *session.Session) error { s.Destroy(); return addOne(s) }, `"" n=1`},
		"save":    {func(s *session.Session) error { s.Destroy(); s.Set("fresh", 1); return s.Save() }, `"" fresh=1`},
		"saveset": {func(s *session.Session) error { s.Destroy(); err := s.Save(); s.Set("fresh", 1); return err }, `"" fresh=1`},
		"setlost": {func(s *session.Session) error { s.Set("lost", 1); s.Destroy(); return nil }, "none"},
		"again":   {func(s *session.Session) error { s.Destroy(); s.Destroy(); return nil }, "none"},
		"renew":   {func(s *session.Session) error { s.Destroy(); s.Renew(); return nil }, "none"},
		"label":   {func(s *session.Session) error { s.Destroy(); s.SetLabel("x"); return nil }, "none"},
		"renewed": {func(s *session.Session) error { s.Renew(); s.Destroy(); return nil }, "none"},
		"reload":  {func(s *session.Session) error { s.Destroy(); return s.Reload() }, "none"},
		"twice": {func(s *session.Session) error {
			s.Destroy()
			s.Set("first", 1)
			err := s.Save()
			s.Destroy()
			s.Set("second", 2)
			return err
		}, `"" second=2`},
		"unsaid": {func(s *session.Session) error { s.Set("bad", func() {}); s.Destroy(); return nil }, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newStage(t, session.Config{Store: store}, map[string]deed{"it": c.do})
			b := a.browser(t)
			b.get("/start").want200(t)
			b.get("/login").want200(t)
			old, id := b.twin(), b.id()
			got := b.get("/it").want200(t)
			old.wantState("none")
			b.wantState(c.want)
			if c.want == "none" {
				got.wantRemoval(t)
			} else if b.id() == id {
				t.Error("the fresh session has the ID of the destroyed one")
			}
			a.gone(t, id)
		})
	}
}

// testDestroyFails: the client learns that the session is still there, and
// forgets the cookie all the same.
func testDestroyFails(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	for name, have := range map[string]backendtest.Capability{
		"": without(store, backendtest.Bounded), "plain store": 0,
	} {
		for _, path := range []string{"/logout", "/restart"} {
			t.Run(name+path, func(t *testing.T) {
				a := newAppWith(t, session.Config{Store: store}, have)
				a.play(nil)
				b := a.browser(t)
				b.get("/start").want200(t)
				old := b.twin()
				held := b.hold(path)
				a.calls.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errDown))
				got := held.finish().wantRemoval(t)
				if got.status != 503 || strings.Contains(got.body, "none") {
					t.Errorf("answer %d %q, want 503 and nothing of the handler's", got.status, got.body)
				}
				a.calls.Reset()
				old.wantState(`"" a=1 cart=tea`)
				old.get("/logout").want200(t).wantRemoval(t)
			})
		}
	}
}

func testDestroyReplyLost(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	for name, c := range map[string]struct {
		have backendtest.Capability
		op   backendtest.Op
	}{
		"DeleteVersion":         {without(store, backendtest.Bounded), backendtest.OpDeleteVersion},
		"Update of plain store": {0, backendtest.OpUpdate},
		"Delete of plain store": {0, backendtest.OpDelete},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAppWith(t, session.Config{Store: store}, c.have)
			a.play(nil)
			b := a.browser(t)
			b.get("/start").want200(t)
			old, id := b.twin(), b.id()
			a.calls.Lose(c.op, 1)
			b.get("/logout").want200(t).wantRemoval(t)
			old.wantState("none")
			a.gone(t, id)
		})
	}
}

func testCart(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, nil)
	b := a.browser(t)
	b.get("/start").want200(t)
	before, id := b.twin(), b.id()
	b.get("/login").want200(t)
	b.wantState(`"ada" a=1 cart=tea`)
	before.wantState("none")
	if got := b.id(); got != id {
		t.Errorf("the ID is %s, was %s", got, id)
	}
	if n := a.records(t); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}
