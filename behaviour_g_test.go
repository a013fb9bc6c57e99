package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// TestBehaviourG is section G of BEHAVIOURS.md: requests that overlap on one
// session. tests/processes has the same with two processes.
func TestBehaviourG(t *testing.T) {
	t.Run("54_merge", func(t *testing.T) { forEachBackend(t, testMerge) })                // CC-10
	t.Run("54_parallel_keys", func(t *testing.T) { forEachBackend(t, testParallelKeys) }) // CC-1
	t.Run("54_parallel_deletes", func(t *testing.T) { forEachBackend(t, testParallelDeletes) })
	t.Run("54_net_out", func(t *testing.T) { forEachBackend(t, testNetOut) })
	t.Run("55_same_key", func(t *testing.T) { forEachBackend(t, testSameKey) })
	t.Run("56_increments", func(t *testing.T) { forEachBackend(t, testIncrements) }) // CC-2
	t.Run("56_increments_and_sets", func(t *testing.T) { forEachBackend(t, testIncrementsAndSets) })
	t.Run("56_lost_replies", func(t *testing.T) { forEachBackend(t, testLostReplies) })
	t.Run("56_outcome_unknown", func(t *testing.T) { forEachBackend(t, testOutcomeUnknown) })
	t.Run("56_stored_while_fn_runs", func(t *testing.T) { forEachBackend(t, testStoredWhileFnRuns) }) // CC-9
	t.Run("56_nested_update", testNestedUpdate)                                                       // CC-9
	t.Run("57_two_first_requests", func(t *testing.T) { forEachBackend(t, testTwoFirstRequests) })
	t.Run("58_many_goroutines", func(t *testing.T) { forEachBackend(t, testManyGoroutines) }) // CC-7
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

// testMerge: first has loaded the session when second comes and stores; then
// first stores.
func testMerge(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
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
func twoStages(t *testing.T, open func(*testing.T) backend.Store) (here, there *app) {
	store := open(t)
	return newStage(t, session.Config{Store: store}, nil), newStage(t, session.Config{Store: store}, nil)
}

func testParallelKeys(t *testing.T, open func(*testing.T) backend.Store) {
	here, there := twoStages(t, open)
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

// testParallelDeletes: each worker sets a key and deletes the one before.
func testParallelDeletes(t *testing.T, open func(*testing.T) backend.Store) {
	here, there := twoStages(t, open)
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

func testNetOut(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, map[string]deed{
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
			err := s.Update(func(v *session.Values) error { v.Set("never", 1); return errDown })
			if !errors.Is(err, errDown) {
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

func testSameKey(t *testing.T, open func(*testing.T) backend.Store) {
	here, there := twoStages(t, open)
	b, other := here.browser(t), there.browser(t)
	b.get("/start").want200(t)
	other.setToken(b.token())
	slow := b.hold("/key/set/x")
	other.get("/key/set/x").want200(t)
	slow.finish().want200(t)
	b.wantState(`"" a=1 cart=tea x=true`)
}

func testIncrements(t *testing.T, open func(*testing.T) backend.Store) {
	here, there := twoStages(t, open)
	b := parallel(t, here, there, workers, rounds, func(b *browser, _, _ int) { b.get("/update").want200(t) })
	b.wantState(fmt.Sprintf(`"" a=1 cart=tea n=%d`, workers*rounds))
}

func testIncrementsAndSets(t *testing.T, open func(*testing.T) backend.Store) {
	here, there := twoStages(t, open)
	b := parallel(t, here, there, workers, rounds/2, func(b *browser, worker, round int) {
		if worker < workers/2 {
			b.get("/update").want200(t)
		} else {
			b.get(fmt.Sprintf("/key/set/w%d-%d", worker, round)).want200(t)
		}
	})
	state := b.state()
	if want := fmt.Sprintf(" n=%d ", workers/2*rounds/2); !strings.Contains(state, want) {
		t.Errorf("the session is %s, want%s", state, want)
	}
	if got := strings.Count(state, "=true"); got != workers/2*rounds/2 {
		t.Errorf("%d keys, want %d", got, workers/2*rounds/2)
	}
}

// testLostReplies: the store did the work and the reply got lost. Nothing is
// done twice, nothing is lost.
func testLostReplies(t *testing.T, open func(*testing.T) backend.Store) {
	store := open(t)
	stage := func(t *testing.T) (*app, *browser) {
		a := newStage(t, session.Config{Store: store, TouchEvery: time.Millisecond}, map[string]deed{
			"beside": func(s *session.Session) error {
				return s.Update(func(v *session.Values) error { s.Set("x", 1); v.Set("y", 1); return nil })
			},
		})
		return a, a.browser(t)
	}
	for path, want := range map[string]string{"/start": `"" a=1 cart=tea`, "/update": `"" n=1`, "/login": `"ada"`} {
		t.Run("Create"+path, func(t *testing.T) {
			a, b := stage(t)
			before := a.records(t)
			a.calls.Lose(backendtest.OpCreate, 1)
			b.get(path).want200(t)
			b.wantState(want)
			if n := a.records(t) - before; n != 1 {
				t.Errorf("%d new records, want 1", n)
			}
		})
	}
	for path, want := range map[string]string{
		"/set": `"" a=1 cart=tea late=true`, "/delete": `"" cart=tea`, "/clear": `""`,
		"/update": `"" a=1 cart=tea n=1`, "/save": `"" a=1 cart=tea late=true`, "/renew": `"" a=1 cart=tea`,
		"/login": `"ada" a=1 cart=tea`, "/setrenew": `"" a=1 cart=tea late=true`, "/beside": `"" a=1 cart=tea x=1 y=1`,
	} {
		for lost := 1; lost <= 2; lost++ {
			t.Run(fmt.Sprintf("Update%s/%d", path, lost), func(t *testing.T) {
				a, b := stage(t)
				b.get("/start").want200(t)
				a.calls.Lose(backendtest.OpUpdate, lost)
				b.get(path).want200(t)
				a.calls.Reset()
				b.wantState(strings.TrimSpace(want))
			})
		}
	}
	t.Run("Update_not_done", func(t *testing.T) {
		a, b := stage(t)
		b.get("/start").want200(t)
		a.calls.On(backendtest.OpUpdate, 1, backendtest.Fail(errDown)) // the request was lost, not the reply
		b.get("/update").want200(t)
		b.wantState(`"" a=1 cart=tea n=1`)
	})
	t.Run("Touch", func(t *testing.T) {
		a, b := stage(t)
		b.get("/start").want200(t)
		elapse(2 * time.Millisecond)
		a.calls.Reset()
		a.calls.Lose(backendtest.OpTouch, 1)
		b.get("/show").want200(t).wantNoCookie(t)
		if n := a.calls.Calls(backendtest.OpTouch); n != 1 {
			t.Errorf("%d touches, want 1", n)
		}
		b.wantState(`"" a=1 cart=tea`)
	})
	t.Run("Delete_by_Revoke", func(t *testing.T) {
		a, b := stage(t)
		b.get("/start").want200(t)
		a.calls.Lose(backendtest.OpDelete, 1)
		if err := a.Revoke(t.Context(), b.id()); err != nil && !errors.Is(err, backendtest.ErrLost) {
			t.Errorf("Revoke: %v, want nil or the lost reply", err)
		}
		b.wantState("none")
	})
}

// elapse waits until the clock has moved on by d.
func elapse(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// testOutcomeUnknown: the reply of an Update is lost, and others write before
// it can be looked up. It must not be done twice, nor be called a success.
func testOutcomeUnknown(t *testing.T, open func(*testing.T) backend.Store) {
	here, there := twoStages(t, open)
	for _, done := range []bool{true, false} {
		t.Run(fmt.Sprintf("done=%v", done), func(t *testing.T) {
			b, other := here.browser(t), there.browser(t)
			b.get("/start").want200(t)
			other.setToken(b.token())
			slow := b.hold("/update")
			if done {
				here.calls.Lose(backendtest.OpUpdate, 1)
			} else {
				here.calls.On(backendtest.OpUpdate, 1, backendtest.Fail(errDown))
			}
			lookup := here.calls.Gate(backendtest.OpLoad, backendtest.AtCall)
			result := slow.let()
			reach(t, lookup)
			other.get("/update").want200(t)
			other.get("/update").want200(t)
			lookup.Release()
			got := <-result
			n := 2
			if done {
				n = 3
			}
			if got.status == 200 && !done {
				n = 3 // it was told apart after all, and tried again
			}
			if got.status != 200 && !strings.Contains(got.body, session.ErrOutcomeUnknown.Error()) {
				t.Errorf("answer %d %q, want %q", got.status, got.body, session.ErrOutcomeUnknown)
			}
			b.wantState(fmt.Sprintf(`"" a=1 cart=tea n=%d`, n))
		})
	}
}

// testStoredWhileFnRuns: the session moves on under Update's function, by a
// Save of the same request or by another request. The function runs again.
func testStoredWhileFnRuns(t *testing.T, open func(*testing.T) backend.Store) {
	var meanwhile func(s *session.Session) error
	runs := 0
	here, there := twoStages(t, open)
	do := func(s *session.Session) error {
		runs = 0
		return s.Update(func(v *session.Values) error {
			if runs++; runs == 1 {
				if err := meanwhile(s); err != nil {
					return err
				}
			}
			n, _ := session.Get[int](v, "n")
			v.Set("n", n+1)
			return nil
		})
	}
	here.handle("/do/it", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := do(s); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	})
	b, other := here.browser(t), there.browser(t)
	b.get("/start").want200(t)
	other.setToken(b.token())
	meanwhile = func(s *session.Session) error { s.Set("x", 1); return s.Save() }
	b.get("/do/it").want200(t)
	b.wantState(`"" a=1 cart=tea n=1 x=1`)
	if runs != 2 {
		t.Errorf("after a Save the function ran %d times, want 2", runs)
	}
	meanwhile = func(*session.Session) error { other.get("/update").want200(t); return nil }
	b.get("/do/it").want200(t)
	b.wantState(`"" a=1 cart=tea n=3 x=1`)
	if runs != 2 {
		t.Errorf("after another request's Update the function ran %d times, want 2", runs)
	}
}

func testNestedUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := time.Duration(0)
		a := newStage(t, session.Config{Store: newMemory(t)}, map[string]deed{
			"nested": func(s *session.Session) error {
				start := time.Now()
				defer func() { took = time.Since(start) }()
				return s.Update(func(v *session.Values) error {
					v.Set("outer", 1)
					return s.Update(func(v *session.Values) error { v.Set("inner", 1); return nil })
				})
			},
		})
		for _, path := range []string{"/show", "/start"} { // on a new session, and a stored one
			b := a.direct(t)
			b.get(path)
			want := b.state()
			got := b.get("/nested")
			if got.status != 422 || !strings.Contains(got.body, session.ErrNested.Error()) {
				t.Errorf("answer %d %q, want %q", got.status, got.body, session.ErrNested)
			}
			if took >= time.Second {
				t.Errorf("it took %v, want less than a second", took)
			}
			b.wantState(want)
		}
	})
}

func testTwoFirstRequests(t *testing.T, open func(*testing.T) backend.Store) {
	a := newStage(t, session.Config{Store: open(t)}, nil)
	one, two := a.browser(t), a.browser(t)
	slow := one.hold("/set")
	two.get("/start").want200(t)
	slow.finish().want200(t)
	one.wantState(`"" late=true`)
	two.wantState(`"" a=1 cart=tea`)
	if one.id() == two.id() {
		t.Error("two first requests have one ID")
	}
	if n := a.records(t); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// testManyGoroutines: everything that a session can do, from many goroutines
// of one request at once. The race detector is the judge; what was set under
// keys of one's own must be there.
func testManyGoroutines(t *testing.T, open func(*testing.T) backend.Store) {
	const goroutines = 16
	a := newStage(t, session.Config{Store: open(t)}, map[string]deed{
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
