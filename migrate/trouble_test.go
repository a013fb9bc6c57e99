package migrate_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/migrate"
)

// faulty is a process with a new store that can be made to fail.
func faulty(t *testing.T, outage session.Outage, source migrate.Source, opts migrate.Options) (*app, *backendtest.Fault) {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := backendtest.NewFault(store)
	cfg := session.Config{Store: f.Store(), OnOutage: outage, Cookie: cookie.Options{Insecure: true}}
	return newProcessWith(t, cfg, source, opts, show), f
}

// The old record is gone when the adopted session cannot be loaded: the response
// has the new cookie, whatever else it is.
func TestNotLoadedAfterAdoption(t *testing.T) {
	for outage, want := range map[session.Outage]int{session.OutageFail: 503, session.OutageAnonymous: 200} {
		t.Run(outage.String(), func(t *testing.T) {
			old := holding(ann)
			a, f := faulty(t, outage, old, migrate.Options{Adopted: login})
			f.On(backendtest.OpLoad, 1, backendtest.Fail(errStore))
			token := expect(t, a.get("/", oldCookie), want, "", 1)
			if old.has(oldID) {
				t.Fatal("the old record is still there: nothing was tested")
			}
			expect(t, a.get("/", oldCookie, token), 200, "ann Ann", 0)
		})
	}
}

// Another process serves requests with the old cookie in the same session, and
// hands out its cookie, until the browser must have had it.
func TestAnotherProcessAfterAdoption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := holding(ann)
		a := newApp(t, old, migrate.Options{Adopted: login})
		b := newProcess(t, a.store, old, migrate.Options{Adopted: login}, show)
		token := expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
		if again := expect(t, b.get("/set", oldCookie), 200, "ann Ann", 1); again != token {
			t.Error("the other process hands out another token")
		}
		expect(t, b.get("/set", oldCookie, token), 200, "ann Ann", 0)
		expect(t, b.get("/set", oldName+"=id-of-bob"), 200, " <nil>", 1) // another browser

		time.Sleep(10 * time.Second) // all requests that were under way are answered
		expect(t, b.get("/set", oldCookie), 200, " <nil>", 1)
	})
}

// Without the mark nothing is removed, and when it cannot be looked up nobody
// becomes anonymous.
func TestMarkFails(t *testing.T) {
	mark, err := migrate.MarkID("test", oldID)
	if err != nil {
		t.Fatal(err)
	}
	old := holding(ann)
	a, f := faulty(t, session.OutageFail, old, migrate.Options{Adopted: login})
	for _, op := range []backendtest.Op{backendtest.OpCreate, backendtest.OpUpdate} {
		f.Before = func(_ context.Context, call backendtest.Call) error {
			if call.Op == op && call.ID == mark {
				return errStore
			}
			return nil
		}
		expect(t, a.get("/set", oldCookie), 503, "", 0)
		if n, err := a.m.Count(context.Background()); n != 0 || err != nil || !old.has(oldID) {
			t.Errorf("%v of the mark failed: the old record is there: %v, and %d new ones, %v", op, old.has(oldID), n, err)
		}
	}
	f.Before = nil
	f.On(backendtest.OpLoad, 1, backendtest.Fail(errStore))
	expect(t, a.get("/set", oldName+"=id-of-bob"), 503, "", 0)
	expect(t, a.get("/set", oldCookie), 200, "ann Ann", 1)
}

// A store that can do nothing but what it must is enough.
func TestStoreWithoutAbilities(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	plain := backendtest.NewFault(store).StoreWith(0)
	opts := migrate.Options{Adopted: login}
	old := holding(ann)
	cfg := session.Config{Store: plain, Cookie: cookie.Options{Insecure: true}}
	a := newProcessWith(t, cfg, old, opts, show)
	b := newProcessWith(t, cfg, old, opts, show)
	old.stuck = migrate.ErrChanged // the mark is taken back
	expect(t, a.get("/", oldCookie), 503, "", 0)
	old.stuck = nil
	token := expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
	if again := expect(t, b.get("/", oldCookie), 200, "ann Ann", 1); again != token {
		t.Error("another process hands out another token")
	}
	expect(t, a.get("/set", oldName+"=id-of-bob"), 200, " <nil>", 1)
}

// A dead cookie does not hide a live one; more than four are not looked up.
func TestSeveralOldCookies(t *testing.T) {
	old := holding(ann)
	a := newApp(t, old, migrate.Options{Adopted: login})
	dead := func(n int) (cookies []string) {
		for i := range n {
			cookies = append(cookies, fmt.Sprintf("%s=id-%d", oldName, i))
		}
		return append(cookies, cookies[0], oldCookie) // one of them twice
	}
	expect(t, a.get("/", dead(4)...), 200, " <nil>", 0)
	if len(old.asked) != 4 {
		t.Errorf("the old store was asked for %q, want 4", old.asked)
	}
	expect(t, a.get("/", dead(3)...), 200, "ann Ann", 1)
}

// A deadline later than any session may have is no reason to fail.
func TestFarDeadline(t *testing.T) {
	for _, years := range []int{100, 200, 1000} {
		old := holding(ann)
		format := migrate.Format{
			Name: "far", CookieName: oldName, Valid: func(id string) bool { return id == oldID },
			Decode: func(data []byte, max int) (migrate.Record, error) {
				rec, err := migrate.DecodeMap(data, max)
				rec.Deadline = time.Now().AddDate(years, 0, 1)
				return rec, err
			},
		}
		a := newApp(t, old, migrate.Options{})
		a.handler = a.m.Middleware(migrate.Adopt(a.m, format, old, migrate.Options{Adopted: login})(http.HandlerFunc(show)))
		expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
	}
}

// What Adopted did that cannot be stored fails at every try: it is a refusal.
func TestAdoptedDoesWrong(t *testing.T) {
	for name, wrong := range map[string]func(*session.Session){
		"bad value":     func(s *session.Session) { s.Set("bad", make(chan int)) },
		"long name":     func(s *session.Session) { s.SetUser(strings.Repeat("x", 256)) },
		"too large":     func(s *session.Session) { s.Set("blob", make([]byte, 2<<20)) },
		"stored, wrong": func(s *session.Session) { s.SetUser("ann"); s.Save(); s.SetIdleTimeout(-1) },
	} {
		t.Run(name, func(t *testing.T) {
			old := holding(ann)
			a := newApp(t, old, migrate.Options{Adopted: func(_ *http.Request, s *session.Session, _ map[string]any) error {
				wrong(s)
				return nil
			}})
			expect(t, a.get("/set", oldCookie), 200, " <nil>", 1)
			if a.expectSessions(1); !old.has(oldID) {
				t.Error("the old record is gone")
			}
			if text := a.log.String(); !strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
				t.Errorf("the log is %s", text)
			}
		})
	}
}

// So is a session that is too large for its store.
func TestTooLargeForTheStore(t *testing.T) {
	old := holding(ann)
	a := newApp(t, old, migrate.Options{})
	a.store.fail = func() error { return fmt.Errorf("a full row: %w", session.ErrTooLarge) }
	expect(t, a.get("/", oldCookie), 200, " <nil>", 0)
	if !old.has(oldID) {
		t.Error("the old record is gone")
	}
}
