package behaviour

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
)

// renewCases are about new tokens for old ones.
var renewCases = []behaviour{
	each("the old token is dead and the values stay", renew),
	each("twice in a request makes one token", renewTwice),
	each("a renewal and a Set are both stored", renewAndSet),
	each("the old token is dead before the first byte", deadBeforeTheResponse),
	each("a superseded token that comes late", supersededToken),
	once("superseded for ten seconds", supersededFor),
	once("the use of an old token is an event", oldTokenIsAnEvent),
	each("while the store fails the old token lives", renewStoreFails),
	each("the reply to a renewal is lost", renewReplyLost),
	each("of two renewals one wins", twoRenewals),
	each("renewed while a request is under way", renewedBeforeTheDeed),
	each("renewed between load and store", renewedBeforeTheStore),
}

func renew(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
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

func renewTwice(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
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

func renewAndSet(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
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

// deadBeforeTheResponse: when the first byte of the response to a
// renewal is out, the old token is dead and the new one opens the session.
func deadBeforeTheResponse(t *testing.T, k Kind) {
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
}

// supersededToken: a request that starts with a token replaced moments
// ago may not put its own cookie in the place of the new one.
func supersededToken(t *testing.T, k Kind) {
	store := k.open(t)
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

func supersededFor(t *testing.T) {
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

// oldTokenIsAnEvent: each use of a replaced token is told to
// Config.On once, and that can end the session.
func oldTokenIsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rejected rejections
		var m *session.Manager
		revoke := false
		a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: -1, On: func(ctx context.Context, e session.Event) {
			rejected.on(ctx, e)
			if revoke && e.Kind == session.EventRejected {
				check(t, m.Revoke(t.Context(), e.ID))
			}
		}}, nil)
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

func renewStoreFails(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
	b := a.browser(t)
	b.get("/start").want200(t)
	for _, path := range []string{"/renew", "/setrenew", "/login"} {
		before := b.token()
		a.calls.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(errTest))
		got := b.get(path).wantNoCookie(t)
		if got.status != 503 || strings.Contains(got.body, "tea") {
			t.Errorf("%s: response %d %q, want 503 and nothing of the handler's", path, got.status, got.body)
		}
		a.calls.Reset()
		if b.token() != before {
			t.Errorf("%s: the cookie has changed", path)
		}
		b.wantState(`"" a=1 cart=tea`)
	}
}

func renewReplyLost(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
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

// twoRenewals has two managers, as two processes have, renew one session
// at once. The one that the store does first wins.
func twoRenewals(t *testing.T, k Kind) {
	rivals(t, k, "/renew", "/renew", `"" a=1 cart=tea`, "")
}

// renewedBeforeTheDeed: a request that holds the old token neither changes
// nor ends the renewed session, nor touches its cookie.
func renewedBeforeTheDeed(t *testing.T, k Kind) { renewedAt(t, k, "before_the_deed") }

// renewals are the ways in which a token is replaced.
var renewals = map[string]event{
	"renew": func(t *testing.T, _ *app, b *browser) { b.get("/renew").want200(t) },
	"login": func(t *testing.T, _ *app, b *browser) { b.get("/login").want200(t) },
	"twice": func(t *testing.T, _ *app, b *browser) { b.get("/renew").want200(t); b.get("/login").want200(t) },
}

func renewedBeforeTheStore(t *testing.T, k Kind) { renewedAt(t, k, "before_the_store") }

func renewedAt(t *testing.T, k Kind, moment string) {
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

func renewedMeanwhile(t *testing.T, a, other *app, during func(*testing.T, *app, *held, func()) response, renewal event, name string) {
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
		t.Errorf("response %d %q, want status %d", got.status, got.body, status)
	}
	if state := winner.get("/show").body; state != want {
		t.Errorf("the renewed session is %s, was %s", state, want)
	}
	if n := a.Stats().Creates; n != created+made {
		t.Errorf("%d new records, want %d", n-created, made)
	}
	old.wantState("none")
}
