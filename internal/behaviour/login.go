package behaviour

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/flash"
)

// loginCases are about SetUser, alone and in a race.
var loginCases = []behaviour{
	each("of two logins both are logged in", twoLogins),
	each("the cart from before the login stays", cart),
	each("a double click on log in", doubleClick),
	once("a double click while the handler works", doubleClickByTheClock),
	each("double clicks count for MaxPerUser", doubleClickMaxPerUser),
	each("a login that lost its session keeps what it had", lostLogin),
	each("nothing of one user is handed to the next", nextUser),
}

// twoLogins: both are logged in, with what the session had before.
func twoLogins(t *testing.T, k Kind) {
	t.Run("same_user", func(t *testing.T) {
		rivals(t, k, "/login", "/login", `"ada" a=1 cart=tea`, `"ada" a=1 cart=tea`)
	})
	t.Run("other_user", func(t *testing.T) {
		rivals(t, k, "/login", "/bob", `"ada" a=1 cart=tea`, `"bob" a=1 cart=tea`)
	})
}

// rivals lets winner and loser meet in every order. The winner's session
// is as in want, the loser's, a new one, as in lost; with "" it gets no cookie.
func rivals(t *testing.T, k Kind, winner, loser, want, lost string) {
	store := k.open(t)
	for name, meet := range map[string]func(t *testing.T, here, there *app, won, beaten *held) (response, response){
		"one_after_the_other": func(_ *testing.T, _, _ *app, won, beaten *held) (response, response) {
			return won.finish(), beaten.finish()
		},
		"loser_held_before_the_store": func(t *testing.T, _, there *app, won, beaten *held) (response, response) {
			g := there.calls.Gate(backendtest.OpUpdate, backendtest.AtCall)
			result := beaten.let()
			reach(t, g)
			first := won.finish()
			g.Release()
			return first, <-result
		},
		"winner_held_after_the_store": func(t *testing.T, here, _ *app, won, beaten *held) (response, response) {
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

func cart(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
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

// doubleClick: two requests carry the cookie from before the login,
// and the browser keeps the second response. Whichever of them is stored
// first, it is logged in and has its cart.
func doubleClick(t *testing.T, k Kind) {
	store := k.open(t)
	a := newStage(t, session.Config{Store: store}, nil)
	other := newStage(t, session.Config{Store: store}, nil) // of another process, whose queue is its own
	for _, met := range []string{"in the handler", "at the store, the second first", "not at all"} {
		t.Run(met, func(t *testing.T) {
			b := a.browser(t)
			b.get("/start").want200(t)
			one, two := b.twin(), other.browser(t)
			two.setToken(b.token())
			before, after := `"ada" a=1 cart=tea`, `"ada" a=1 cart=tea`
			switch met {
			case "in the handler":
				first, second := one.hold("/login"), two.hold("/login")
				first.finish().want200(t)
				second.finish().want200(t)
			case "at the store, the second first":
				first, second := one.hold("/login"), two.hold("/login")
				g := a.calls.Gate(backendtest.OpUpdate, backendtest.AtCall)
				late := first.let()
				reach(t, g)
				second.finish().want200(t)
				g.Release()
				(<-late).want200(t)
			case "not at all": // the second's token is dead already, and opens nothing
				one.get("/login").want200(t)
				two.get("/login").want200(t)
				after = `"ada"`
			}
			one.wantState(before)
			two.wantState(after)
			if one.id() == two.id() {
				t.Error("both have one session")
			}
			b.wantState("none")
		})
	}
}

// doubleClickByTheClock is the same by the clock: the handler
// takes 200 ms, and the second click comes 0, 30 and 120 ms after the first.
func doubleClickByTheClock(t *testing.T) {
	for _, gap := range []time.Duration{0, 30 * time.Millisecond, 120 * time.Millisecond} {
		t.Run(gap.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: -1}, map[string]deed{
					"slowlogin": func(s *session.Session) error {
						time.Sleep(200 * time.Millisecond)
						s.SetUser("ada")
						return nil
					},
				})
				b := a.direct(t)
				b.get("/start").want200(t)
				one, two := b.twin(), b.twin()
				done := make(chan response)
				go func() { done <- one.get("/slowlogin") }()
				time.Sleep(gap)
				two.get("/slowlogin").want200(t)
				(<-done).want200(t)
				two.wantState(`"ada" a=1 cart=tea`)
				one.wantState(`"ada" a=1 cart=tea`)
			})
		})
	}
}

// doubleClickMaxPerUser: the sessions that double clicks make count as any
// other.
func doubleClickMaxPerUser(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t), MaxPerUser: 2}, nil)
	var last *browser
	for range 4 {
		b := a.browser(t)
		b.get("/start").want200(t)
		one, two := b.twin(), b.twin()
		first, second := one.hold("/login"), two.hold("/login")
		first.finish().want200(t)
		second.finish().want200(t)
		last = two
	}
	last.wantState(`"ada" a=1 cart=tea`)
	if infos, err := a.Sessions(t.Context(), "ada"); len(infos) != 2 || err != nil {
		t.Errorf("ada has %d sessions, %v; want 2", len(infos), err)
	}
}

// lostLogin: a login that lost its session to a renewal has
// what it loaded and what it did; after a logout, what it did alone.
func lostLogin(t *testing.T, k Kind) {
	more := map[string]deed{
		"begin": func(s *session.Session) error {
			s.Set("a", 1)
			s.Set("cart", "tea")
			s.Set("old", true)
			s.SetPersistent(true)
			s.SetIdleTimeout(240 * time.Hour)
			return nil
		},
		"enter": func(s *session.Session) error {
			s.Set("before", 1)
			s.Delete("old")
			s.SetUser("ada")
			s.Set("after", 1)
			return nil
		},
		"count": func(s *session.Session) error { s.SetUser("ada"); return addOne(s) },
		"lives": func(s *session.Session) error {
			return errors.New(time.Until(s.ExpiresAt()).Round(time.Hour).String())
		},
	}
	a := newStage(t, session.Config{Store: k.open(t)}, more)
	for _, c := range []struct{ how, enter, want string }{
		{"renew", "enter", `"ada" a=1 after=1 before=1 cart=tea`},
		{"renew", "count", `"ada" a=1 cart=tea n=1 old=true`},
		{"logout", "enter", `"ada" after=1 before=1`},
		{"logout", "count", `"ada" n=1`},
	} {
		t.Run(c.how+"/"+c.enter, func(t *testing.T) {
			b := a.browser(t)
			b.get("/begin").want200(t)
			two := b.twin()
			slow := two.hold("/" + c.enter)
			b.get("/" + c.how).want200(t)
			got := slow.finish().want200(t)
			two.wantState(c.want)
			persistent := strings.Contains(got.session, "Max-Age=") && c.how == "renew"
			if lives := strings.TrimSpace(two.get("/lives").body); (lives == "240h0m0s") != persistent || persistent != (c.how == "renew") {
				t.Errorf("it lives for %s, cookie %q", lives, attributesOf(got.session))
			}
			infos, err := a.Sessions(t.Context(), "ada")
			if err != nil || len(infos) != 1 {
				t.Errorf("ada has %d sessions, %v; want 1", len(infos), err)
			}
			if n, err := a.RevokeUser(t.Context(), "ada"); n != 1 || err != nil {
				t.Errorf("RevokeUser: %d, %v", n, err)
			}
		})
	}
}

// replaced are the ways in which a user gives way to another, or to none.
var replaced = map[string]struct {
	do   deed
	want string
}{
	"another": {func(s *session.Session) error {
		s.Set("before", 1)
		flash.Of(s).Add(flash.LevelNotice, "before")
		s.SetLabel("before")
		s.SetPersistent(true)
		s.SetUser("bob")
		s.Set("after", 1)
		flash.Of(s).Add(flash.LevelNotice, "after")
		return nil
	}, `"bob" after=1 flash=after`},
	"none":      {func(s *session.Session) error { s.SetUser(""); return nil }, `""`},
	"none, set": {func(s *session.Session) error { s.SetUser(""); s.Set("after", 1); return nil }, `"" after=1`},
	"in between": {func(s *session.Session) error {
		s.SetUser("bob")
		s.Set("bob", 1)
		s.SetUser("ada")
		return nil
	}, `"ada"`},
	"atomically": {func(s *session.Session) error {
		s.SetUser("bob")
		return s.Update(func(v *session.Values) error {
			if v.Len() > 0 {
				return fmt.Errorf("Update sees %v", v.Keys())
			}
			v.Set("after", 1)
			return nil
		})
	}, `"bob" after=1`},
	"the same": {func(s *session.Session) error { s.SetUser("ada"); return nil }, `"ada" card=4000 flash=hers`},
}

// nextUser: no value, label, timeout or cookie setting of a user's
// becomes another's, whatever ada's other requests store at the same time.
func nextUser(t *testing.T, k Kind) {
	more := map[string]deed{
		"ada": func(s *session.Session) error {
			s.Set("card", 4000)
			flash.Of(s).Add(flash.LevelNotice, "hers")
			s.SetUser("ada")
			s.SetLabel("hers")
			s.SetIdleTimeout(240 * time.Hour)
			s.SetAbsoluteTimeout(480 * time.Hour)
			s.SetPersistent(true)
			return nil
		},
		"hers": func(s *session.Session) error { s.Set("hers", 1); return nil },
	}
	for name, r := range replaced {
		more[name] = r.do
	}
	store := k.open(t)
	a := newStage(t, session.Config{Store: store}, more)
	other := newStage(t, session.Config{Store: store}, more)
	for _, moment := range []string{"alone", "hers is stored first", "hers comes to the store late", "hers comes between load and store"} {
		for name, r := range replaced {
			t.Run(moment+"/"+name, func(t *testing.T) {
				b, hers := a.browser(t), other.browser(t)
				b.get("/ada").want200(t)
				hers.setToken(b.token())
				id := b.id()
				path, want := "/"+strings.ReplaceAll(name, " ", "%20"), r.want
				switch moment {
				case "alone":
					b.get(path).want200(t)
				case "hers is stored first":
					slow := b.hold(path)
					hers.get("/hers").want200(t)
					slow.finish().want200(t)
					if name == "the same" {
						want = strings.Replace(want, " flash", " hers=1 flash", 1)
					}
				case "hers comes to the store late":
					g := other.calls.Gate(backendtest.OpUpdate, backendtest.AtCall)
					late := hers.hold("/hers").let()
					reach(t, g)
					b.get(path).want200(t)
					g.Release()
					(<-late).want200(t).wantNoCookie(t)
				case "hers comes between load and store":
					g := a.calls.Gate(backendtest.OpUpdate, backendtest.AtCall)
					slow := b.hold(path).let()
					reach(t, g)
					hers.get("/hers").want200(t)
					g.Release()
					(<-slow).want200(t)
					if name == "the same" {
						want = strings.Replace(want, " flash", " hers=1 flash", 1)
					}
				}
				if state := withoutFlashKeys(b.state()); state != want {
					t.Errorf("the session is %s, want %s", state, want)
				}
				if b.id() != id {
					t.Error("the ID has changed")
				}
				hers.wantState("none")
				wantHeadOf(t, a, b, name == "the same")
			})
		}
	}
}

// withoutFlashKeys shortens the keys of flash messages in a state, and moves them
// to its end.
func withoutFlashKeys(state string) string {
	var values, messages []string
	for _, f := range strings.Fields(state) {
		if key, value, ok := strings.Cut(f, "="); ok && strings.HasPrefix(key, "_flash:") {
			messages = append(messages, "flash="+value)
		} else {
			values = append(values, f)
		}
	}
	return strings.Join(append(values, messages...), " ")
}

// wantHeadOf looks for ada's label, timeouts and persistence.
func wantHeadOf(t *testing.T, a *app, b *browser, hers bool) {
	t.Helper()
	rec := a.record(t, b.token())
	if lives := time.Until(rec.Expires) > 2*time.Hour; lives != hers {
		t.Errorf("it expires in %v; by ada's timeouts: want %v", time.Until(rec.Expires), hers)
	}
	if persistent := rec.Data[1]&2 != 0; persistent != hers {
		t.Errorf("its cookie is persistent: %v, want %v", persistent, hers)
	}
	if label := strings.Contains(string(rec.Data), "hers"); label != hers {
		t.Errorf("it has ada's label: %v, want %v", label, hers)
	}
	if strings.Contains(string(rec.Data), "before") {
		t.Error("it has the label that was set before the call")
	}
}
