package behaviour

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

// logoutCases are about how sessions end, and that they stay ended.
var logoutCases = []behaviour{
	each("the record and the cookie are gone and the token is dead", destroy),
	each("what follows Destroy is a fresh session", destroyThen),
	each("a logout that fails says so", destroyFails),
	each("the reply to a logout is lost", destroyReplyLost),
	each("ended while a request is under way", everyEndMeanwhile),
	once("the absolute timeout passes meanwhile", absoluteMeanwhile),
	alone("final among writers", endedAmongWriters),
	each("emptying the store ends every session", endEverySession),
	each("parallel logouts all succeed", parallelLogouts),
	once("Clear-Site-Data goes out with the removal", clearSiteData),
	once("Destroy removes the cookie that the browser has", destroyRemovesTheCookie),
	once("Destroy leaves the cookie of a login", destroyLeavesTheCookie),
}

// An event ends or renews the session of b while another request is under way.
type event = func(t *testing.T, a *app, b *browser)

func destroy(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
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

// destroyThen: what is done after Destroy belongs to a fresh session.
func destroyThen(t *testing.T, k Kind) {
	store := k.open(t)
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

// destroyFails: the client learns that the session is still there, and
// forgets the cookie all the same.
func destroyFails(t *testing.T, k Kind) {
	store := k.open(t)
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
				a.calls.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errTest))
				got := held.finish().wantRemoval(t)
				if got.status != 503 || strings.Contains(got.body, "none") {
					t.Errorf("response %d %q, want 503 and nothing of the handler's", got.status, got.body)
				}
				a.calls.Reset()
				old.wantState(`"" a=1 cart=tea`)
				old.get("/logout").want200(t).wantRemoval(t)
			})
		}
	}
}

func destroyReplyLost(t *testing.T, k Kind) {
	store := k.open(t)
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

// endedStatus returns the status of a response when the session has ended:
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
var moments = map[string]func(t *testing.T, a *app, slow *held, happen func()) response{
	"before_the_deed": func(_ *testing.T, _ *app, slow *held, happen func()) response {
		happen()
		return slow.finish()
	},
	"before_the_store": func(_ *testing.T, a *app, slow *held, happen func()) response {
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
func variants(k Kind, store backend.Store) map[string]backendtest.Capability {
	v := map[string]backendtest.Capability{"full": without(store, backendtest.Bounded)}
	if k.Name == "memory" || k.Name == "file" {
		v["plain"] = 0
	}
	return v
}

// everyEndMeanwhile: a session ends while a request is under way that then
// does this or that. Nothing comes back, and no cookie goes out.
func everyEndMeanwhile(t *testing.T, k Kind) {
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

func endedMeanwhile(t *testing.T, a, other *app, during func(*testing.T, *app, *held, func()) response, end event, name string) {
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
			t.Errorf("response %d %q, want status %d", got.status, got.body, status)
		}
		if n := a.Stats().Creates; n != created {
			t.Errorf("%d new records, want none", n-created)
		}
	}
	a.gone(t, id)
	old.wantState("none")
}

// absoluteMeanwhile: the time passes while the request is under way.
func absoluteMeanwhile(t *testing.T) {
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
							t.Errorf("response %d %q, want status %d", got.status, got.body, status)
						}
					}
					a.gone(t, id)
					old.wantState("none")
				})
			})
		}
	}
}

// endedAmongWriters: logouts and logins get serve while eight requests at
// a time write to the session, and are final.
func endedAmongWriters(t *testing.T, k Kind) {
	store := k.open(t)
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
									t.Errorf("response %d %q takes the place of the login's cookie", got.status, got.body)
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

// endEverySession: emptying the store ends all sessions of all
// users at once, those included in which a request is under way.
func endEverySession(t *testing.T, k Kind) {
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
}

// parallelLogouts: eight logouts of one session at once, all of
// which have loaded it, are all 200.
func parallelLogouts(t *testing.T, k Kind) {
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
}

// clearSiteData: what else a logout wants cleared is a header of
// the handler's, and it goes out with the removed cookie.
func clearSiteData(t *testing.T) {
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

// destroyRemovesTheCookie: a cookie of this request's own making needs no removal,
// and one that the browser brought does.
func destroyRemovesTheCookie(t *testing.T) {
	for name, tt := range map[string]struct {
		cookie string // what is sent; none if empty
		path   string
		remove bool
	}{
		"nothing":             {"", "/destroy", false},
		"made and destroyed":  {"", "/made", false},
		"dead":                {UnknownToken(), "/destroy", true},
		"dead, made again":    {UnknownToken(), "/made", true},
		"malformed":           {"x", "/destroy", true},
		"empty":               {"-", "/destroy", true},
		"somebody's ID":       {strings.Repeat("A", 64), "/destroy", true},
		"dead, but only read": {UnknownToken(), "/get?k=a", false},
	} {
		a := newApp(t, session.Config{})
		a.basics()
		a.handle("/made", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("a", 1)
			if err := s.Save(); err != nil {
				t.Error(err)
			}
			s.Destroy()
		})
		got := a.exchange(t, "https://app.test"+tt.path, func(r *http.Request) {
			if tt.cookie != "" {
				r.Header.Set("Cookie", a.name+"="+strings.Trim(tt.cookie, "-"))
			}
		})
		if removed := strings.Contains(got.session, "; Max-Age=0;"); removed != tt.remove || !removed && got.session != "" {
			t.Errorf("%s: cookie %q, want a removal: %v", name, attributesOf(got.session), tt.remove)
		}
	}
}

// destroyLeavesTheCookie: what comes with a token that a login has
// replaced moments ago ends nothing, and removes nothing.
func destroyLeavesTheCookie(t *testing.T) {
	a := newApp(t, session.Config{})
	a.basics()
	a.handle("/login", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada") })
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	old := b.token()
	b.get("/login")
	got := a.exchange(t, "https://app.test/destroy", func(r *http.Request) { r.Header.Set("Cookie", a.name+"="+old) })
	if got.status != http.StatusServiceUnavailable || got.setCookie != nil {
		t.Errorf("Destroy with the old token: status %d, cookies %q; want 503 and none", got.status, got.setCookie)
	}
}
