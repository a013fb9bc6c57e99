package behaviour

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
)

// callbacksCases are about what hooks, stores, writers and values may do with
// the session that they are called for.
var callbacksCases = []behaviour{
	once("every method of a session is tried", everyMethodIsAsked),
	onceAlone("a callback may ask the session", callbacksMayAsk),
	once("a callback may change the session", callbacksMayChange),
	once("a callback that would wait for itself gives up in time", callbacksMayWait),
}

// questions are the methods of a Session that only read.
var questions = map[string]func(*session.Session){
	"AuthenticatedAt": func(s *session.Session) { s.AuthenticatedAt() },
	"CreatedAt":       func(s *session.Session) { s.CreatedAt() },
	"Done":            func(s *session.Session) { s.Done() },
	"Err":             func(s *session.Session) { s.Err() },
	"ExpiresAt":       func(s *session.Session) { s.ExpiresAt() },
	"Format":          func(s *session.Session) { _ = fmt.Sprintf("%v %+v %#v", s, s, s) },
	"Get":             func(s *session.Session) { s.Get("n"); session.Get[nosy](s, "nosy") },
	"Has":             func(s *session.Session) { s.Has("n") },
	"ID":              func(s *session.Session) { s.ID() },
	"IsNew":           func(s *session.Session) { s.IsNew() },
	"Keys":            func(s *session.Session) { s.Keys() },
	"Len":             func(s *session.Session) { s.Len() },
	"Local":           func(s *session.Session) { s.Local("n") },
	"LogValue":        func(s *session.Session) { s.LogValue() },
	"MarshalJSON":     func(s *session.Session) { s.MarshalJSON() },
	"Token":           func(s *session.Session) { s.Token() },
	"Unavailable":     func(s *session.Session) { s.Unavailable() },
	"User":            func(s *session.Session) { s.User() },
}

// changes are those that change it: from below they may be refused, or done
// later, but they return at once as well.
var changes = map[string]func(*session.Session){
	"Clear":              func(s *session.Session) { s.Clear() },
	"Delete":             func(s *session.Session) { s.Delete("m") },
	"Destroy":            func(s *session.Session) { s.Destroy() },
	"NoTouch":            func(s *session.Session) { s.NoTouch() },
	"Pop":                func(s *session.Session) { s.Pop("m") },
	"Renew":              func(s *session.Session) { s.Renew() },
	"Set":                func(s *session.Session) { s.Set("m", time.Now()) },
	"SetAbsoluteTimeout": func(s *session.Session) { s.SetAbsoluteTimeout(time.Hour) },
	"SetIdleTimeout":     func(s *session.Session) { s.SetIdleTimeout(time.Minute) },
	"SetLabel":           func(s *session.Session) { s.SetLabel("below") },
	"SetLocal":           func(s *session.Session) { s.SetLocal("n", 1) },
	"SetPersistent":      func(s *session.Session) { s.SetPersistent(true) },
	"SetUser":            func(s *session.Session) { s.SetUser("ada") },
}

// waits are those that may wait for store calls under way, for less than a
// second: then they take it that these wait for them.
var waits = map[string]func(*session.Session){
	"Release": func(s *session.Session) { s.Release() },
	"Reload":  func(s *session.Session) { s.Reload() },
	"Save":    func(s *session.Session) { s.Save() },
	"Update":  func(s *session.Session) { s.Update(func(v *session.Values) error { v.Set("m", 1); return nil }) },
}

// everyMethodIsAsked: a new method of Session is a question, a change or a
// wait, and has to be said to be one.
func everyMethodIsAsked(t *testing.T) {
	all := maps.Clone(questions)
	maps.Copy(all, changes)
	maps.Copy(all, waits)
	if len(all) != len(questions)+len(changes)+len(waits) {
		t.Error("a method is in two lists")
	}
	methods := reflect.TypeFor[*session.Session]()
	for i := range methods.NumMethod() {
		if name := methods.Method(i).Name; all[name] == nil {
			t.Errorf("Session.%s is in none of the lists above", name)
		}
	}
	if len(all) != methods.NumMethod() {
		t.Errorf("there are %d methods in the lists, and %d in all", len(all), methods.NumMethod())
	}
}

// notAsked are callbacks that nobody can ask a session from.
var notAsked = map[string]string{
	"backend.Opener":              "it runs before there is a manager",
	"backend.InProcess.InProcess": "it is a mark, and never called",
	"session.Getter.Get":          "the library's own have it",
	"session.Setter.Set":          "the library's own have it",
	"session.Setter.Delete":       "the library's own have it",
	"backend.Comparer.Changed":    "no request makes it, but the manager, for all that are watched",
	"backend.Lister.List":         "it is for tools of operators, not for requests",
}

// An inquiry asks its questions wherever it is called from.
type inquiry struct {
	t         *testing.T
	questions map[string]func(*session.Session)
	patience  time.Duration // for one question
	once      bool          // one question of each kind from each callback

	request atomic.Pointer[http.Request]    // the latest
	session atomic.Pointer[session.Session] // its
	now     atomic.Pointer[string]          // the question, for the report of a hang
	depth   atomic.Int32
	above   atomic.Pointer[inner] // the question that was asked first, without a callback

	mu    sync.Mutex // guards what follows
	asked map[string]int
	below map[inner]int // how often, in the act under way
}

// An inner is a callback that is called while a session is asked a question.
type inner struct {
	session  *session.Session
	question string
	callback string
}

func newInquiry(t *testing.T, questions map[string]func(*session.Session), patience time.Duration) *inquiry {
	q := &inquiry{t: t, questions: questions, patience: patience, asked: map[string]int{}, below: map[inner]int{}}
	q.above.Store(&inner{})
	return q
}

// ask asks all, by ctx, by the contexts made of it, and of the session that the
// handler has.
func (q *inquiry) ask(callback string, ctx context.Context) {
	q.mu.Lock()
	q.asked[callback]++
	first := q.asked[callback] == 1
	q.mu.Unlock()
	defer q.depth.Add(-1)
	depth := q.depth.Add(1)
	if depth > 2 || q.once && (depth > 1 || !first) || depth == 2 && q.again(callback) { // a question may be logged, and the log asks
		return
	}
	ctxs := []context.Context{ctx}
	if r := q.request.Load(); r != nil {
		ctxs = append(ctxs, r.Context())
	}
	sessions := []*session.Session{q.session.Load()}
	for _, ctx := range ctxs {
		if ctx == nil {
			continue
		}
		session.Identity(ctx)
		_ = fmt.Sprintf("%v %+v", ctx, ctx)
		if found, ok := session.Lookup(context.WithoutCancel(ctx)); ok {
			sessions = append(sessions, found, session.FromCtx(ctx))
		}
	}
	for _, s := range slices.Compact(sessions) {
		if s == nil {
			continue
		}
		for name, question := range q.questions {
			now := callback + " asks Session." + name
			q.now.Store(&now)
			if depth == 1 {
				q.above.Store(&inner{session: s, question: now})
			}
			if took := least(q.patience, func() { question(s) }); took > q.patience {
				q.t.Errorf("%s, and is answered after %v at least", now, took)
			}
		}
	}
}

// again reports whether the callback has asked all below the same question
// already, in this act: once when a log is asked whether it is enabled, and once
// when it gets the line.
func (q *inquiry) again(callback string) bool {
	key := *q.above.Load()
	key.callback = callback
	q.mu.Lock()
	defer q.mu.Unlock()
	q.below[key]++
	return q.below[key] > 2
}

// act does something that must end, however much is asked meanwhile.
func (q *inquiry) act(name string, do func()) {
	q.t.Helper()
	q.mu.Lock()
	clear(q.below)
	q.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		stacks := make([]byte, 1<<16)
		q.t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
		q.t.Fatalf("%s hangs: %s", name, *q.now.Load())
	}
}

// callbacksOf returns the names of all that programs hand to the library: the
// methods of exported interfaces, and the fields and types that are functions
// or loggers.
func callbacksOf(t *testing.T) (names []string) {
	t.Helper()
	files := token.NewFileSet()
	for _, dir := range []string{".", "admin", "backend", "flash", "gc", "migrate"} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range file.Decls {
				names = append(names, callbacksIn(file.Name.Name, decl)...)
			}
		}
	}
	slices.Sort(names)
	return names
}

func callbacksIn(pkg string, decl ast.Decl) (names []string) {
	types, ok := decl.(*ast.GenDecl)
	if !ok {
		return nil
	}
	for _, spec := range types.Specs {
		spec, ok := spec.(*ast.TypeSpec)
		if !ok || !spec.Name.IsExported() {
			continue
		}
		name := pkg + "." + spec.Name.Name
		switch typ := spec.Type.(type) {
		case *ast.FuncType:
			names = append(names, name)
		case *ast.InterfaceType:
			for _, method := range typ.Methods.List {
				for _, n := range method.Names {
					if n.IsExported() {
						names = append(names, name+"."+n.Name)
					}
				}
			}
		case *ast.StructType:
			for _, field := range typ.Fields.List {
				for _, n := range field.Names {
					if n.IsExported() && isCallback(field.Type) {
						names = append(names, name+"."+n.Name)
					}
				}
			}
		}
	}
	return names
}

// isCallback reports whether a field of that type is a function or a logger.
func isCallback(typ ast.Expr) bool {
	if pointer, ok := typ.(*ast.StarExpr); ok {
		selector, ok := pointer.X.(*ast.SelectorExpr)
		return ok && selector.Sel.Name == "Logger"
	}
	_, ok := typ.(*ast.FuncType)
	return ok
}

// nosy is a value whose methods ask.
type nosy struct{ q *inquiry }

var decoding atomic.Pointer[inquiry] // for a nosy that comes out of the store

func (n nosy) MarshalJSON() ([]byte, error) {
	if n.q != nil {
		n.q.ask("json.Marshaler", nil)
	}
	return []byte(`"nosy"`), nil
}

func (n *nosy) UnmarshalJSON([]byte) error {
	if q := decoding.Load(); q != nil {
		n.q = q
		q.ask("json.Unmarshaler", nil)
	}
	return nil
}

var (
	_ json.Marshaler   = nosy{}
	_ json.Unmarshaler = &nosy{}
)

// nosyError is an error of a store whose text asks.
type nosyError struct{ q *inquiry }

func (e nosyError) Error() string { e.q.ask("error", nil); return "nosy" }

// nosyLog is a log handler that adds who it is to each line.
type nosyLog struct {
	q    *inquiry
	name string
}

func (l nosyLog) Enabled(ctx context.Context, _ slog.Level) bool { l.q.ask(l.name, ctx); return true }

func (l nosyLog) WithAttrs([]slog.Attr) slog.Handler { return l }

func (l nosyLog) WithGroup(string) slog.Handler { return l }

func (l nosyLog) Handle(ctx context.Context, r slog.Record) error {
	l.q.ask(l.name, ctx)
	r.Attrs(func(a slog.Attr) bool { _ = a.Value.Resolve().String(); return true })
	return nil
}

// nosyStore is a store that asks in each call, and fails when it is told to.
type nosyStore struct {
	inner *memory.Store
	q     *inquiry
	fail  atomic.Pointer[failure]
}

// A failure is what the next calls of one kind return.
type failure struct {
	op   string // "" for all
	n    atomic.Int32
	err  error
	done bool // but it is done
}

func (s *nosyStore) next(op string, n int, err error) {
	f := &failure{op: op, err: err}
	f.n.Store(int32(n))
	s.fail.Store(f)
}

func (s *nosyStore) call(method string, ctx context.Context, do func() error) error {
	s.q.ask("backend."+method, ctx)
	_, op, _ := strings.Cut(method, ".")
	if f := s.fail.Load(); f != nil && (f.op == "" || f.op == op) && f.n.Add(-1) >= 0 {
		if f.done {
			_ = do()
		}
		return f.err
	}
	err := do()
	s.q.ask("backend."+method, ctx)
	return err
}

func (s *nosyStore) Load(ctx context.Context, id uuid.UUID) (rec backend.Record, err error) {
	err = s.call("Store.Load", ctx, func() (err error) { rec, err = s.inner.Load(ctx, id); return err })
	return rec, err
}

func (s *nosyStore) Create(ctx context.Context, rec backend.Record) error {
	return s.call("Store.Create", ctx, func() error { return s.inner.Create(ctx, rec) })
}

func (s *nosyStore) Update(ctx context.Context, rec backend.Record) error {
	return s.call("Store.Update", ctx, func() error { return s.inner.Update(ctx, rec) })
}

func (s *nosyStore) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	return s.call("Store.Touch", ctx, func() error { return s.inner.Touch(ctx, id, expires) })
}

func (s *nosyStore) Delete(ctx context.Context, id uuid.UUID) error {
	return s.call("Store.Delete", ctx, func() error { return s.inner.Delete(ctx, id) })
}

func (s *nosyStore) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	return s.call("VersionedDeleter.DeleteVersion", ctx, func() error { return s.inner.DeleteVersion(ctx, id, version) })
}

func (s *nosyStore) ByUser(ctx context.Context, user string) (list []backend.Record, err error) {
	err = s.call("UserIndex.ByUser", ctx, func() (err error) { list, err = s.inner.ByUser(ctx, user); return err })
	return list, err
}

func (s *nosyStore) List(ctx context.Context, prefix string, limit int) (list []backend.Record, err error) {
	err = s.call("Lister.List", ctx, func() (err error) { list, err = s.inner.List(ctx, prefix, limit); return err })
	return list, err
}

func (s *nosyStore) Sweep(ctx context.Context, limit int) (n int, err error) {
	err = s.call("Sweeper.Sweep", ctx, func() (err error) { n, err = s.inner.Sweep(ctx, limit); return err })
	return n, err
}

func (s *nosyStore) Count(ctx context.Context) (n int, err error) {
	err = s.call("Counter.Count", ctx, func() (err error) { n, err = s.inner.Count(ctx); return err })
	return n, err
}

func (s *nosyStore) Bounded() bool { s.q.ask("backend.Bounded.Bounded", nil); return true }

func (s *nosyStore) Confirms() bool { s.q.ask("backend.Confirmer.Confirms", nil); return true }

func (s *nosyStore) Durability() string { s.q.ask("backend.Durable.Durability", nil); return "none" }

func (s *nosyStore) InProcess() { s.q.ask("backend.InProcess.InProcess", nil) }

// plainStore is a nosyStore that can do less: it keeps no time, does not sit in
// this process, and deletes in two steps.
type plainStore struct {
	backend.Store
	can backend.Abilities
	q   *inquiry
}

func (p plainStore) Abilities() backend.Abilities {
	p.q.ask("backend.Able.Abilities", nil)
	return p.can
}

// A nosyWriter asks in each of its methods.
type nosyWriter struct {
	*httptest.ResponseRecorder
	q   *inquiry
	ctx context.Context
}

func (w *nosyWriter) Header() http.Header {
	w.q.ask("http.ResponseWriter", w.ctx)
	return w.ResponseRecorder.Header()
}

func (w *nosyWriter) WriteHeader(code int) {
	w.q.ask("http.ResponseWriter", w.ctx)
	w.ResponseRecorder.WriteHeader(code)
}

func (w *nosyWriter) Write(p []byte) (int, error) {
	w.q.ask("http.ResponseWriter", w.ctx)
	return w.ResponseRecorder.Write(p)
}

func (w *nosyWriter) Flush() { w.q.ask("http.ResponseWriter", w.ctx); w.ResponseRecorder.Flush() }

// A nosyContext is a request's context that asks in each of its methods.
type nosyContext struct {
	context.Context
	q *inquiry
}

func (c nosyContext) Value(key any) any {
	if strings.Contains(fmt.Sprintf("%T", key), "session") { // else it asks itself
		return c.Context.Value(key)
	}
	c.q.ask("context.Context", nil)
	return c.Context.Value(key)
}

func (c nosyContext) Err() error { c.q.ask("context.Context", nil); return c.Context.Err() }

func (c nosyContext) Done() <-chan struct{} { c.q.ask("context.Context", nil); return c.Context.Done() }

// callbacksMayAsk: all questions, from everywhere.
func callbacksMayAsk(t *testing.T) {
	asked := map[string]int{}
	for _, plain := range []bool{false, true} {
		q := newInquiry(t, questions, 2*time.Second)
		decoding.Store(q)
		q.live(plain)
		decoding.Store(nil)
		for name, n := range q.asked {
			asked[name] += n
		}
	}
	for _, name := range []string{"json.Marshaler", "json.Unmarshaler", "error", "http.ResponseWriter", "context.Context", "Session.Update", "session.Update"} {
		if asked[name] == 0 {
			t.Errorf("%s is not called", name)
		}
	}
	for _, name := range callbacksOf(t) {
		if asked[name] == 0 && notAsked[name] == "" {
			t.Errorf("%s never asks: it is new, or no act of the scene comes to it any more", name)
		}
	}
}

// callbacksMayChange: what is changed from below is refused, or done later,
// or ends the session, but nothing hangs.
func callbacksMayChange(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newInquiry(t, map[string]func(*session.Session){name: change}, 8*time.Second).live(false)
		})
	}
}

// callbacksMayWait: what would have to wait for itself gives up in time.
func callbacksMayWait(t *testing.T) {
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newInquiry(t, map[string]func(*session.Session){name: wait}, 8*time.Second)
			q.once = true
			q.live(false)
		})
	}
}

// RunQueryLog is for stores with a driver that can log each statement, with the
// user of the session that it is for: the log asks the session for that. open
// opens a store; what is below it calls ask with the name of each call that it
// makes. Every name in calls must be among them.
func RunQueryLog(t *testing.T, open func(t *testing.T, ask func(call string, ctx context.Context)) backend.Store, calls ...string) {
	q := newInquiry(t, questions, 2*time.Second)
	none := "nothing yet"
	q.now.Store(&none)
	m, err := session.New(q.config(open(t, q.ask)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	c := &scene{inquiry: q, Manager: m}
	login := func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.SetUser("ada"); s.Set("n", 1) }
	for _, cookies := range []string{"", "beegosessionID=" + UnknownToken()} {
		c.cookies = cookies
		for range 2 {
			c.visit("login", login)
		}
		c.visit("load", func(http.ResponseWriter, *http.Request, *session.Session) { time.Sleep(5 * time.Millisecond) })
		c.visit("count", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			session.Update(s, "n", func(n int) int { return n + 1 })
			m.Sessions(r.Context(), "ada")
			m.Count(r.Context())
		})
	}
	c.visit("logout", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() })
	q.mu.Lock() // the collector goes on
	defer q.mu.Unlock()
	for _, call := range calls {
		if q.asked[call] == 0 {
			t.Errorf("no %s has asked: this tests something else (%v)", call, q.asked)
		}
	}
}
