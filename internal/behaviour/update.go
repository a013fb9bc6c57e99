package behaviour

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
)

// updateCases are about changes that depend on what is stored.
var updateCases = []behaviour{
	alone("no increment is lost", increments),
	alone("no increment is lost among Sets", incrementsAndSets),
	each("of eight that set a missing key one does", compareAndSet),
	each("a lost reply does nothing twice", lostReplies),
	each("an unknown outcome is not called a success", outcomeUnknown),
	each("the function runs again when others have stored", storedWhileFnRuns),
	once("an Update inside an Update", nestedUpdate),
	once("a value of another type is not replaced", anotherType),
}

func increments(t *testing.T, k Kind) {
	here, there := twoStages(t, k)
	b := parallel(t, here, there, workers, rounds, func(b *browser, _, _ int) { b.get("/update").want200(t) })
	b.wantState(fmt.Sprintf(`"" a=1 cart=tea n=%d`, workers*rounds))
}

func incrementsAndSets(t *testing.T, k Kind) {
	here, there := twoStages(t, k)
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

// compareAndSet: of eight requests that set a key only if nobody
// has, exactly one does.
func compareAndSet(t *testing.T, k Kind) {
	errTaken := errors.New("taken")
	var won, lost atomic.Int64
	a := newStage(t, session.Config{Store: k.open(t)}, map[string]deed{"claim": func(s *session.Session) error {
		err := s.Update(func(v *session.Values) error {
			if v.Has("owner") {
				return errTaken
			}
			v.Set("owner", s.ID())
			return nil
		})
		switch {
		case err == nil:
			won.Add(1)
		case errors.Is(err, errTaken):
			lost.Add(1)
		default:
			return err
		}
		return nil
	}})
	b := a.browser(t)
	b.get("/start").want200(t)
	var all []*held
	for range 8 {
		all = append(all, b.twin().hold("/claim"))
	}
	var wg sync.WaitGroup
	for _, h := range all {
		wg.Go(func() { h.finish().want200(t) })
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d requests set the key and %d were told that it is taken, want 1 and 7", won.Load(), lost.Load())
	}
}

// lostReplies: the store did the work and the reply got lost. Nothing is
// done twice, nothing is lost.
func lostReplies(t *testing.T, k Kind) {
	store := k.open(t)
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
		a.calls.On(backendtest.OpUpdate, 1, backendtest.Fail(errTest)) // the request was lost, not the reply
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

// outcomeUnknown: the reply of an Update is lost, and others write before
// it can be looked up. It must not be done twice, nor be called a success.
func outcomeUnknown(t *testing.T, k Kind) {
	here, there := twoStages(t, k)
	for _, done := range []bool{true, false} {
		t.Run(fmt.Sprintf("done=%v", done), func(t *testing.T) {
			b, other := here.browser(t), there.browser(t)
			b.get("/start").want200(t)
			other.setToken(b.token())
			slow := b.hold("/update")
			if done {
				here.calls.Lose(backendtest.OpUpdate, 1)
			} else {
				here.calls.On(backendtest.OpUpdate, 1, backendtest.Fail(errTest))
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
				t.Errorf("response %d %q, want %q", got.status, got.body, session.ErrOutcomeUnknown)
			}
			b.wantState(fmt.Sprintf(`"" a=1 cart=tea n=%d`, n))
		})
	}
}

// storedWhileFnRuns: the session moves on under Update's function, by a
// Save of the same request or by another request. The function runs again.
func storedWhileFnRuns(t *testing.T, k Kind) {
	var meanwhile func(s *session.Session) error
	runs := 0
	here, there := twoStages(t, k)
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

func nestedUpdate(t *testing.T) {
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
				t.Errorf("response %d %q, want %q", got.status, got.body, session.ErrNested)
			}
			if took >= time.Second {
				t.Errorf("it took %v, want less than a second", took)
			}
			b.wantState(want)
		}
	})
}

// anotherType: a counter that was an int64 must not
// begin anew because somebody updates it as an int.
func anotherType(t *testing.T) {
	type cart struct{ Items []string }
	type newCart struct{ Items int }
	for _, tt := range []struct {
		value  any
		update func(*session.Session) error
		types  []string
	}{
		{int64(4100), func(s *session.Session) error { return addOneTyped[int](s) }, []string{"int64", "int"}},
		{4100, func(s *session.Session) error { return addOneTyped[int64](s) }, []string{"int", "int64"}},
		{"4100", func(s *session.Session) error { return addOneTyped[int](s) }, []string{"string", "int"}},
		{uint8(41), func(s *session.Session) error { return addOneTyped[float64](s) }, []string{"uint8", "float64"}},
		{cart{[]string{"tea"}}, func(s *session.Session) error {
			_, err := session.Update(s, "n", func(c newCart) newCart { c.Items++; return c })
			return err
		}, []string{"newCart"}},
		{cart{[]string{"tea"}}, func(s *session.Session) error { return addOneTyped[int](s) }, []string{"int"}},
	} {
		a := newApp(t, session.Config{})
		a.handle("/", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("n", tt.value)
			before := s.Get("n")
			err := tt.update(s)
			if err == nil {
				t.Errorf("Update of a %T: no error", tt.value)
				return
			}
			for _, name := range append(tt.types, `"n"`) {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("Update of a %T: %q does not name %s", tt.value, err, name)
				}
			}
			if strings.Contains(err.Error(), "41") || strings.Contains(err.Error(), "tea") {
				t.Errorf("the error has the value: %v", err)
			}
			if after := s.Get("n"); !reflect.DeepEqual(before, after) {
				t.Errorf("Update of a %T changed %v to %v", tt.value, before, after)
			}
		})
		a.browser(t).get("/")
	}
	a := newApp(t, session.Config{})
	a.handle("/", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("n", nil)
		if err := addOneTyped[int](s); err != nil || s.Get("n") != 1 {
			t.Errorf("Update of nil: %v, the value is %v; want 1", err, s.Get("n"))
		}
	})
	a.browser(t).get("/")
}

func addOneTyped[N int | int64 | float64](s *session.Session) error {
	_, err := session.Update(s, "n", func(n N) N { return n + 1 })
	return err
}
