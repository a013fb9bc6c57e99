package session_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/flash"
)

// TestDoubleClickOnLogIn: two requests carry the cookie from before the login,
// and the browser keeps the second response. Whichever of them is stored
// first, it is logged in and has its cart.
func TestDoubleClickOnLogIn(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
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
	})
}

// TestDoubleClickWhileTheHandlerWorks is the same by the clock: the handler
// takes 200 ms, and the second click comes 0, 30 and 120 ms after the first.
func TestDoubleClickWhileTheHandlerWorks(t *testing.T) {
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
				done := make(chan answer)
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

// TestDoubleClickMaxPerUser: the sessions that double clicks make count as any
// other.
func TestDoubleClickMaxPerUser(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
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
	})
}

// TestLostLoginKeepsWhatItHad: a login that lost its session to a renewal has
// what it loaded and what it did; after a logout, what it did alone.
func TestLostLoginKeepsWhatItHad(t *testing.T) {
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
	forEachKind(t, func(t *testing.T, k kind) {
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
	})
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

// TestSetUserOfAnother: no value, label, timeout or cookie setting of a user's
// becomes another's, whatever ada's other requests store at the same time.
func TestSetUserOfAnother(t *testing.T) {
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
	forEachKind(t, func(t *testing.T, k kind) {
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
	})
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

// TestTimeoutHandlerGaveUp: http.TimeoutHandler, outside, has sent its own
// response when the handler logs in. The browser will never have the new
// token, so the old one stays alive.
func TestTimeoutHandlerGaveUp(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		var failed []error
		finished := make(chan struct{})
		store := k.open(t)
		a := newApp(t, session.Config{Store: store, Hooks: session.Hooks{Failed: func(_ string, err error) { failed = append(failed, err) }}})
		a.around = func(next http.Handler) http.Handler {
			slow := http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { finished <- struct{}{} }()
				next.ServeHTTP(w, r)
			}), 10*time.Millisecond, "too slow")
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/slow/") {
					slow.ServeHTTP(w, r)
				} else {
					next.ServeHTTP(w, r)
				}
			})
		}
		a.play(nil)
		var returned error
		a.handle("/slow/{deed}", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
			<-r.Context().Done()
			returned = deeds[r.PathValue("deed")](s)
			io.WriteString(w, "done")
		})
		for _, tt := range []struct {
			deed, want string
			fails      bool
		}{
			{"login", `"" a=1 cart=tea`, true}, {"renew", `"" a=1 cart=tea`, true}, {"setrenew", `"" a=1 cart=tea`, true},
			{"set", `"" a=1 cart=tea late=true`, false}, {"update", `"" a=1 cart=tea n=1`, false}, {"save", `"" a=1 cart=tea late=true`, false},
			{"logout", "none", false},
		} {
			b := a.browser(t)
			b.get("/start").want200(t)
			failed = nil
			b.get("/slow/"+tt.deed).wantNoCookie(t).want(t, 503, "too slow")
			<-finished
			b.wantState(tt.want)
			if tt.fails != (len(failed) == 1) || returned != nil {
				t.Errorf("%s: Hooks.Failed got %v, the deed returned %v", tt.deed, failed, returned)
			}
		}
		before := a.records(t)
		for _, deed := range []string{"set", "login", "update", "save"} {
			a.browser(t).get("/slow/"+deed).wantNoCookie(t).want(t, 503, "too slow")
			<-finished
			if stores := deed == "update" || deed == "save"; stores != (returned != nil) {
				t.Errorf("%s of a new session returned %v", deed, returned)
			}
		}
		a.wantRecords(t, before)
	})
}

// TestAfterTheErrorResponse: the store fails when the handler writes its first
// byte, and the client gets 503. Then the store is back, and the handler goes
// on. What it does is not stored: its token would be nobody's, and the
// browser's session be dead.
func TestAfterTheErrorResponse(t *testing.T) {
	needs := map[string]func(s *session.Session){
		"renew":   func(s *session.Session) { s.Renew() },
		"login":   func(s *session.Session) { s.SetUser("ada") },
		"set":     func(s *session.Session) { s.Set("late", true) },
		"restart": func(s *session.Session) { s.Destroy(); s.Set("fresh", true) },
	}
	then := map[string]func(s *session.Session) error{
		"save":    (*session.Session).Save,
		"set":     func(s *session.Session) error { s.Set("b", 1); return s.Save() },
		"login":   func(s *session.Session) error { s.SetUser("bob"); return s.Save() },
		"update":  addOne,
		"take":    func(s *session.Session) error { _, err := flash.Of(s).Take(); return cmpErr(err, s.Err()) },
		"release": (*session.Session).Release,
		"nothing": func(s *session.Session) error { return s.Err() },
	}
	forEachKind(t, func(t *testing.T, k kind) {
		a := newStage(t, session.Config{Store: k.open(t)}, nil)
		var returned error
		a.handle("/do/{need}/{then}", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
			needs[r.PathValue("need")](s)
			a.calls.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errTest))
			io.WriteString(w, "done")
			a.calls.Reset()
			returned = then[r.PathValue("then")](s)
		})
		for need := range needs {
			for what := range then {
				for _, isNew := range []bool{false, true} {
					b, want := a.browser(t), "none"
					if !isNew {
						b.get("/start").want200(t)
						b.get("/flash").want200(t)
						want = b.state()
					}
					if isNew && need == "renew" {
						continue // there is nothing to store
					}
					before := a.records(t)
					token := b.token()
					got := b.get("/do/" + need + "/" + what)
					name := fmt.Sprintf("%s, then %s, new: %v", need, what, isNew)
					if got.status != 503 {
						t.Errorf("%s: status %d", name, got.status)
					}
					if !errors.Is(returned, session.ErrHeadersSent) {
						t.Errorf("%s: returned %v, want an ErrHeadersSent", name, returned)
					}
					if b.setToken(token); need == "restart" && !isNew { // may have been destroyed after all, and nothing else
						if n := a.records(t); n > before {
							t.Errorf("%s: a new record", name)
						}
						continue
					}
					b.wantState(want)
					a.wantRecords(t, before)
				}
			}
		}
	})
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestStartAfterAFailedSave is the same for a session that was started by
// hand: the caller has responded with the error, and Release comes after.
func TestStartAfterAFailedSave(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newStage(t, session.Config{Store: k.open(t)}, nil)
		for name, do := range map[string]func(s *session.Session){
			"renew": func(s *session.Session) { s.Renew() },
			"login": func(s *session.Session) { s.SetUser("ada") },
			"new":   func(s *session.Session) { s.Set("late", true) },
		} {
			b := a.browser(t)
			b.get("/start").want200(t)
			before := a.records(t)
			r := httptest.NewRequest("GET", "https://app.test/", nil)
			if name != "new" {
				r.AddCookie(&http.Cookie{Name: a.name, Value: b.token()})
			}
			w := httptest.NewRecorder()
			s, err := a.Start(w, r)
			if err != nil {
				t.Fatal(err)
			}
			do(s)
			a.calls.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errTest))
			if err := s.Save(); !errors.Is(err, errTest) {
				t.Errorf("%s: Save: %v", name, err)
			}
			http.Error(w, "not now", http.StatusServiceUnavailable)
			a.calls.Reset()
			if err := s.Release(); !errors.Is(err, session.ErrHeadersSent) {
				t.Errorf("%s: Release: %v, want an ErrHeadersSent", name, err)
			}
			if lines := w.Result().Header["Set-Cookie"]; len(lines) > 0 {
				t.Errorf("%s: the response has %d cookies", name, len(lines))
			}
			b.wantState(`"" a=1 cart=tea`)
			a.wantRecords(t, before)
		}
	})
}
