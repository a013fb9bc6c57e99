package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
)

// This file runs every interleaving of the store calls of two and three
// requests. Each request stops before each of its store calls; a scheduler
// lets one go on at a time, and all orders are tried, depth first.

// A stepStore stops every call of a request until the scheduler lets it go on.
type stepStore struct {
	backend.Store
	mu     sync.Mutex
	parked map[int]chan struct{}
	blind  bool // Update overwrites whatever is there: a planted fault
}

type requestKey struct{}

func (s *stepStore) step(ctx context.Context) {
	if who, ok := ctx.Value(requestKey{}).(int); ok {
		turn := make(chan struct{})
		s.mu.Lock()
		s.parked[who] = turn
		s.mu.Unlock()
		<-turn
	}
}

// waiting returns the requests that wait before a store call.
func (s *stepStore) waiting() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.parked))
}

func (s *stepStore) release(who int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.parked[who])
	delete(s.parked, who)
}

func (s *stepStore) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	s.step(ctx)
	return s.Store.Load(ctx, id)
}

func (s *stepStore) Create(ctx context.Context, rec backend.Record) error {
	s.step(ctx)
	return s.Store.Create(ctx, rec)
}

func (s *stepStore) Update(ctx context.Context, rec backend.Record) error {
	s.step(ctx)
	if s.blind {
		now, err := s.Store.Load(ctx, rec.ID)
		if err != nil {
			return err
		}
		rec.Version = now.Version
	}
	return s.Store.Update(ctx, rec)
}

func (s *stepStore) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	s.step(ctx)
	return s.Store.Touch(ctx, id, expires)
}

func (s *stepStore) Delete(ctx context.Context, id uuid.UUID) error {
	s.step(ctx)
	return s.Store.Delete(ctx, id)
}

func (s *stepStore) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	s.step(ctx)
	return backend.AbilitiesOf(s.Store).UserIndex.ByUser(ctx, user)
}

// A stepDeleter also has the optional conditional delete.
type stepDeleter struct{ *stepStore }

func (s stepDeleter) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	s.step(ctx)
	return backend.AbilitiesOf(s.Store).VersionedDeleter.DeleteVersion(ctx, id, version)
}

// A race is a scenario: requests that share a session, and what must hold
// whatever the order of their store calls.
type race struct {
	name     string
	requests []func(*session.Session)
	anon     bool // the requests come without a cookie
	age      time.Duration
	check    func(*outcome) error
}

// An outcome is what a schedule led to.
type outcome struct {
	m      *session.Manager
	of     []*session.Manager // of each request
	before *http.Cookie       // what the requests came with
	after  []*http.Cookie     // what each was answered with, nil for none
	status []int
	store  backend.Store
}

// read returns the values of the session that cookie opens.
func (o *outcome) read(cookie *http.Cookie) map[string]any {
	values := map[string]any{}
	o.do(cookie, 0, false, func(s *session.Session) {
		for _, key := range s.Keys() {
			values[key] = s.Get(key)
		}
		if user := s.User(); user != "" {
			values["user"] = user
		}
	})
	return values
}

// do runs one request whose handler is f; stepped says that it waits for the
// scheduler.
func (o *outcome) do(cookie *http.Cookie, who int, stepped bool, f func(*session.Session)) *http.Response {
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	if stepped {
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, who))
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	m := o.m
	if stepped {
		m = o.of[who]
	}
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f(session.FromContext(r))
	})).ServeHTTP(w, r)
	return w.Result()
}

func cookieOf(res *http.Response) *http.Cookie {
	cookies := res.Cookies()
	if len(cookies) == 0 {
		return nil
	}
	return cookies[0]
}

// live returns the cookies that open a session, of all that were ever sent.
func (o *outcome) live() []*http.Cookie {
	var live []*http.Cookie
	for _, c := range append([]*http.Cookie{o.before}, o.after...) {
		if c == nil || c.Value == "" || slices.ContainsFunc(live, func(l *http.Cookie) bool { return l.Value == c.Value }) {
			continue
		}
		var known bool
		o.do(c, 0, false, func(s *session.Session) { known = !s.IsNew() })
		if known {
			live = append(live, c)
		}
	}
	return live
}

// A setup is what a scenario is played in.
type setup struct {
	blind       bool // the planted fault
	conditional bool // the store has the conditional delete
	apart       bool // each request comes to a process of its own, as it were
}

func (su setup) String() string {
	return fmt.Sprintf("%v_%v", su.conditional, map[bool]string{true: "processes", false: "process"}[su.apart])
}

// run plays one schedule: at each step, the index of the request to let go on
// among those that wait. It returns how many could have gone at each step.
func (rc race) run(t *testing.T, schedule []int, su setup) (options []int, err error) {
	synctest.Test(t, func(t *testing.T) {
		inner, openErr := memory.New(memory.Options{})
		if openErr != nil {
			t.Fatal(openErr)
		}
		step := &stepStore{Store: inner, parked: map[int]chan struct{}{}, blind: su.blind}
		var store backend.Store = step
		if su.conditional {
			store = stepDeleter{step}
		}
		newManager := func() *session.Manager {
			m, newErr := session.New(session.Config{Store: store, SweepEvery: -1, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
			if newErr != nil {
				t.Fatal(newErr)
			}
			return m
		}
		o := &outcome{m: newManager(), store: inner, after: make([]*http.Cookie, len(rc.requests)), status: make([]int, len(rc.requests))}
		if !rc.anon {
			o.before = cookieOf(o.do(nil, 0, false, func(s *session.Session) { s.Set("old", 1); s.Set("n", 0) }))
		}
		time.Sleep(rc.age)
		for range rc.requests {
			m := o.m
			if su.apart {
				m = newManager()
			}
			o.of = append(o.of, m)
		}
		running := len(rc.requests)
		done := make(chan struct{}, running)
		for i, f := range rc.requests {
			go func() {
				res := o.do(o.before, i, true, f)
				o.after[i], o.status[i] = cookieOf(res), res.StatusCode
				done <- struct{}{}
			}()
			synctest.Wait()
		}
		for len(done) < running {
			synctest.Wait()
			waiting := step.waiting()
			if len(waiting) == 0 {
				if len(done) < running {
					time.Sleep(time.Millisecond) // a commit that pauses after a conflict
				}
				continue
			}
			choice := 0
			if len(options) < len(schedule) {
				choice = schedule[len(options)]
			}
			options = append(options, len(waiting))
			step.release(waiting[choice])
			synctest.Wait()
		}
		err = rc.check(o)
	})
	return options, err
}

// explore plays every schedule and returns how many there were, and the first
// violations.
func (rc race) explore(t *testing.T, su setup) (runs int, violations []string) {
	for schedule := []int{}; schedule != nil; {
		options, err := rc.run(t, schedule, su)
		runs++
		for len(schedule) < len(options) {
			schedule = append(schedule, 0)
		}
		if err != nil {
			violations = append(violations, fmt.Sprintf("schedule %v: %v", schedule, err))
			if len(violations) == 5 {
				return runs, violations
			}
		}
		schedule = next(schedule, options)
	}
	return runs, violations
}

// next returns the schedule after this one, depth first; nil if it was the last.
func next(schedule, options []int) []int {
	for i := len(schedule) - 1; i >= 0; i-- {
		if schedule[i]+1 < options[i] {
			return append(slices.Clone(schedule[:i]), schedule[i]+1)
		}
	}
	return nil
}

// What the requests do.
func readOld(s *session.Session) { s.Get("old") }
func renew(s *session.Session)   { s.Renew() }
func login(s *session.Session)   { s.SetUser("ada") }
func logout(s *session.Session)  { s.Destroy() }
func setKey(key string) func(*session.Session) {
	return func(s *session.Session) { s.Set(key, true) }
}
func deleteOld(s *session.Session) { s.Delete("old") }
func increment(s *session.Session) {
	session.Update(s, "n", func(n int) int { return n + 1 })
}

// oldIsGone says that the session there was does not open any more, and that
// nobody has what it held.
func oldIsGone(o *outcome) error {
	for _, c := range o.live() {
		if c.Value == o.before.Value {
			return errors.New("the old token still opens a session")
		}
		if values := o.read(c); values["old"] != nil {
			return fmt.Errorf("what the old session held came back: %v", values)
		}
	}
	return nil
}

// oneLives says that one session lives, with these values.
func oneLives(want string) func(*outcome) error {
	return func(o *outcome) error {
		live := o.live()
		if len(live) != 1 {
			return fmt.Errorf("%d tokens open a session, want 1", len(live))
		}
		if got := fmt.Sprint(o.read(live[0])); got != want {
			return fmt.Errorf("it holds %s, want %s", got, want)
		}
		return nil
	}
}

// renewedOnce says that one token lives, and that it is not the old one.
func renewedOnce(o *outcome) error {
	live := o.live()
	if len(live) != 1 || live[0].Value == o.before.Value {
		return fmt.Errorf("%d tokens open a session, want 1, a new one", len(live))
	}
	if values := o.read(live[0]); values["old"] != 1 {
		return fmt.Errorf("it holds %v, want old = 1", values)
	}
	sent := 0
	for _, c := range o.after {
		if c != nil {
			sent++
		}
	}
	if sent != 1 {
		return fmt.Errorf("%d answers set or cleared the cookie, want 1", sent)
	}
	return nil
}

// all says that every request was answered 200, and that checks hold.
func all(checks ...func(*outcome) error) func(*outcome) error {
	return func(o *outcome) error {
		for i, status := range o.status {
			if status != http.StatusOK {
				return fmt.Errorf("request %d was answered %d", i, status)
			}
		}
		for _, check := range checks {
			if err := check(o); err != nil {
				return err
			}
		}
		return nil
	}
}

// notCleared says that no response cleared the cookie while the session that it
// stood for lives on under a new token.
func notCleared(o *outcome) error {
	lives := slices.ContainsFunc(o.live(), func(c *http.Cookie) bool { return o.read(c)["old"] != nil })
	for i, c := range o.after {
		if c != nil && c.Value == "" && lives {
			return fmt.Errorf("answer %d cleared the cookie, and the session lives", i)
		}
	}
	return nil
}

var races = []race{
	{name: "login ∥ read", requests: []func(*session.Session){login, readOld}, check: all(renewedOnce)},
	{name: "login ∥ read ∥ write", requests: []func(*session.Session){login, readOld, setKey("a")}, check: all(renewedOnce)},
	{name: "logout ∥ write", requests: []func(*session.Session){logout, setKey("a")}, check: all(oldIsGone)},
	{name: "logout ∥ write ∥ renew", requests: []func(*session.Session){logout, setKey("a"), renew}, check: afterLogoutAndRenew},
	{name: "renew ∥ renew", requests: []func(*session.Session){renew, renew}, check: all(renewedOnce)},
	{name: "renew ∥ renew ∥ write", requests: []func(*session.Session){renew, renew, setKey("a")}, check: all(renewedOnce)},
	{name: "renew ∥ logout", requests: []func(*session.Session){renew, logout}, check: afterLogoutAndRenew},
	{name: "create ∥ create", requests: []func(*session.Session){setKey("a"), setKey("b")}, anon: true, check: all(twoCreated)},
	{name: "touch ∥ destroy", requests: []func(*session.Session){readOld, logout}, age: 10 * time.Minute, check: all(oldIsGone)},
	{name: "touch ∥ destroy ∥ write", requests: []func(*session.Session){readOld, logout, setKey("a")}, age: 10 * time.Minute, check: all(oldIsGone)},
	{name: "update ∥ update", requests: []func(*session.Session){increment, increment}, check: all(oneLives("map[n:2 old:1]"))},
	{name: "update ∥ update ∥ update", requests: []func(*session.Session){increment, increment, increment}, check: all(oneLives("map[n:3 old:1]"))},
	{name: "set ∥ set", requests: []func(*session.Session){setKey("a"), setKey("b")}, check: all(oneLives("map[a:true b:true n:0 old:1]"))},
	{name: "set ∥ set ∥ delete", requests: []func(*session.Session){setKey("a"), setKey("b"), deleteOld}, check: all(oneLives("map[a:true b:true n:0]"))},
	{name: "logout ∥ logout", requests: []func(*session.Session){logout, logout}, check: all(oldIsGone)},
	{name: "logout ∥ update ∥ touch", requests: []func(*session.Session){logout, increment, readOld}, age: 10 * time.Minute, check: all(oldIsGone)},
}

func twoCreated(o *outcome) error {
	live := o.live()
	if len(live) != 2 {
		return fmt.Errorf("%d sessions, want 2", len(live))
	}
	for _, c := range live {
		if values := o.read(c); len(values) != 1 {
			return fmt.Errorf("a session holds %v, want one key", values)
		}
	}
	return nil
}

// afterLogoutAndRenew: either the logout came first, and nothing is left, or
// the renewal did, and the logout with the old token has no effect on it.
func afterLogoutAndRenew(o *outcome) error {
	if err := notCleared(o); err != nil {
		return err
	}
	for _, c := range o.live() {
		if c.Value == o.before.Value {
			return errors.New("the old token still opens a session")
		}
	}
	return nil
}

// TestEveryInterleaving explores all scenarios, with and without the store's
// conditional delete, in one process, whose commits queue, and in as many as
// there are requests, and prints how many interleavings there were.
func TestEveryInterleaving(t *testing.T) {
	for _, su := range []setup{{conditional: true}, {}, {conditional: true, apart: true}, {apart: true}} {
		for _, rc := range races {
			t.Run(fmt.Sprintf("%s/%v", strings.ReplaceAll(rc.name, " ", ""), su), func(t *testing.T) {
				runs, violations := rc.explore(t, su)
				for _, v := range violations {
					t.Error(v)
				}
				t.Logf("%s: %d interleavings, %d violations", rc.name, runs, len(violations))
			})
		}
	}
}

// TestInterleavingsFindPlainWrites plants the fault that the compare-and-swap
// is there for, and expects to find it: between processes, as in one the
// queue sees to it that writes do not meet.
func TestInterleavingsFindPlainWrites(t *testing.T) {
	for _, rc := range races {
		switch rc.name {
		case "update ∥ update", "set ∥ set", "renew ∥ renew":
			if runs, violations := rc.explore(t, setup{blind: true, conditional: true, apart: true}); len(violations) == 0 {
				t.Errorf("%s: Update without compare-and-swap: no violation in %d interleavings", rc.name, runs)
			}
		}
	}
}
