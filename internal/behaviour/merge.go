package behaviour

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
)

// mergeCases are about changes of requests that overlap.
var mergeCases = []behaviour{
	each("the changes of two requests merge", merge),
	alone("Sets of many keys at once are all stored", parallelKeys),
	alone("Deletes among Sets at once are all stored", parallelDeletes),
	each("changes of one key net out", netOut),
	each("two that create the same key", sameKey),
	alone("many goroutines of one request", manyGoroutines),
	each("nobody waits for a handler", nobodyWaits),
}

// mergeDeeds are what two requests do to a session that begins with a=1 and
// cart=tea.
var mergeDeeds = map[string]deed{
	"seta":    func(s *session.Session) error { s.Set("a", 2); return nil },
	"setb":    func(s *session.Session) error { s.Set("b", 2); return nil },
	"dela":    func(s *session.Session) error { s.Delete("a"); return nil },
	"delcart": func(s *session.Session) error { s.Delete("cart"); return nil },
	"addb": func(s *session.Session) error {
		_, err := session.Update(s, "b", func(n int) int { return n + 2 })
		return err
	},
	"adda": func(s *session.Session) error {
		_, err := session.Update(s, "a", func(n int) int { return n + 5 })
		return err
	},
	"move": func(s *session.Session) error {
		return s.Update(func(v *session.Values) error { v.Set("b", v.Get("a")); v.Delete("a"); return nil })
	},
}

// merge: first has loaded the session when second comes and stores; then
// first stores.
func merge(t *testing.T, k Kind) {
	store := k.open(t)
	for _, plain := range []bool{false, true} {
		cfg := session.Config{Store: store}
		stage := newStage
		if plain {
			stage = newPlainStage
		}
		here, there := stage(t, cfg, mergeDeeds), stage(t, cfg, mergeDeeds)
		for _, c := range []struct{ first, second, want string }{
			{"seta", "setb", `a=2 b=2 cart=tea`},
			{"setb", "seta", `a=2 b=2 cart=tea`},
			{"setb", "dela", `b=2 cart=tea`},
			{"dela", "setb", `b=2 cart=tea`},
			{"dela", "delcart", ``},
			{"clear", "setb", `b=2`},
			{"setb", "clear", `b=2`},
			{"clear", "seta", ``}, // a was there to be cleared; the later store wins
			{"seta", "clear", `a=2`},
			{"seta", "dela", `a=2 cart=tea`},
			{"dela", "seta", `cart=tea`},
			{"pop", "setb", `b=2 cart=tea`},
			{"addb", "setb", `a=1 b=4 cart=tea`},
			{"setb", "addb", `a=1 b=2 cart=tea`},
			{"addb", "addb", `a=1 b=4 cart=tea`},
			{"adda", "dela", `a=5 cart=tea`},
			{"dela", "adda", `cart=tea`},
			{"move", "adda", `b=6 cart=tea`},
			{"adda", "move", `a=5 b=1 cart=tea`},
			{"label", "setb", `a=1 b=2 cart=tea`},
			{"setb", "label", `a=1 b=2 cart=tea`},
			{"remember", "setb", `a=1 b=2 cart=tea`},
			{"setb", "remember", `a=1 b=2 cart=tea`},
			{"renew", "setb", `a=1 b=2 cart=tea`},
			{"setrenew", "delcart", `a=1 late=true`},
			{"save", "setb", `a=1 b=2 cart=tea late=true`},
			{"reset", "setb", `a=1 b=2 cart=tea late=true`},
			{"reload", "setb", `a=1 b=2 cart=tea`},
		} {
			for moment, during := range moments {
				name := fmt.Sprintf("%s_%s/%s/plain=%v", c.first, c.second, moment, plain)
				t.Run(name, func(t *testing.T) {
					b, second := here.browser(t), there.browser(t)
					b.get("/start").want200(t)
					second.setToken(b.token())
					during(t, here, b.hold("/"+c.first), func() { second.get("/" + c.second).want200(t) }).want200(t)
					if moment == "before_the_store" && c.first == "reload" {
						return // it has nothing to store, and reads before or after
					}
					b.wantState(strings.TrimSpace(`"" ` + c.want))
				})
			}
		}
	}
}

func parallelKeys(t *testing.T, k Kind) {
	here, there := twoStages(t, k)
	b := parallel(t, here, there, workers, rounds, func(b *browser, worker, round int) {
		b.get(fmt.Sprintf("/key/set/w%d-%d", worker, round)).want200(t).wantNoCookie(t)
	})
	state := b.state()
	if got := strings.Count(state, "=true"); got != workers*rounds {
		t.Errorf("%d keys of %d are there", got, workers*rounds)
	}
	if !strings.Contains(state, " a=1 cart=tea ") {
		t.Error("the first keys are gone")
	}
}

// parallelDeletes: each worker sets a key and deletes the one before.
func parallelDeletes(t *testing.T, k Kind) {
	here, there := twoStages(t, k)
	b := parallel(t, here, there, workers, rounds, func(b *browser, worker, round int) {
		b.get(fmt.Sprintf("/key/set/w%d-%d", worker, round)).want200(t)
		if round > 0 {
			b.get(fmt.Sprintf("/key/delete/w%d-%d", worker, round-1)).want200(t)
		}
	})
	want := `"" a=1 cart=tea`
	for worker := range workers {
		want += fmt.Sprintf(" w%d-%d=true", worker, rounds-1)
	}
	b.wantState(want)
}

func netOut(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
		"nothing": func(s *session.Session) error {
			s.Set("x", 1)
			s.Set("x", 2)
			s.Delete("x")
			s.Set("a", 5)
			s.Set("a", 1)
			s.Delete("cart")
			s.Set("cart", "tea")
			return nil
		},
		"cleared": func(s *session.Session) error { s.Set("x", 1); s.Clear(); s.Set("y", 1); s.Set("a", 1); return nil },
		"undone": func(s *session.Session) error {
			s.Set("x", 1)
			return s.Update(func(v *session.Values) error { v.Delete("x"); return nil })
		},
		"pending": func(s *session.Session) error {
			s.Set("x", 1)
			return s.Update(func(v *session.Values) error { v.Set("z", v.Get("x")); return nil })
		},
		"refused": func(s *session.Session) error {
			err := s.Update(func(v *session.Values) error { v.Set("never", 1); return errTest })
			if !errors.Is(err, errTest) {
				return fmt.Errorf("update returned %v, want fn's error", err)
			}
			return nil
		},
	})
	b := a.browser(t)
	b.get("/start").want200(t)
	for _, c := range []struct{ path, calls, want string }{
		{"/nothing", "Load", `"" a=1 cart=tea`},
		{"/undone", "Load", `"" a=1 cart=tea`},
		{"/refused", "Load", `"" a=1 cart=tea`},
		{"/pending", "Load Update", `"" a=1 cart=tea x=1 z=1`},
		{"/cleared", "Load Update", `"" a=1 y=1`},
	} {
		a.calls.Reset()
		b.get(c.path).want200(t)
		a.wantCalls(t, c.calls)
		b.wantState(c.want)
	}
}

func sameKey(t *testing.T, k Kind) {
	here, there := twoStages(t, k)
	b, other := here.browser(t), there.browser(t)
	b.get("/start").want200(t)
	other.setToken(b.token())
	slow := b.hold("/key/set/x")
	other.get("/key/set/x").want200(t)
	slow.finish().want200(t)
	b.wantState(`"" a=1 cart=tea x=true`)
}

// manyGoroutines: everything that a session can do, from many goroutines
// of one request at once. The race detector is the judge; what was set under
// keys of one's own must be there.
func manyGoroutines(t *testing.T, k Kind) {
	const goroutines = 16
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{
		"crowd": func(s *session.Session) error {
			var wg sync.WaitGroup
			failed := make([]error, goroutines)
			for g := range goroutines {
				wg.Go(func() { failed[g] = member(s, g) })
			}
			wg.Wait()
			return errors.Join(failed...)
		},
	})
	for _, first := range []string{"/show", "/start"} {
		b := a.browser(t)
		b.get(first).want200(t)
		b.get("/crowd").want200(t)
		state := b.state()
		keys := strings.Fields(state)
		for g := range goroutines {
			if !slices.Contains(keys, fmt.Sprintf("set%d=%d", g, g)) {
				t.Errorf("after %s: what goroutine %d set is not there", first, g)
			}
		}
		if want := fmt.Sprintf("n=%d", goroutines); !slices.Contains(keys, want) {
			t.Errorf("after %s: the session is %s, want %s in it", first, state, want)
		}
		if n := strings.Count(state, "gone"); n != 0 {
			t.Errorf("after %s: %d deleted keys are there", first, n)
		}
	}
}

func member(s *session.Session, g int) error {
	s.Set(fmt.Sprintf("gone%d", g), true)
	s.Set(fmt.Sprintf("set%d", g), g)
	s.Get("a")
	err := addOne(s)
	s.Keys()
	s.Len()
	s.Has("a")
	s.Delete(fmt.Sprintf("gone%d", g))
	s.SetLabel(fmt.Sprint(g))
	s.ID()
	s.Token()
	s.User()
	s.ExpiresAt()
	s.CreatedAt()
	s.IsNew()
	if g%4 == 0 {
		s.Renew()
		err = errors.Join(err, s.Save())
	}
	return errors.Join(err, s.Err())
}

// nobodyWaits: while one request of a session is in its handler,
// and another streams, a third reads and writes; one that is not held up at
// all is within a second.
func nobodyWaits(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
	end, flushed := make(chan struct{}), make(chan struct{})
	a.handle("/open/stream", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("stream", true)
		w.(http.Flusher).Flush()
		close(flushed)
		<-end
		s.Set("ended", true)
	})
	b := a.browser(t)
	b.get("/start").want200(t)
	slow := b.hold("/set")
	stream := b.twin().send("/open/stream")
	<-flushed
	const soon = time.Second // a lock would hold up all of them, until a handler ends or StoreTimeout
	times := 0
	took := least(soon, func() {
		times++
		b.get("/show").want200(t)
		b.get("/update").want200(t)
	})
	if took > soon {
		t.Errorf("a read and a write beside a slow request and a stream took %v at least", took)
	}
	slow.finish().want200(t)
	close(end)
	(<-stream).want200(t)
	all := fmt.Sprintf(`"" a=1 cart=tea ended=true late=true n=%d stream=true`, times)
	eventually(t, "all is stored", func() bool { return b.state() == all })
}
