package behaviour

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/flash"
)

// flashCases are about messages for the next page.
var flashCases = []behaviour{
	each("shown once", flashShownOnce),
	each("in order within a level", flashOrder),
	each("kept through a chain of redirects", flashChain),
	each("added in parallel, all are there", flashAddedInParallel),
	each("background requests take none", flashBackground),
	each("of eight readers one shows it", flashEightReaders),
	each("taken during a logout", flashTakenDuringLogout),
	each("not taken while the store fails", flashStoreFails),
	each("Peek takes none", flashPeek),
	each("Keep keeps for one more page", flashKeep),
	each("Now is for this request alone", flashNow),
	each("an empty flash costs nothing", flashEmpty),
	each("Destroy drops what came before", flashDestroy),
}

// newFlashApp is an app with the pages that most cases need: /add?level=… &m=…
// adds messages and redirects, /take, /peek and /keep show, / does neither.
func newFlashApp(t *testing.T, store backend.Store) *app {
	t.Helper()
	a := newApp(t, session.Config{Store: store})
	a.handle("/", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Get("anything")
		fmt.Fprint(w, "page")
	})
	a.handle("/add", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
		for _, m := range r.URL.Query()["m"] {
			flash.Add(r, flash.Level(r.URL.Query().Get("level")), "%s", m)
		}
		http.Redirect(w, r, "/take", http.StatusSeeOther)
	})
	a.handle("/take", func(w http.ResponseWriter, r *http.Request, _ *session.Session) { show(w, flash.Take(r)) })
	a.handle("/peek", func(w http.ResponseWriter, r *http.Request, _ *session.Session) { show(w, flash.Peek(r)) })
	a.handle("/keep", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
		messages := flash.Take(r)
		flash.Keep(r)
		show(w, messages)
	})
	return a
}

// show writes messages as "level:text,level:text".
func show(w http.ResponseWriter, messages flash.Messages) {
	var parts []string
	for _, m := range messages {
		parts = append(parts, fmt.Sprintf("%s:%s", m.Level, m))
	}
	fmt.Fprint(w, strings.Join(parts, ","))
}

func flashShownOnce(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	b := a.browser(t)
	if got := b.get("/add?level=success&m=Saved"); got.status != 303 || got.session == "" {
		t.Fatalf("add: status %d, cookie %q, want 303 and one", got.status, got.session)
	}
	a.calls.Reset()
	b.get("/take").want(t, 200, "success:Saved")
	a.wantCalls(t, "Load Update")
	a.calls.Reset()
	b.get("/take").want(t, 200, "")
	a.wantCalls(t, "Load")
}

func flashOrder(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	b := a.browser(t)
	b.get("/add?level=error&m=1&m=2&m=3&m=4&m=5")
	b.get("/add?level=notice&m=6")
	b.get("/add?level=error&m=7")
	b.get("/take").want(t, 200, "error:1,error:2,error:3,error:4,error:5,notice:6,error:7")
}

func flashChain(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	a.handle("/hop", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("hops", 1)
		http.Redirect(w, r, "/take", http.StatusFound)
	})
	b := a.browser(t)
	b.get("/add?level=warning&m=Careful")
	for range 5 {
		b.get("/hop")
	}
	b.get("/take").want(t, 200, "warning:Careful")
	b.get("/take").want(t, 200, "")
}

// Eight requests that have all loaded the same session each add a message.
func flashAddedInParallel(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	var loaded sync.WaitGroup
	loaded.Add(8)
	a.handle("/meet", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
		loaded.Done()
		loaded.Wait()
		flash.Notice(r, "%s", r.URL.Query().Get("m"))
	})
	b := a.browser(t)
	b.get("/add?level=notice&m=first")
	var requests sync.WaitGroup
	for i := range 8 {
		requests.Go(func() { b.get(fmt.Sprintf("/meet?m=%d", i)) })
	}
	requests.Wait()
	got := strings.Split(b.get("/take").body, ",")
	if got[0] != "notice:first" {
		t.Errorf("the first message is %q, want notice:first", got[0])
	}
	slices.Sort(got)
	want := []string{"notice:0", "notice:1", "notice:2", "notice:3", "notice:4", "notice:5", "notice:6", "notice:7", "notice:first"}
	if !slices.Equal(got, want) {
		t.Errorf("taken %q, want %q", got, want)
	}
}

func flashBackground(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	a.handle("/poll", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		session.FromContext(r).NoTouch()
		s.Set("polls", s.Len())
		w.WriteHeader(http.StatusNoContent)
	})
	b := a.browser(t)
	b.get("/add?level=success&m=Saved")
	var polls sync.WaitGroup
	for range 8 {
		polls.Go(func() { b.get("/poll"); b.get("/") })
	}
	polls.Wait()
	b.get("/take").want(t, 200, "success:Saved")
}

// Eight readers in each of two managers on one store, as in two processes, all
// load the session with the message before any of them takes it.
func flashEightReaders(t *testing.T, k Kind) {
	store := k.open(t)
	apps := []*app{newFlashApp(t, store), newFlashApp(t, store)}
	var loaded sync.WaitGroup
	loaded.Add(16)
	for _, a := range apps {
		a.handle("/meet", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
			loaded.Done()
			loaded.Wait()
			show(w, flash.Take(r))
		})
	}
	one, two := apps[0].browser(t), apps[1].browser(t)
	one.get("/add?level=success&m=a&m=b")
	two.setToken(one.token())

	var mu sync.Mutex
	var shown []string
	var readers sync.WaitGroup
	for _, b := range []*browser{one, two} {
		for range 8 {
			readers.Go(func() {
				got := b.get("/meet")
				mu.Lock()
				defer mu.Unlock()
				if got.status != 200 {
					t.Errorf("a reader got %d %q", got.status, got.body)
				}
				if got.body != "" {
					shown = append(shown, got.body)
				}
			})
		}
	}
	readers.Wait()
	if len(shown) != 1 || shown[0] != "success:a,success:b" {
		t.Errorf("shown %q, want success:a,success:b by one reader of 16", shown)
	}
}

// A page takes the flash of a session that was logged out, or renewed, after
// the page had loaded it.
func flashTakenDuringLogout(t *testing.T, k Kind) {
	for _, end := range []struct {
		name string
		do   func(*session.Session)
	}{
		{"Destroy", (*session.Session).Destroy},
		{"Renew", (*session.Session).Renew},
	} {
		t.Run(end.name, func(t *testing.T) {
			a := newFlashApp(t, k.open(t))
			loaded, ended := make(chan bool), make(chan bool)
			a.handle("/slow", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
				close(loaded)
				<-ended
				show(w, flash.Take(r))
			})
			a.handle("/end", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { end.do(s) })
			b := a.browser(t)
			b.get("/add?level=notice&m=private")
			slow := make(chan response)
			go func() { slow <- b.get("/slow") }()
			<-loaded
			b.get("/end")
			token := b.token()
			close(ended)
			got := <-slow
			got.want(t, 200, "")
			if got.session != "" || b.token() != token {
				t.Errorf("the late page set the cookie %q", got.session)
			}
			if end.name == "Renew" {
				b.get("/take").want(t, 200, "notice:private") // it was not eaten
			}
		})
	}
}

// A store that fails while a message is taken: it is not shown, the error is
// there for who asks, and the message is shown once the store is back.
func flashStoreFails(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	a.handle("/err", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		flash.Now(r, flash.LevelError, "now")
		messages, err := flash.Of(s).Take()
		var store *session.StoreError
		if !errors.As(err, &store) {
			t.Errorf("Take: %v, want a *session.StoreError", err)
		}
		show(w, messages)
	})
	b := a.browser(t)
	b.get("/add?level=success&m=Saved")
	a.calls.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(errors.New("the disk is gone")))
	b.get("/err").want(t, 200, "error:now")
	b.get("/take").want(t, 200, "")
	a.calls.Reset()
	b.get("/take").want(t, 200, "success:Saved")
}

func flashPeek(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	b := a.browser(t)
	b.get("/add?level=success&m=Saved")
	for range 3 {
		a.calls.Reset()
		b.get("/peek").want(t, 200, "success:Saved")
		a.wantCalls(t, "Load")
	}
	b.get("/take").want(t, 200, "success:Saved")
	b.get("/peek").want(t, 200, "")
}

func flashKeep(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	a.handle("/keep-first", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
		flash.Keep(r)
		show(w, flash.Take(r))
		show(w, flash.Take(r)) // once a request, all the same
	})
	b := a.browser(t)
	for _, path := range []string{"/keep", "/keep-first"} {
		b.get("/add?level=success&m=a&m=b")
		b.get(path).want(t, 200, "success:a,success:b")
		b.get(path).want(t, 200, "success:a,success:b")
		b.get("/take").want(t, 200, "success:a,success:b")
		b.get("/take").want(t, 200, "")
	}
}

func flashNow(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	a.handle("/now", func(w http.ResponseWriter, r *http.Request, _ *session.Session) {
		flash.Now(r, flash.LevelError, "%d errors", 2)
		flash.Keep(r)
		show(w, flash.Peek(r))
		fmt.Fprint(w, " ")
		show(w, flash.Take(r))
		show(w, flash.Take(r))
	})
	b := a.browser(t)
	got := b.get("/now")
	got.want(t, 200, "error:2 errors error:2 errors")
	if got.session != "" || a.records(t) != 0 {
		t.Errorf("cookie %q, %d records, want neither", got.session, a.records(t))
	}
	a.wantCalls(t, "")
	b.get("/take").want(t, 200, "")

	b.get("/add?level=notice&m=stored")
	a.calls.Reset()
	b.get("/now").want(t, 200, "notice:stored,error:2 errors notice:stored,error:2 errors")
	a.wantCalls(t, "Load")
	b.get("/take").want(t, 200, "notice:stored")
}

func flashEmpty(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	a.handle("/start", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("k", 1) })
	b := a.browser(t)
	for _, path := range []string{"/take", "/peek", "/keep"} {
		got := b.get(path)
		got.want(t, 200, "")
		if len(got.setCookie) > 0 {
			t.Errorf("%s: Set-Cookie %q, want none", path, got.setCookie)
		}
		if got.header.Get("Vary") != "Cookie" {
			t.Errorf("%s: Vary %q, want Cookie: the page depends on it", path, got.header.Get("Vary"))
		}
	}
	a.wantCalls(t, "")
	if n := a.records(t); n != 0 {
		t.Errorf("%d records, want 0", n)
	}
	b.get("/start")
	for _, path := range []string{"/take", "/peek", "/keep"} {
		a.calls.Reset()
		got := b.get(path)
		got.want(t, 200, "")
		a.wantCalls(t, "Load")
		if got.session != "" {
			t.Errorf("%s: cookie %q, want none", path, got.session)
		}
	}
}

func flashDestroy(t *testing.T, k Kind) {
	a := newFlashApp(t, k.open(t))
	a.handle("/logout", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		flash.Error(r, "set before")
		taken := flash.Take(r)
		flash.Error(r, "set before, too")
		s.Destroy()
		flash.Keep(r) // nothing of the old session
		flash.Success(r, "Goodbye")
		show(w, taken)
	})
	b := a.browser(t)
	b.get("/add?level=notice&m=old")
	old := b.token()
	b.get("/logout").want(t, 200, "notice:old,error:set before")
	if token := b.token(); token == "" || token == old {
		t.Errorf("token after logout is %q, want a new one", token)
	}
	b.get("/take").want(t, 200, "success:Goodbye")
	b.get("/take").want(t, 200, "")
	b.setToken(old)
	b.get("/take").want(t, 200, "")
}
