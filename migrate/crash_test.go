package migrate_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/migrate"
)

// gated is an old store whose Remove waits, once, when told to.
type gated struct {
	*oldStore
	gate atomic.Pointer[chan struct{}]
}

func (g *gated) Remove(ctx context.Context, id string, data []byte) error {
	if gate := g.gate.Swap(nil); gate != nil {
		<-*gate
	}
	return g.oldStore.Remove(ctx, id, data)
}

// A process that stops at a step of an adoption, for ever or for a while, costs
// nobody his session: another completes it.
func TestProcessStopsDuringAdoption(t *testing.T) {
	t.Run("before the session is stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			old := holding(ann)
			gate := make(chan struct{})
			var calls atomic.Int32
			opts := migrate.Options{Adopted: func(r *http.Request, s *session.Session, values map[string]any) error {
				if calls.Add(1) == 1 {
					<-gate
				}
				return login(r, s, values)
			}}
			a := newApp(t, old, opts)
			b := newProcess(t, a.store, old, opts, show)
			stopped := make(chan *http.Response, 1)
			go func() { stopped <- a.get("/", oldCookie) }()
			synctest.Wait()
			expect(t, b.get("/set", oldCookie), 503, "", 0)
			time.Sleep(10 * time.Second)
			token := expect(t, b.get("/", oldCookie), 200, "ann Ann", 1)
			close(gate)
			(<-stopped).Body.Close()
			a.expectSessions(1)
			expect(t, a.get("/", token), 200, "ann Ann", 0)
		})
	})
	t.Run("before the old record is removed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			old := &gated{oldStore: holding(ann)}
			gate := make(chan struct{})
			old.gate.Store(&gate)
			opts := migrate.Options{Adopted: login}
			a := newApp(t, nil, opts)
			a = newProcess(t, a.store, old, opts, show)
			b := newProcess(t, a.store, old, opts, show)
			stopped := make(chan *http.Response, 1)
			go func() { stopped <- a.get("/", oldCookie) }()
			synctest.Wait()
			token := expect(t, b.get("/", oldCookie), 200, "ann Ann", 1)
			if old.has(oldID) {
				t.Error("the old record is still there")
			}
			close(gate)
			if late := expect(t, <-stopped, 200, "ann Ann", 1); late != token {
				t.Error("the two processes hand out different tokens")
			}
			a.expectSessions(1)
		})
	})
}

// A logout in the old application, at the very moment, is final.
func TestOldSessionEndsDuringAdoption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &gated{oldStore: holding(ann)}
		gate := make(chan struct{})
		old.gate.Store(&gate)
		opts := migrate.Options{Adopted: login}
		a := newApp(t, nil, opts)
		a = newProcess(t, a.store, old, opts, show)
		late := make(chan *http.Response, 1)
		go func() { late <- a.get("/", oldCookie) }()
		synctest.Wait()
		old.mu.Lock()
		delete(old.records, oldID)
		old.mu.Unlock()
		close(gate)
		expect(t, <-late, 200, " <nil>", 0)
		if n, err := a.m.Count(context.Background()); n != 0 || err != nil {
			t.Errorf("%d records are left, %v", n, err)
		}
	})
}

// A write of the old application, at the very moment, is adopted.
func TestOldSessionChangesDuringAdoption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &gated{oldStore: holding(ann)}
		gate := make(chan struct{})
		old.gate.Store(&gate)
		opts := migrate.Options{Adopted: login}
		a := newApp(t, nil, opts)
		a = newProcess(t, a.store, old, opts, show)
		late := make(chan *http.Response, 1)
		go func() { late <- a.get("/", oldCookie) }()
		synctest.Wait()
		old.mu.Lock()
		old.records[oldID] = gobOf(map[any]any{"uid": "ann", "name": "Anna"})
		old.mu.Unlock()
		close(gate)
		expect(t, <-late, 200, "ann Anna", 1)
		a.expectSessions(1)
	})
}

// No store call of an adoption may fail without a user who is logged in after
// a retry, and with at most one session.
func TestEveryStoreCallFailsOnce(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for n := 1; ; n++ {
			old := holding(ann)
			store, err := memory.New(memory.Options{})
			if err != nil {
				t.Fatal(err)
			}
			f := backendtest.NewFault(store)
			a := newProcessWith(t, session.Config{Store: f.Store(), MaxPerUser: 1, Cookie: cookie.Options{Insecure: true}}, old, migrate.Options{Adopted: login}, show)
			a.store = &newStore{Store: store}
			calls, failed := 0, false
			hook := func(_ context.Context, call backendtest.Call) error {
				if calls++; calls == n {
					failed = true
					return errStore
				}
				return nil
			}
			if lost {
				f.After = func(ctx context.Context, call backendtest.Call, err error) error {
					if failure := hook(ctx, call); failure != nil {
						return failure
					}
					return err
				}
			} else {
				f.Before = hook
			}
			r := a.get("/", oldCookie)
			cookies := []string{oldCookie}
			for _, c := range newCookies(r) {
				cookies = append(cookies, c.Name+"="+c.Value)
			}
			f.Before, f.After = nil, nil
			if !failed {
				if n < 6 {
					t.Fatalf("an adoption made %d calls: nothing was tested", calls)
				}
				break
			}
			if r.StatusCode != 200 && r.StatusCode != 503 {
				t.Errorf("call %d failed, its reply lost: %v: status %d", n, lost, r.StatusCode)
			}
			r = a.get("/", cookies...)
			if text := body(r); r.StatusCode != 200 || text[:7] != "ann Ann" {
				t.Errorf("call %d failed, its reply lost: %v: the next response is %d %q\n%s", n, lost, r.StatusCode, text, a.log)
			}
			if infos, err := a.m.Sessions(context.Background(), "ann"); len(infos) != 1 || err != nil {
				t.Errorf("call %d failed, its reply lost: %v: ann has %d sessions, %v", n, lost, len(infos), err)
			}
		}
	}
}

// An adoption ends no session of the user before it is certain; then it counts
// as a login.
func TestMaxPerUserInAdoption(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	old := holding(ann)
	cfg := session.Config{Store: store, MaxPerUser: 1, Cookie: cookie.Options{Insecure: true}}
	refuse := errStore
	a := newProcessWith(t, cfg, old, migrate.Options{Adopted: login}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			session.FromContext(r).SetUser("ann")
		}
		show(w, r)
	})
	other := expect(t, a.get("/login"), 200, "ann", 1) // on another device
	old.stuck = refuse
	expect(t, a.get("/", oldCookie), 503, "", 0)
	expect(t, a.get("/", other), 200, "ann", 0)
	old.stuck = nil
	token := expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
	expect(t, a.get("/", token), 200, "ann Ann", 0)
	expect(t, a.get("/", other), 200, " <nil>", 0)
}
