package session_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// An event ends or renews the session of b while another request is under way.
type event = func(t *testing.T, a *app, b *browser)

// ends are the ways in which a session ends.
var ends = map[string]event{
	"logout": func(t *testing.T, _ *app, b *browser) { b.get("/logout").want200(t).wantRemoval(t) },
	"revoke": func(t *testing.T, a *app, b *browser) {
		if err := a.Revoke(t.Context(), b.id()); err != nil {
			t.Error(err)
		}
	},
	"revoke_user": func(t *testing.T, a *app, _ *browser) {
		if n, err := a.RevokeUser(t.Context(), "ada"); n != 1 || err != nil {
			t.Errorf("RevokeUser: %d, %v, want 1, nil", n, err)
		}
	},
	"idle": func(t *testing.T, a *app, b *browser) {
		id := b.id()
		b.get("/idle").want200(t)
		a.gone(t, id)
	},
	"absolute": func(t *testing.T, a *app, b *browser) {
		id := b.id()
		b.get("/absolute").want200(t)
		a.gone(t, id)
	},
}

// freshDeeds make a new session when theirs has ended, as in the state given.
var freshDeeds = map[string]string{"restart": `"" fresh=true`, "login": `"ada"`, "bob": `"bob"`}

var endDeeds = map[string]deed{
	"idle":     func(s *session.Session) error { s.SetIdleTimeout(time.Millisecond); return nil },
	"absolute": func(s *session.Session) error { s.SetAbsoluteTimeout(time.Millisecond); return nil },
}

// endedStatus returns what a request is answered whose session has ended:
// methods that store at once return the error.
func endedStatus(deed string) int {
	switch deed {
	case "update", "save", "saveset", "reload", "reset":
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// During a deed, the event comes when the handler has begun, or when what the
// handler did is on its way to the store.
var moments = map[string]func(t *testing.T, a *app, slow *held, happen func()) answer{
	"before_the_deed": func(_ *testing.T, _ *app, slow *held, happen func()) answer {
		happen()
		return slow.finish()
	},
	"before_the_store": func(_ *testing.T, a *app, slow *held, happen func()) answer {
		g := a.calls.Gate(backendtest.OpAny, backendtest.AtCall)
		defer a.calls.Reset()
		result := slow.let()
		select {
		case <-g.Reached():
			happen()
			g.Release()
			return <-result
		case got := <-result: // the deed has no business with the store
			return got
		}
	},
}

// variants are the optional interfaces that a store is tried with: all that it
// has, and, where a call costs little, none.
func variants(k kind, store backend.Store) map[string]backendtest.Capability {
	v := map[string]backendtest.Capability{"full": without(store, backendtest.Bounded)}
	if k.name == "memory" || k.name == "file" {
		v["plain"] = 0
	}
	return v
}

// testEndedMeanwhile: a session ends while a request is under way that then
// does this or that. Nothing comes back, and no cookie goes out.
func testEndedMeanwhile(t *testing.T, k kind) {
	store := k.open(t)
	for variant, have := range variants(k, store) {
		// Two managers, so that the slow request's queue holds nobody up.
		cfg := session.Config{Store: store, TouchEvery: time.Millisecond}
		a := newAppWith(t, cfg, have)
		a.play(endDeeds)
		other := newStage(t, cfg, endDeeds)
		for moment, during := range moments {
			for _, end := range sortedNames(ends) {
				for _, name := range sortedNames(deeds) {
					t.Run(strings.Join([]string{variant, end, moment, name}, "/"), func(t *testing.T) {
						endedMeanwhile(t, a, other, during, ends[end], name)
					})
				}
			}
		}
	}
}

func endedMeanwhile(t *testing.T, a, other *app, during func(*testing.T, *app, *held, func()) answer, end event, name string) {
	b, there := a.browser(t), other.browser(t)
	b.get("/login").want200(t)
	b.get("/start").want200(t)
	there.setToken(b.token())
	old, id := b.twin(), b.id()
	created := a.Stats().Creates
	happened := false
	got := during(t, a, b.hold("/"+name), func() { happened = true; end(t, other, there) })
	if !happened {
		b.get("/logout")
		return
	}
	if fresh := freshDeeds[name]; fresh != "" { // a fresh session is all that it may make
		got.want200(t)
		b.wantState(fresh)
		if b.id() == id {
			t.Error("the ended session's ID is back")
		}
		b.get("/logout").want200(t)
	} else {
		got.wantNoCookie(t)
		if status := endedStatus(name); got.status != status && !(got.status == 200 && name == "take") {
			t.Errorf("answer %d %q, want status %d", got.status, got.body, status)
		}
		if n := a.Stats().Creates; n != created {
			t.Errorf("%d new records, want none", n-created)
		}
	}
	a.gone(t, id)
	old.wantState("none")
}

// testAbsoluteMeanwhile: the time passes while the request is under way.
func testAbsoluteMeanwhile(t *testing.T) {
	for _, name := range sortedNames(deeds) {
		for what, cfg := range map[string]session.Config{
			"absolute": {IdleTimeout: time.Hour, AbsoluteTimeout: time.Hour},
			"idle":     {IdleTimeout: time.Hour, AbsoluteTimeout: 24 * time.Hour},
		} {
			t.Run(what+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg.Store, cfg.SweepEvery = newMemory(t), -1
					a := newStage(t, cfg, nil)
					b := a.direct(t)
					b.get("/start").want200(t)
					old, id := b.twin(), b.id()
					time.Sleep(time.Hour - time.Second)
					slow := b.hold("/" + name)
					if what == "idle" {
						time.Sleep(2 * time.Hour)
					}
					time.Sleep(2 * time.Second)
					got := slow.finish()
					if fresh := freshDeeds[name]; fresh != "" {
						got.want200(t)
						b.wantState(fresh)
					} else {
						got.wantNoCookie(t)
						if status := endedStatus(name); got.status != status {
							t.Errorf("answer %d %q, want status %d", got.status, got.body, status)
						}
					}
					a.gone(t, id)
					old.wantState("none")
				})
			})
		}
	}
}

// renewals are the ways in which a token is replaced.
var renewals = map[string]event{
	"renew": func(t *testing.T, _ *app, b *browser) { b.get("/renew").want200(t) },
	"login": func(t *testing.T, _ *app, b *browser) { b.get("/login").want200(t) },
	"twice": func(t *testing.T, _ *app, b *browser) { b.get("/renew").want200(t); b.get("/login").want200(t) },
}

// testRenewedMeanwhile: a request that holds the old token neither changes
// nor ends the renewed session, nor touches its cookie.
func testRenewedMeanwhile(t *testing.T, k kind)  { testRenewed(t, k, "before_the_deed") }
func testRenewedAtTheStore(t *testing.T, k kind) { testRenewed(t, k, "before_the_store") }

func testRenewed(t *testing.T, k kind, moment string) {
	store := k.open(t)
	for variant, have := range variants(k, store) {
		a := newAppWith(t, session.Config{Store: store, TouchEvery: time.Millisecond}, have)
		a.play(nil)
		other := newStage(t, session.Config{Store: store}, nil)
		for how, renewal := range renewals {
			for _, name := range sortedNames(deeds) {
				t.Run(variant+"/"+how+"/"+name, func(t *testing.T) { renewedMeanwhile(t, a, other, moments[moment], renewal, name) })
			}
		}
	}
}

func renewedMeanwhile(t *testing.T, a, other *app, during func(*testing.T, *app, *held, func()) answer, renewal event, name string) {
	b, winner := a.browser(t), other.browser(t)
	b.get("/start").want200(t)
	winner.setToken(b.token())
	old, want := b.twin(), ""
	created := a.Stats().Creates
	happened := false
	got := during(t, a, b.hold("/"+name), func() {
		happened = true
		renewal(t, other, winner)
		want = winner.get("/show").body
	})
	if !happened {
		return
	}
	made := uint64(0)
	switch name {
	case "login", "bob": // a new session, with what this request had loaded
		made = 1
		b.wantState(map[string]string{"login": `"ada" a=1 cart=tea`, "bob": `"bob" a=1 cart=tea`}[name])
	default:
		got.wantNoCookie(t)
	}
	status := endedStatus(name)
	if name == "logout" || name == "restart" {
		status = http.StatusServiceUnavailable // the session lives on: 200 would say that it does not
	}
	if got.status != status {
		t.Errorf("answer %d %q, want status %d", got.status, got.body, status)
	}
	if state := winner.get("/show").body; state != want {
		t.Errorf("the renewed session is %s, was %s", state, want)
	}
	if n := a.Stats().Creates; n != created+made {
		t.Errorf("%d new records, want %d", n-created, made)
	}
	old.wantState("none")
}

// testEndedAmongWriters: logouts and logins get through while eight requests at
// a time write to the session, and are final.
func testEndedAmongWriters(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	for _, path := range []string{"/logout", "/login"} {
		t.Run(path[1:], func(t *testing.T) {
			here := newStage(t, session.Config{Store: store}, nil)
			there := newStage(t, session.Config{Store: store}, nil)
			for range 5 {
				b := here.browser(t)
				b.get("/start").want200(t)
				old, id := b.twin(), b.id()
				var wg sync.WaitGroup
				var stored atomic.Int64
				for i := range workers {
					w := []*app{here, there}[i%2].browser(t)
					w.setToken(b.token())
					wg.Go(func() {
						for { // until the session has ended: a later request may begin its own
							got := w.get([]string{"/update", "/save"}[i/2%2])
							if got.status != 200 || !strings.HasPrefix(got.body, id) {
								if got.session != "" && path == "/login" {
									t.Errorf("answer %d %q takes the place of the login's cookie", got.status, got.body)
								}
								return
							}
							got.wantNoCookie(t)
							stored.Add(1)
						}
					})
				}
				for stored.Load() < 2*workers {
					elapse(time.Millisecond)
				}
				got := b.get(path).want200(t)
				wg.Wait()
				if path == "/logout" {
					got.wantRemoval(t)
					here.gone(t, id)
					b.wantState("none")
				} else if state := b.state(); !strings.HasPrefix(state, `"ada" a=1 cart=tea`) || b.id() != id {
					t.Errorf("after the login the session is %s", state)
				}
				old.wantState("none")
			}
		})
	}
}

// testOldTimeout: a request that loaded the session before another one gave it
// a longer life may not end it by what it still believes.
func testOldTimeout(t *testing.T) {
	stage := func(t *testing.T) (*app, *browser) {
		a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: -1, IdleTimeout: time.Hour, AbsoluteTimeout: time.Hour}, nil)
		b := a.direct(t)
		b.get("/start").want200(t)
		return a, b
	}
	for _, name := range []string{"set", "update", "save", "logout"} {
		t.Run("renewed/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, b := stage(t)
				time.Sleep(time.Hour - time.Second)
				slow := b.twin().hold("/" + name)
				b.get("/remember").want200(t)
				b.get("/login").want200(t)
				time.Sleep(2 * time.Second)
				slow.finish().wantNoCookie(t)
				b.wantState(`"ada" a=1 cart=tea`)
			})
		})
	}
	t.Run("longer/set", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, b := stage(t)
			time.Sleep(time.Hour - time.Second)
			slow := b.twin().hold("/set")
			b.get("/remember").want200(t)
			time.Sleep(2 * time.Second)
			slow.finish().want200(t)
			b.wantState(`"" a=1 cart=tea late=true`)
		})
	})
}
