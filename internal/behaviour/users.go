package behaviour

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// usersCases are about the sessions of a user.
var usersCases = []behaviour{
	each("the index follows", indexFollows),
	once("what a list of devices shows", info),
	each("RevokeUser spares this one", revokeUser),
	each("a wrong ID revokes nothing", revokeWrongID),
	each("MaxPerUser keeps the newest", maxPerUser),
	each("MaxPerUser among logins at once", maxPerUserAtOnce),
	each("trimming meets another login", trimMeetsLogin),
	each("any user name is told from any other", anyUserName),
	each("a name too long is an error", nameTooLong),
}

func indexFollows(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, endDeeds)
	b, other := a.browser(t), a.browser(t)
	other.get("/login").want200(t)
	o := other.id()
	b.get("/start").want200(t)
	id := b.id()
	a.wantSessions(t, "ada", o)
	for _, step := range []struct {
		path     string
		ada, bob []string
	}{
		{"/login", []string{o, id}, nil},
		{"/renew", []string{o, id}, nil},
		{"/set", []string{o, id}, nil},
		{"/bob", []string{o}, []string{id}},
		{"/leave", []string{o}, nil},
		{"/setrenew", []string{o}, nil},
		{"/bob", []string{o}, []string{id}},
		{"/login", []string{o, id}, nil},
		{"/logout", []string{o}, nil},
	} {
		b.get(step.path).want200(t)
		a.wantSessions(t, "ada", step.ada...)
		a.wantSessions(t, "bob", step.bob...)
	}
	b.get("/login").want200(t)
	id = b.id()
	a.wantSessions(t, "ada", o, id)
	if err := a.Revoke(t.Context(), id); err != nil {
		t.Error(err)
	}
	a.wantSessions(t, "ada", o)
	b.wantState("none")
	other.get("/idle").want200(t)
	a.gone(t, o)
	a.wantSessions(t, "ada")
	if _, err := a.Sessions(t.Context(), ""); err == nil {
		t.Error("Sessions of no name: no error")
	}
}

// info: what a list of devices shows, on the clock of a synctest bubble.
func info(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newStage(t, session.Config{Store: newMemory(t), SweepEvery: -1}, map[string]deed{
			"device": func(s *session.Session) error { s.SetLabel("Firefox, Lisbon"); s.SetUser("ada"); return nil },
			"poll":   func(*session.Session) error { return nil },
		})
		one, two := a.direct(t), a.direct(t)
		start := time.Now()
		one.get("/device").want200(t)
		time.Sleep(10 * time.Minute)
		two.get("/login").want200(t)
		two.get("/remember").want200(t)
		time.Sleep(10 * time.Minute)
		one.get("/show").want200(t)
		list, err := a.Sessions(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		want := []session.Info{
			{ID: two.id(), User: "ada", CreatedAt: start.Add(10 * time.Minute), LastSeen: start.Add(10 * time.Minute), ExpiresAt: start.Add(10*time.Minute + 240*time.Hour)},
			{ID: one.id(), User: "ada", Label: "Firefox, Lisbon", CreatedAt: start, LastSeen: start.Add(20 * time.Minute), ExpiresAt: start.Add(80 * time.Minute)},
		}
		if len(list) != 2 {
			t.Fatalf("Sessions: %d, want 2", len(list))
		}
		for i := range want {
			got := list[i]
			if got.ID != want[i].ID || got.User != want[i].User || got.Label != want[i].Label || !got.CreatedAt.Equal(want[i].CreatedAt) ||
				!got.LastSeen.Equal(want[i].LastSeen) || !got.ExpiresAt.Equal(want[i].ExpiresAt) {
				t.Errorf("session %d of the list is\n %+v, want\n %+v", i, got, want[i])
			}
		}
		// A later login of the older session makes it the first.
		time.Sleep(time.Minute)
		one.get("/login").want200(t)
		if list, _ := a.Sessions(t.Context(), "ada"); len(list) != 2 || list[0].ID != one.id() {
			t.Errorf("the latest login is not the first of the list: %+v", list)
		}
		time.Sleep(time.Hour)
		a.wantSessions(t, "ada", two.id())
	})
}

func revokeUser(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
	this, bob, nobody := a.browser(t), a.browser(t), a.browser(t)
	this.get("/login").want200(t)
	bob.get("/bob").want200(t)
	nobody.get("/start").want200(t)
	var others []*browser
	for range 5 {
		b := a.browser(t)
		b.get("/login").want200(t)
		others = append(others, b)
	}
	n, err := a.RevokeUser(t.Context(), "ada", this.id())
	if n != 5 || err != nil {
		t.Errorf("RevokeUser: %d, %v, want 5, nil", n, err)
	}
	for _, b := range others {
		b.wantState("none")
	}
	this.wantState(`"ada"`)
	bob.wantState(`"bob"`)
	nobody.wantState(`"" a=1 cart=tea`)
	a.wantSessions(t, "ada", this.id())
	if n, err := a.RevokeUser(t.Context(), "nobody"); n != 0 || err != nil {
		t.Errorf("RevokeUser of somebody without sessions: %d, %v, want 0, nil", n, err)
	}
}

func revokeWrongID(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
	b := a.browser(t)
	b.get("/login").want200(t)
	id := b.id()
	for _, wrong := range []string{"", "x", strings.ToUpper(id), "{" + id + "}", strings.ReplaceAll(id, "-", ""), "urn:uuid:" + id, id + "\n", b.token()} {
		err := a.Revoke(t.Context(), wrong)
		if err == nil {
			t.Errorf("Revoke(%q): no error", wrong)
		} else if strings.Contains(err.Error(), b.token()[30:]) {
			t.Errorf("Revoke: the error has the token: %v", err)
		}
		if _, err := a.RevokeUser(t.Context(), "ada", wrong); err == nil {
			t.Errorf("RevokeUser except %q: no error", wrong)
		}
	}
	b.wantState(`"ada"`)
	if err := a.Revoke(t.Context(), "01890a5d-ac96-774b-bcce-b302099a8057"); err != nil {
		t.Errorf("Revoke of what is not there: %v, want nil", err)
	}
}

// maxPerUser: one login after the other.
func maxPerUser(t *testing.T, k Kind) {
	var mu sync.Mutex
	ended := map[string]session.Reason{}
	a := newStage(t, session.Config{Store: k.open(t), MaxPerUser: 3, On: func(_ context.Context, e session.Event) {
		if e.Kind != session.EventEnded {
			return
		}
		if e.User != "ada" {
			t.Errorf("told of the end of a session of %q, want ada", e.User)
		}
		mu.Lock()
		defer mu.Unlock()
		ended[e.ID] = e.Reason
	}}, nil)
	bob := a.browser(t)
	bob.get("/bob").want200(t)
	var browsers []*browser
	for range 5 {
		b := a.browser(t)
		b.get("/login").want200(t)
		browsers = append(browsers, b)
		elapse(2 * time.Millisecond) // logins are ordered by the millisecond
	}
	for i, b := range browsers {
		b.wantState([]string{"none", `"ada"`}[min(1, i/2)])
	}
	// One that logs in again is the newest: it pushes out nobody, and is the
	// last to go.
	browsers[2].get("/login").want200(t)
	elapse(2 * time.Millisecond)
	b := a.browser(t)
	b.get("/login").want200(t)
	a.wantSessions(t, "ada", b.id(), browsers[2].id(), browsers[4].id())
	browsers[3].wantState("none")
	bob.wantState(`"bob"`)
	mu.Lock()
	defer mu.Unlock()
	if len(ended) != 3 {
		t.Errorf("%d sessions ended, want 3", len(ended))
	}
	for id, reason := range ended {
		if reason != session.ReasonMaxPerUser {
			t.Errorf("session %s ended for the reason %q, want %q", id, reason, session.ReasonMaxPerUser)
		}
	}
}

// maxPerUserAtOnce: N+5 logins that are all stored before the first of
// them looks how many there are, or come as they come.
func maxPerUserAtOnce(t *testing.T, k Kind) {
	const most, logins = 3, 8
	store := k.open(t)
	cfg := session.Config{Store: store, MaxPerUser: most, StoreTimeout: 20 * time.Second}
	for _, together := range []bool{true, false} {
		t.Run(fmt.Sprintf("together=%v", together), func(t *testing.T) {
			here, there := newStage(t, cfg, nil), newStage(t, cfg, nil)
			var all sync.WaitGroup
			all.Add(logins)
			created := func(_ context.Context, call backendtest.Call, err error) error {
				if together && call.Op == backendtest.OpCreate {
					all.Done()
					all.Wait()
				}
				return err
			}
			here.calls.After, there.calls.After = created, created
			var browsers []*browser
			var wg sync.WaitGroup
			for i := range logins {
				b := []*app{here, there}[i%2].browser(t)
				browsers = append(browsers, b)
				wg.Go(func() { b.get("/login").want200(t) })
			}
			wg.Wait()
			here.calls.After, there.calls.After = nil, nil
			var live []string
			for _, b := range browsers {
				if b.state() != "none" {
					live = append(live, b.id())
				}
			}
			if len(live) != most {
				t.Errorf("%d sessions live, want %d", len(live), most)
			}
			here.wantSessions(t, "ada", live...)
			if _, err := here.RevokeUser(t.Context(), "ada"); err != nil {
				t.Error(err)
			}
		})
	}
}

// trimMeetsLogin: while a login decides which session is too many, that
// session's browser logs in again, or somebody else does in it. It is the
// newest then, or not ada's.
func trimMeetsLogin(t *testing.T, k Kind) {
	store := k.open(t)
	for path, want := range map[string]string{"/login": `"ada"`, "/bob": `"bob"`} {
		t.Run("trim"+path, func(t *testing.T) {
			cfg := session.Config{Store: store, MaxPerUser: 1, StoreTimeout: 20 * time.Second}
			here, there := newStage(t, cfg, nil), newStage(t, cfg, nil)
			oldest, newer := there.browser(t), here.browser(t)
			oldest.get("/login").want200(t)
			elapse(2 * time.Millisecond)
			listed := here.calls.Gate(backendtest.OpByUser, backendtest.AtReply)
			result := newer.send("/login")
			reach(t, listed)
			elapse(2 * time.Millisecond)
			oldest.get(path).want200(t)
			listed.Release()
			(<-result).want200(t)
			oldest.wantState(want)
		})
		t.Run("revoke"+path, func(t *testing.T) {
			if path == "/login" {
				return // one that logs in while RevokeUser runs may stay or go
			}
			here, there := newStage(t, session.Config{Store: store}, nil), newStage(t, session.Config{Store: store}, nil)
			b := there.browser(t)
			b.get("/login").want200(t)
			listed := here.calls.Gate(backendtest.OpByUser, backendtest.AtReply)
			done := make(chan error, 1)
			go func() {
				_, err := here.RevokeUser(context.Background(), "ada")
				done <- err
			}()
			reach(t, listed)
			b.get(path).want200(t)
			listed.Release()
			if err := <-done; err != nil {
				t.Error(err)
			}
			b.wantState(want)
		})
	}
}

// userNames are names that a collation, a trim, a pattern, a C string, or a
// separator in a key would mix up.
var userNames = []string{
	"ada", "Ada", "ADA", "ada ", " ada", "ada  ", "ada\t", "ada\n", "ada\x00", "ada\x00b", "\x00", " ", "  ",
	"\u00e1da", "a\u0301da", "ad\u00e1", "stra\u00dfe", "strasse", "\u1e9e", "ſs", "\uff41\uff44\uff41", "i", "I", "\u0131", "\u0130",
	"%", "_", "*", "?", "ad%", "ad_", "[a]", "'; DROP TABLE sessions; --", "\"", "\\", "\\'", "a:b", "a@b", "a/b", "../ada", "{ada}", "{", "}",
	"\xff", "\xff\xfe", "\xc3\x28", "\xed\xa0\x80", "😀", "0", "-1", "null",
	strings.Repeat("x", 255), strings.Repeat("x", 254), strings.Repeat("x", 254) + "X", strings.Repeat("\xff", 255), strings.Repeat("é", 127), strings.Repeat(" ", 255),
}

func anyUserName(t *testing.T, k Kind) {
	var name string
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
		"as": func(s *session.Session) error { s.SetUser(name); return nil },
	})
	browsers, ids := map[string]*browser{}, map[string]string{}
	for _, name = range userNames {
		b := a.browser(t)
		b.get("/as").want200(t)
		browsers[name], ids[name] = b, b.id()
		b.wantState(fmt.Sprintf("%q", name))
	}
	if len(browsers) != len(userNames) {
		t.Fatal("the test has a name twice")
	}
	for _, name := range userNames {
		a.wantSessions(t, name, ids[name])
	}
	for i, name := range userNames {
		if n, err := a.RevokeUser(t.Context(), name); n != 1 || err != nil {
			t.Errorf("RevokeUser(%q): %d, %v, want 1, nil", name, n, err)
		}
		browsers[name].wantState("none")
		for _, later := range userNames[i+1:] {
			if _, err := a.store.Load(t.Context(), mustID(ids[later])); err != nil {
				t.Fatalf("after RevokeUser(%q), the session of %q: %v", name, later, err)
			}
		}
	}
}

func nameTooLong(t *testing.T, k Kind) {
	var seen error
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
		"as": func(s *session.Session) error {
			s.Set("lost", true)
			s.SetUser(strings.Repeat("x", 256))
			seen = s.Err()
			return nil
		},
	})
	b := a.browser(t)
	b.get("/as").want(t, 500, "Internal Server Error\n")
	if seen == nil || !strings.Contains(seen.Error(), "256") {
		t.Errorf("Session.Err is %v, want one that names the length", seen)
	}
	if n := a.records(t); n != 0 {
		t.Errorf("%d records, want 0", n)
	}
	b.get("/login").want200(t)
	if got := b.get("/as"); got.status != 500 || got.session != "" {
		t.Errorf("response %d with the cookie %q, want 500 and none", got.status, got.session)
	}
	b.wantState(`"ada"`)
	if _, err := a.Sessions(t.Context(), strings.Repeat("x", 256)); err != nil && !errors.Is(err, backend.ErrUser) {
		t.Errorf("Sessions of a name that nobody has: %v", err)
	}
}
