package session_test

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

// Sections B and C of SECURITY-BAR: strict mode, renewal, logout.

// TestBar_FX2_NeverAgain: a token that was good once and whose session has
// ended is never adopted again: a write with it makes another ID and secret.
// Of SECURITY-BAR: FX-2.
func TestBar_FX2_NeverAgain(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		store := k.open(t)
		a := newStage(t, session.Config{Store: store, SweepEvery: -1}, endDeeds)
		all := map[string]event{
			"removed behind our back, as by an eviction": func(t *testing.T, _ *app, b *browser) {
				check(t, store.Delete(t.Context(), mustID(b.id())))
			},
			"expired and swept": func(t *testing.T, a *app, b *browser) {
				id := b.id()
				b.get("/idle").want200(t)
				a.gone(t, id)
				if _, err := a.Sweep(t.Context()); err != nil {
					t.Error(err)
				}
			},
		}
		for name, end := range ends {
			all[name] = end
		}
		for name, end := range all {
			b := a.browser(t)
			b.get("/login").want200(t)
			b.get("/set").want200(t)
			old, token := b.twin(), b.token()
			end(t, a, b)
			old.wantState("none")
			old.get("/start").want200(t)
			old.wantState(`"" a=1 cart=tea`)
			if now := old.token(); idOf(t, now) == idOf(t, token) || now[22:] == token[22:] {
				t.Errorf("%s: the new session has the old ID or secret", name)
			}
			old.get("/logout").want200(t)
		}
	})
	t.Run("evicted by memory", func(t *testing.T) {
		store, err := memory.New(memory.Options{MaxSessions: 1})
		if err != nil {
			t.Fatal(err)
		}
		a := newStage(t, session.Config{Store: store}, nil)
		b := a.browser(t)
		b.get("/start").want200(t)
		token := b.token()
		a.browser(t).get("/start").want200(t)
		if store.Evicted() != 1 {
			t.Fatalf("%d were evicted, want 1", store.Evicted())
		}
		b.wantState("none")
		b.get("/start").want200(t)
		if idOf(t, b.token()) == idOf(t, token) {
			t.Error("the new session has the ID of the evicted one")
		}
	})
}

// TestBar_FX3_DeadBeforeTheAnswer: when the first byte of the answer to a
// renewal is out, the old token is dead and the new one opens the session.
// Of SECURITY-BAR: FX-3.
func TestBar_FX3_DeadBeforeTheAnswer(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newStage(t, session.Config{Store: k.open(t)}, nil)
		b := a.browser(t)
		a.handle("/sent/renew", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			before := s.Token()
			s.Renew()
			w.(http.Flusher).Flush()
			if s.Token() == before {
				t.Error("after the first byte the token is the old one")
			}
			old, renewed := a.browser(t), a.browser(t)
			old.setToken(before)
			renewed.setToken(s.Token())
			old.wantState("none")
			renewed.wantState(`"" a=1 cart=tea`)
		})
		b.get("/start").want200(t)
		if got := b.get("/sent/renew").want200(t); got.session == "" {
			t.Error("the renewal has no cookie")
		}
		b.wantState(`"" a=1 cart=tea`)
	})
}

// TestBar_FX11_OldTokenIsAnEvent: each use of a replaced token is told to
// Hooks.Rejected once, and the hook can end the session.
// Of SECURITY-BAR: FX-11.
func TestBar_FX11_OldTokenIsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rejected rejections
		var m *session.Manager
		revoke := false
		a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: -1, Hooks: session.Hooks{Rejected: func(id string, reason session.Reason) {
			rejected.add(id, reason)
			if revoke {
				check(t, m.Revoke(t.Context(), id))
			}
		}}}, nil)
		m = a.Manager
		b := a.direct(t)
		b.get("/start").want200(t)
		old, id := b.twin(), b.id()
		b.get("/renew").want200(t)
		old.get("/show").want200(t)
		rejected.want(t, id, session.ReasonSuperseded, 1)
		time.Sleep(10 * time.Second)
		old.get("/show").want200(t)
		rejected.want(t, id, session.ReasonSecret, 1)
		b.wantState(`"" a=1 cart=tea`)
		revoke = true
		old.get("/show").want200(t)
		rejected.want(t, id, session.ReasonSecret, 1)
		revoke = false
		b.wantState("none")
	})
}

// TestBar_LO7_EndEverySession: emptying the store ends all sessions of all
// users at once, those included in which a request is under way.
// Of SECURITY-BAR: LO-7.
func TestBar_LO7_EndEverySession(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		store := k.open(t)
		a := newStage(t, session.Config{Store: store}, nil)
		var browsers []*browser
		var slow []*held
		for i := range 10 {
			b := a.browser(t)
			b.get([]string{"/login", "/bob", "/start"}[i%3]).want200(t)
			browsers = append(browsers, b)
		}
		ids := make([]string, len(browsers))
		for i, b := range browsers {
			ids[i] = b.id()
			slow = append(slow, b.twin().hold([]string{"/set", "/renew", "/flash", "/label"}[i%4]))
		}
		for _, id := range ids {
			check(t, store.Delete(t.Context(), mustID(id)))
		}
		for _, h := range slow {
			h.finish().want200(t).wantNoCookie(t)
		}
		for i, b := range browsers {
			b.wantState("none")
			a.gone(t, ids[i])
		}
		a.wantSessions(t, "ada")
	})
}

// TestBar_LO8_ParallelLogouts: eight logouts of one session at once, all of
// which have loaded it, are all 200.
// Of SECURITY-BAR: LO-8.
func TestBar_LO8_ParallelLogouts(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		store := k.open(t)
		for _, have := range variants(k, store) {
			a := newAppWith(t, session.Config{Store: store}, have)
			a.play(nil)
			b := a.browser(t)
			b.get("/login").want200(t)
			id := b.id()
			var all []*held
			for range 8 {
				all = append(all, b.twin().hold("/logout"))
			}
			var wg sync.WaitGroup
			for _, h := range all {
				wg.Go(func() { h.finish().want200(t) })
			}
			wg.Wait()
			b.wantState("none")
			a.gone(t, id)
		}
	})
}

// TestBar_LO10_ClearSiteData: what else a logout wants cleared is a header of
// the handler's, and it goes out with the removed cookie.
// Of SECURITY-BAR: LO-10.
func TestBar_LO10_ClearSiteData(t *testing.T) {
	a := newStage(t, session.Config{}, nil)
	a.handle("/bye/now", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
		s.Destroy()
	})
	b := a.browser(t)
	b.get("/start").want200(t)
	got := b.get("/bye/now").want200(t).wantRemoval(t)
	if h := got.header.Get("Clear-Site-Data"); h != `"cache", "storage"` {
		t.Errorf("Clear-Site-Data is %q", h)
	}
}

// TestBar_OP2_Events: created, renewed, destroyed, rejected, tossed, broken,
// failed and evicted are all told, with the public ID and nothing secret.
// Of SECURITY-BAR: OP-2.
func TestBar_OP2_Events(t *testing.T) {
	store, err := memory.New(memory.Options{MaxSessions: 2})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	note := func(what string) func(id, more string) {
		return func(id, more string) {
			if mustID(id).Version() != 7 {
				t.Errorf("%s was told of %q", what, id)
			}
			told[what]++
		}
	}
	hooks := session.Hooks{Created: note("created"), Renewed: note("renewed"),
		Destroyed: func(id string, reason session.Reason) { note("destroyed "+string(reason))(id, "") },
		Rejected:  func(id string, reason session.Reason) { note("rejected "+string(reason))(id, "") },
		Failed:    func(id string, _ error) { note("failed")(id, "") }}
	a := newStage(t, session.Config{Store: store, SweepEvery: -1, Hooks: hooks}, nil)
	b := a.browser(t)
	b.get("/start")
	b.get("/login")
	id, dead := b.id(), b.twin()
	other := a.browser(t)
	r := other.request("GET", "/show")
	r.Header["Cookie"] = []string{a.name + "=" + unknownToken() + "; " + a.name + "=" + b.token()}
	other.do(r)
	a.calls.On(backendtest.OpUpdate, 9, backendtest.Fail(errTest))
	b.get("/set")
	a.calls.Reset()
	b.get("/logout")
	dead.get("/show")
	b.get("/start")
	rec := a.record(t, b.token())
	rec.Data = []byte("damaged")
	a.plant(t, rec)
	b.get("/show")
	for range 3 {
		a.browser(t).get("/start")
	}
	revoked := a.browser(t)
	revoked.get("/login")
	if _, err := a.RevokeUser(t.Context(), "ada"); err != nil {
		t.Error(err)
	}
	for what, want := range map[string]int{"created": 6, "renewed": 1, "destroyed destroyed": 1, "destroyed revoked": 1, "rejected unknown": 2, "rejected tossed": 1, "rejected unreadable": 1, "failed": 1} {
		if told[what] != want {
			t.Errorf("%s was told %d times, want %d (of session %s)", what, told[what], want, id)
		}
	}
	if store.Evicted() == 0 {
		t.Error("evictions are not counted")
	}
	if counts, err := json.Marshal(a.Stats()); err != nil || len(counts) < 100 {
		t.Errorf("Stats as JSON: %s, %v", counts, err)
	}
}
