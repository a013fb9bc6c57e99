package behaviour

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/flash"
)

// A stage is an app for requests that meet: its path /NAME does the deed of that
// name to the session, and can be held in the middle of its handler;
// /key/set/KEY and /key/delete/KEY are for one key.

// A deed is what a handler does to its session. Its error is the response, with
// status 422.
type deed = func(s *session.Session) error

// deeds are the common ones. Each stage has them all; "show" answers with
// what the session is (see shown).
var deeds = map[string]deed{
	"show":     func(*session.Session) error { return nil },
	"start":    func(s *session.Session) error { s.Set("a", 1); s.Set("cart", "tea"); return nil },
	"set":      func(s *session.Session) error { s.Set("late", true); return nil },
	"delete":   func(s *session.Session) error { s.Delete("a"); return nil },
	"clear":    func(s *session.Session) error { s.Clear(); return nil },
	"pop":      func(s *session.Session) error { s.Pop("a"); return nil },
	"renew":    func(s *session.Session) error { s.Renew(); return nil },
	"setrenew": func(s *session.Session) error { s.Set("late", true); s.Renew(); return nil },
	"login":    func(s *session.Session) error { s.SetUser("ada"); return nil },
	"bob":      func(s *session.Session) error { s.SetUser("bob"); return nil },
	"leave":    func(s *session.Session) error { s.SetUser(""); return nil },
	"logout":   func(s *session.Session) error { s.Destroy(); return nil },
	"restart":  func(s *session.Session) error { s.Destroy(); s.Set("fresh", true); return nil },
	"label":    func(s *session.Session) error { s.SetLabel("late"); return nil },
	"remember": func(s *session.Session) error { s.SetPersistent(true); s.SetIdleTimeout(240 * time.Hour); return nil },
	"update":   addOne,
	"save":     func(s *session.Session) error { s.Set("late", true); return s.Save() },
	"saveset": func(s *session.Session) error {
		err := s.Save()
		s.Set("late", true)
		return errors.Join(err, s.Save())
	},
	"reload": func(s *session.Session) error { return s.Reload() },
	"reset":  func(s *session.Session) error { err := s.Reload(); s.Set("late", true); return err },
	"flash":  func(s *session.Session) error { flash.Of(s).Add(flash.LevelNotice, "late"); return nil },
	"take":   func(s *session.Session) error { _, err := flash.Of(s).Take(); return err },
}

func addOne(s *session.Session) error {
	_, err := session.Update(s, "n", func(n int) int { return n + 1 })
	return err
}

// newStage starts an app with the deeds, and more that the test has.
func newStage(t *testing.T, cfg session.Config, more map[string]deed) *app {
	t.Helper()
	a := newApp(t, cfg)
	a.play(more)
	return a
}

// newPlainStage is newStage over a store that has the five methods of a Store
// and nothing else.
func newPlainStage(t *testing.T, cfg session.Config, more map[string]deed) *app {
	t.Helper()
	a := newAppWith(t, cfg, 0)
	a.play(more)
	return a
}

func (a *app) play(more map[string]deed) {
	all := maps.Clone(deeds)
	maps.Copy(all, more)
	a.router.HandleFunc("/{deed}", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		hold(r)
		if err := all[chi.URLParam(r, "deed")](s); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		fmt.Fprint(w, shown(s))
	})
	a.router.HandleFunc("/key/{verb}/{key}", func(w http.ResponseWriter, r *http.Request) {
		s, key := session.FromContext(r), chi.URLParam(r, "key")
		hold(r)
		if chi.URLParam(r, "verb") == "set" {
			s.Set(key, true)
		} else {
			s.Delete(key)
		}
	})
}

// shown is a session in one line: "none", or "ID user key=value key=value".
func shown(s *session.Session) string {
	if s.IsNew() && s.Len() == 0 {
		return "none"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", s.ID(), s.User())
	for _, key := range s.Keys() {
		fmt.Fprintf(&b, " %s=%v", key, s.Get(key))
	}
	return b.String()
}

// state returns what the session of b is, without its ID.
func (b *browser) state() string {
	b.t.Helper()
	got := b.get("/show")
	if got.status != http.StatusOK {
		b.t.Errorf("GET /show: status %d, want 200", got.status)
	}
	_, rest, found := strings.Cut(got.body, " ")
	if !found {
		return got.body
	}
	return rest
}

// id returns the ID of the session of b, which must have one.
func (b *browser) id() string {
	b.t.Helper()
	id, _, found := strings.Cut(b.get("/show").body, " ")
	if !found {
		b.t.Fatalf("the browser has no session")
	}
	return id
}

func (b *browser) wantState(want string) {
	b.t.Helper()
	if got := b.state(); got != want {
		b.t.Errorf("the session is %s, want %s", got, want)
	}
}

// twin returns another browser with the same token: a second tab, whose jar
// shows apart what its own requests do to the cookie.
func (b *browser) twin() *browser {
	b.t.Helper()
	var twin *browser
	if _, direct := b.client.Transport.(recorded); direct {
		twin = b.app.direct(b.t)
	} else {
		twin = b.app.browser(b.t)
	}
	if token := b.token(); token != "" {
		twin.setToken(token)
	}
	return twin
}

// stops are where held requests wait, by the number in their header.
var (
	stops    sync.Map
	stopsSeq atomic.Int64
)

type stop struct{ reached, open chan struct{} }

const stopHeader = "X-Test-Stop"

func hold(r *http.Request) {
	if s, ok := stops.LoadAndDelete(r.Header.Get(stopHeader)); ok {
		close(s.(*stop).reached)
		<-s.(*stop).open
	}
}

// A held request is in its handler: the session is loaded, and nothing has
// been done to it yet.
type held struct {
	stop   *stop
	result chan response
}

// hold sends a request and returns when its handler has begun.
func (b *browser) hold(path string) *held {
	b.t.Helper()
	h := &held{&stop{make(chan struct{}), make(chan struct{})}, make(chan response, 1)}
	name := fmt.Sprint(stopsSeq.Add(1))
	stops.Store(name, h.stop)
	r := b.request("GET", path)
	r.Header.Set(stopHeader, name)
	go func() { h.result <- b.do(r) }()
	select {
	case <-h.stop.reached:
	case got := <-h.result:
		b.t.Fatalf("GET %s: answered %d %q before its handler began", path, got.status, got.body)
	}
	return h
}

// finish lets the handler go on and returns the response.
func (h *held) finish() response { return <-h.let() }

// let lets the handler go on.
func (h *held) let() <-chan response {
	close(h.stop.open)
	return h.result
}

// send sends a request in a goroutine of its own.
func (b *browser) send(path string) <-chan response {
	result := make(chan response, 1)
	go func() { result <- b.get(path) }()
	return result
}

// sortedNames returns the names of deeds, for subtests in a fixed order.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

var endDeeds = map[string]deed{
	"idle":     func(s *session.Session) error { s.SetIdleTimeout(time.Millisecond); return nil },
	"absolute": func(s *session.Session) error { s.SetAbsoluteTimeout(time.Millisecond); return nil },
}

// parallel runs do for rounds 0…rounds-1 in each of workers goroutines, the
// workers by turns on two managers of one store.
func parallel(t *testing.T, here, there *app, workers, rounds int, do func(b *browser, worker, round int)) *browser {
	t.Helper()
	first := here.browser(t)
	first.get("/start").want200(t)
	var wg sync.WaitGroup
	for worker := range workers {
		b := []*app{here, there}[worker%2].browser(t)
		b.setToken(first.token())
		wg.Go(func() {
			for round := range rounds {
				do(b, worker, round)
			}
		})
	}
	wg.Wait()
	return first
}

const workers, rounds = 8, 50

// twoStages are two managers on one store.
func twoStages(t *testing.T, k Kind) (here, there *app) {
	store := k.open(t)
	return newStage(t, session.Config{Store: store}, nil), newStage(t, session.Config{Store: store}, nil)
}

// pair are two managers, each with a store of its own at one place.
func pair(t *testing.T, k Kind) (here, there *app) {
	t.Helper()
	path := k.Fresh(t)
	one := k.openAt(t, path)
	two := one
	if k.Lasts {
		two = k.openAt(t, path)
	}
	return newStage(t, session.Config{Store: one}, nil), newStage(t, session.Config{Store: two}, nil)
}

// fileStage is a stage on the file backend, at a known directory.
func fileStage(t *testing.T) (*app, string) {
	t.Helper()
	dir := File.Fresh(t)
	store, err := backend.Open("file", dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.(interface{ Close() error }).Close() })
	return newStage(t, session.Config{Store: store, SweepEvery: -1}, endDeeds), dir
}
