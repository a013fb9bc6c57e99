package migrate_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/migrate"
)

const (
	oldName = "old"
	oldID   = "id-of-ann"
)

var errStore = errors.New("the store is down")

// oldStore is an old library's store in memory, with doors for tests.
type oldStore struct {
	mu      sync.Mutex
	records map[string][]byte
	asked   []string
	load    func() // called in Load, before it answers
	fail    error  // of Load
	stuck   error  // of Remove
}

func (o *oldStore) Load(_ context.Context, id string, max int) ([]byte, error) {
	o.mu.Lock()
	o.asked = append(o.asked, id)
	data, ok := o.records[id]
	load, fail := o.load, o.fail
	o.mu.Unlock()
	if load != nil {
		load()
	}
	switch {
	case fail != nil:
		return nil, fail
	case !ok:
		return nil, migrate.ErrNotFound
	case len(data) > max:
		return nil, migrate.ErrUnreadable
	}
	return data, nil
}

func (o *oldStore) Remove(_ context.Context, id string, data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stuck != nil {
		return o.stuck
	}
	if now, ok := o.records[id]; !ok || !bytes.Equal(now, data) {
		return migrate.ErrChanged
	}
	delete(o.records, id)
	return nil
}

func (o *oldStore) has(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.records[id]
	return ok
}

func holding(values map[any]any) *oldStore {
	return &oldStore{records: map[string][]byte{oldID: gobOf(values)}}
}

func gobOf(values map[any]any) []byte {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(values); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// newStore is a store of new sessions that can fail.
type newStore struct {
	*memory.Store
	fail func() error // of Create
}

func (n *newStore) Create(ctx context.Context, rec backend.Record) error {
	if n.fail != nil && rec.ID.Version() == 7 { // marks have another
		if err := n.fail(); err != nil {
			return err
		}
	}
	return n.Store.Create(ctx, rec)
}

// app is an application with one process.
type app struct {
	t       *testing.T
	m       *session.Manager
	store   *newStore
	log     *bytes.Buffer
	handler http.Handler
}

func newApp(t *testing.T, source migrate.Source, opts migrate.Options) *app {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return newProcess(t, &newStore{Store: store}, source, opts, show)
}

func newProcess(t *testing.T, store *newStore, source migrate.Source, opts migrate.Options, h http.HandlerFunc) *app {
	t.Helper()
	return newProcessWith(t, session.Config{Store: store, Cookie: cookie.Options{Insecure: true}}, source, opts, h)
}

func newProcessWith(t *testing.T, cfg session.Config, source migrate.Source, opts migrate.Options, h http.HandlerFunc) *app {
	t.Helper()
	a := &app{t: t, log: &bytes.Buffer{}}
	a.store, _ = cfg.Store.(*newStore)
	logger := slog.New(slog.NewTextHandler(a.log, nil))
	cfg.Logger, cfg.SweepEvery = logger, -1
	cfg.Skip = func(r *http.Request) bool { return r.URL.Path == "/static" }
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	opts.Logger = logger
	format := migrate.Format{
		Name: "test", CookieName: oldName, Decode: migrate.DecodeMap, Form: "id- and a name",
		Valid: func(id string) bool { return strings.HasPrefix(id, "id-") },
	}
	a.m, a.handler = m, m.Middleware(migrate.Adopt(m, format, source, opts)(h))
	return a
}

// show answers with the session's user and its value of name.
func show(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	switch r.URL.Path {
	case "/set":
		s.Set("set", true)
	case "/logout":
		s.Destroy()
	}
	fmt.Fprintf(w, "%s %v %v", s.User(), s.Get("name"), s.ID())
}

// get sends a request with cookies and returns the response.
func (a *app) get(path string, cookies ...string) *http.Response {
	r := httptest.NewRequest("GET", "https://shop.example"+path, nil)
	if len(cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(cookies, "; "))
	}
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, r)
	return w.Result()
}

func body(r *http.Response) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// newCookies returns the cookies that r sets but for the old one, which it may
// remove.
func newCookies(r *http.Response) []*http.Cookie {
	return slices.DeleteFunc(r.Cookies(), func(c *http.Cookie) bool { return c.Name == oldName && c.MaxAge < 0 })
}

// expect checks status, the beginning of the body, and whether there is a
// cookie. It returns that cookie.
func expect(t *testing.T, r *http.Response, status int, begins string, cookies int) string {
	t.Helper()
	if text := body(r); r.StatusCode != status || !strings.HasPrefix(text, begins) {
		t.Errorf("answer %d %q, want %d %q…", r.StatusCode, text, status, begins)
	}
	got := newCookies(r)
	if len(got) != cookies {
		t.Errorf("the response sets %d cookies, want %d: %v", len(got), cookies, got)
	}
	if len(got) == 0 {
		return ""
	}
	return got[0].Name + "=" + got[0].Value
}

// expectSessions counts the sessions but for the mark of oldID's adoption.
func (a *app) expectSessions(want int) {
	a.t.Helper()
	n, err := a.m.Count(context.Background())
	id, err2 := migrate.MarkID("test", oldID)
	marks := 0
	if _, err := a.store.Load(context.Background(), id); err == nil {
		marks = 1
	}
	if n-marks != want || errors.Join(err, err2) != nil {
		a.t.Errorf("Count is %d, with %d marks, %v; want %d", n, marks, errors.Join(err, err2), want)
	}
}

// login is what an application does in Options.Adopted.
func login(_ *http.Request, s *session.Session, old map[string]any) error {
	if name, ok := old["uid"].(string); ok {
		s.SetUser(name)
	}
	return nil
}

var ann = map[any]any{"uid": "ann", "name": "Ann", 7: "seven"}

const oldCookie = oldName + "=" + oldID

func TestAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := holding(ann)
		a := newApp(t, old, migrate.Options{Adopted: login})
		token := expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
		if old.has(oldID) {
			t.Error("the old record is still there")
		}
		a.expectSessions(1)
		infos, err := a.m.Sessions(context.Background(), "ann")
		if err != nil || len(infos) != 1 {
			t.Errorf("Sessions of ann: %d, %v; want 1", len(infos), err)
		}
		asked := len(old.asked)
		expect(t, a.get("/", token), 200, "ann Ann", 0)
		expect(t, a.get("/", oldCookie, token), 200, "ann Ann", 0) // the old one is left over
		if len(old.asked) != asked {
			t.Error("a request with a session asks the old store")
		}

		// Requests that the browser sent before it had the new cookie.
		time.Sleep(9 * time.Second)
		if again := expect(t, a.get("/", oldCookie), 200, "ann Ann", 1); again != token {
			t.Error("another token for the same old cookie")
		}
		time.Sleep(time.Second)
		expect(t, a.get("/", oldCookie), 200, " <nil>", 0)
		a.expectSessions(1)
	})
}

// A logout counts for those who still bring the old cookie, at once.
func TestAdoptedAndEnded(t *testing.T) {
	old := holding(ann)
	a := newApp(t, old, migrate.Options{Adopted: login})
	token := expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
	expect(t, a.get("/logout", token), 200, "", 1)
	expect(t, a.get("/", oldCookie), 200, " <nil>", 0)
	a.expectSessions(0)
}

func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := holding(ann)
		gate := make(chan struct{})
		old.load = func() { <-gate }
		a := newApp(t, old, migrate.Options{Adopted: login})
		tokens := make(chan string, 8)
		for range cap(tokens) {
			go func() { tokens <- expect(t, a.get("/set", oldCookie), 200, "ann Ann", 1) }()
		}
		synctest.Wait() // one is in Load, the others wait for it
		close(gate)
		first := <-tokens
		for range cap(tokens) - 1 {
			if token := <-tokens; token != first {
				t.Error("two requests got different tokens")
			}
		}
		if len(old.asked) != 1 {
			t.Errorf("the old store was asked %d times", len(old.asked))
		}
		a.expectSessions(1)
	})
}

// Two processes read the same old record; one adopts it, and the other waits
// for that.
func TestTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := holding(ann)
		gate := make(chan struct{})
		old.load = func() { <-gate }
		var adopted atomic.Int32
		opts := migrate.Options{Adopted: func(r *http.Request, s *session.Session, values map[string]any) error {
			adopted.Add(1)
			return login(r, s, values)
		}}
		a := newApp(t, old, opts)
		b := newProcess(t, a.store, old, opts, show)
		tokens := make(chan string, 2)
		for _, one := range []*app{a, b} {
			go func() { tokens <- expect(t, one.get("/set", oldCookie), 200, "ann Ann", 1) }()
		}
		synctest.Wait()
		close(gate)
		if one, other := <-tokens, <-tokens; one != other || one == "" {
			t.Error("the processes hand out different tokens")
		}
		if n := adopted.Load(); n != 1 {
			t.Errorf("Adopted was called %d times", n)
		}
		a.expectSessions(1)
	})
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name   string
		break_ func(*oldStore, *newStore)
		cure   func(*oldStore, *newStore)
		left   int // sessions that the next request completes
	}{
		{"load", func(o *oldStore, _ *newStore) { o.fail = errStore }, func(o *oldStore, _ *newStore) { o.fail = nil }, 0},
		{"store", func(_ *oldStore, n *newStore) { n.fail = func() error { return errStore } }, func(_ *oldStore, n *newStore) { n.fail = nil }, 0},
		{"remove", func(o *oldStore, _ *newStore) { o.stuck = errStore }, func(o *oldStore, _ *newStore) { o.stuck = nil }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := holding(ann)
			a := newApp(t, old, migrate.Options{Adopted: login})
			tt.break_(old, a.store)
			expect(t, a.get("/set", oldCookie), 503, "Service Unavailable", 0)
			if !old.has(oldID) {
				t.Error("the old record is gone")
			}
			a.expectSessions(tt.left)
			if text := a.log.String(); !strings.Contains(text, errStore.Error()) || strings.Contains(text, oldID) {
				t.Errorf("the log is %s", text)
			}
			tt.cure(old, a.store)
			expect(t, a.get("/set", oldCookie), 200, "ann Ann", 1)
			a.expectSessions(1)
		})
	}
}

func TestErrorHandler(t *testing.T) {
	old := holding(ann)
	old.fail = errStore
	a := newApp(t, old, migrate.Options{ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, fmt.Sprint("own page: ", errors.Is(err, errStore)), 500)
	}})
	expect(t, a.get("/", oldCookie), 500, "own page: true", 0)
}

type stranger struct{ A int }

func init() { gob.RegisterName("stranger", stranger{}) }

// skippers returns an old session with values that cannot be adopted.
func skippers() *oldStore {
	data := gobOf(map[any]any{
		"uid": "ann", "name": "Ann", 7: "int", "7": "text", "far": stranger{1}, "sum": complex(1, 2),
		[2]int{1, 2}: "array", "list": []any{1, map[any]any{"a": 1}}, "odd": map[any]any{1: 2},
	})
	return &oldStore{records: map[string][]byte{oldID: bytes.ReplaceAll(data, []byte("stranger"), []byte("strangee"))}}
}

func init() {
	gob.Register([]any{})
	gob.Register(map[any]any{})
	gob.Register([2]int{})
}

func TestSkipped(t *testing.T) {
	old := skippers()
	var mu sync.Mutex
	skipped := map[string]string{}
	keys := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, session.FromContext(r).Keys(), session.FromContext(r).Get("7"), session.FromContext(r).Get("list"))
	}
	a := newApp(t, old, migrate.Options{})
	a = newProcess(t, a.store, old, migrate.Options{Lossy: true, Skipped: func(s migrate.Skip) {
		mu.Lock()
		defer mu.Unlock()
		if s.Err == nil {
			t.Errorf("%s is skipped without an error", s.Key)
		}
		skipped[s.Key] += s.Type
	}}, keys)
	expect(t, a.get("/", oldCookie), 200, "[7 list name odd uid]text[1 map[a:1]]", 1)
	want := map[string]string{"far": "strangee", "sum": "complex128", "7": "string", "([2]int)": "string"}
	if fmt.Sprint(skipped) != fmt.Sprint(want) {
		t.Errorf("skipped %v, want %v", skipped, want)
	}
	for key, typ := range want {
		if text := a.log.String(); !strings.Contains(text, key) || !strings.Contains(text, typ) {
			t.Errorf("the log does not say %s, %s:\n%s", key, typ, text)
		}
	}
}

// By default a session whose values cannot all be adopted waits.
func TestNotAdoptedInPart(t *testing.T) {
	old := skippers()
	a := newApp(t, old, migrate.Options{Adopted: login})
	for range 3 {
		expect(t, a.get("/", oldCookie), 200, " <nil>", 0)
	}
	if a.expectSessions(0); !old.has(oldID) {
		t.Error("the old record is gone")
	}
	text := a.log.String()
	if !strings.Contains(text, "does not know the type \\\"strangee\\\"") || !strings.Contains(text, "gob.RegisterName") {
		t.Errorf("the log does not say which type to register, and how:\n%s", text)
	}
	if n := strings.Count(text, "key=far"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}

func TestTooLargeForTheNewSession(t *testing.T) {
	old := holding(map[any]any{"name": "Ann", "blob": make([]byte, 2<<20)})
	a := newApp(t, old, migrate.Options{MaxBytes: 4 << 20, Lossy: true})
	expect(t, a.get("/", oldCookie), 200, " Ann", 1)
	if text := a.log.String(); !strings.Contains(text, "key=blob") || !strings.Contains(text, "MaxBytes") {
		t.Errorf("the log is %s", text)
	}
}

func TestRefused(t *testing.T) {
	old := holding(ann)
	a := newApp(t, old, migrate.Options{Adopted: func(_ *http.Request, s *session.Session, _ map[string]any) error {
		s.SetUser("ann")
		return errors.New("she is banned")
	}})
	expect(t, a.get("/set", oldCookie), 200, " <nil>", 1) // an anonymous session of its own
	if !old.has(oldID) || !strings.Contains(a.log.String(), "she is banned") {
		t.Errorf("the record is there: %v; the log is %s", old.has(oldID), a.log)
	}
	a.expectSessions(1)
}

// A panic in the application's function takes no other request with it.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := holding(ann)
		gate := make(chan struct{})
		once := sync.OnceFunc(func() { <-gate; panic("bad login") })
		a := newApp(t, old, migrate.Options{Adopted: func(*http.Request, *session.Session, map[string]any) error {
			defer func() { once = func() {} }()
			once()
			return nil
		}})
		panicked := make(chan any, 1)
		go func() {
			defer func() { panicked <- recover() }()
			a.get("/", oldCookie)
		}()
		synctest.Wait()
		waiting := make(chan *http.Response, 1)
		go func() { waiting <- a.get("/", oldCookie) }()
		synctest.Wait()
		close(gate)
		if p := <-panicked; p != "bad login" {
			t.Errorf("recovered %v", p)
		}
		expect(t, <-waiting, 503, "", 0)
		expect(t, a.get("/", oldCookie), 200, " Ann", 1)
		a.expectSessions(1)
	})
}

func TestUnreadable(t *testing.T) {
	good := gobOf(ann)
	for name, data := range map[string][]byte{
		"empty": {}, "zero": {0}, "text": []byte("hello"), "truncated": good[:len(good)-3],
		"longer": append(bytes.Clone(good), 0), "oversized": gobOf(map[any]any{"x": make([]byte, 64<<10)}),
		"other gob": {3, 4, 0, 2},
	} {
		old := &oldStore{records: map[string][]byte{oldID: data}}
		a := newApp(t, old, migrate.Options{})
		expect(t, a.get("/", oldCookie), 200, " <nil>", 0)
		if a.expectSessions(0); !old.has(oldID) {
			t.Errorf("%s: the record is gone", name)
		}
		if text := a.log.String(); strings.Count(text, "WARN") != 1 {
			t.Errorf("%s: the log is %s", name, text)
		}
	}
}

func TestNothingToAdopt(t *testing.T) {
	old := &oldStore{records: map[string][]byte{oldID: gobOf(map[any]any{})}}
	a := newApp(t, old, migrate.Options{})
	expect(t, a.get("/", oldCookie), 200, " <nil>", 0)
	expect(t, a.get("/"), 200, " <nil>", 0)
	expect(t, a.get("/", oldName+"=other", "x=y"), 200, " <nil>", 0)
	expect(t, a.get("/static", oldCookie), 200, " <nil>", 0)
	if a.expectSessions(0); len(old.asked) != 1 {
		t.Errorf("the old store was asked for %q", old.asked)
	}
}

// Nothing is adopted for a client that has gone: its response goes nowhere.
func TestClientGone(t *testing.T) {
	for name, at := range map[string]func(o *oldStore, gone func()) migrate.Options{
		"while it is read": func(o *oldStore, gone func()) migrate.Options {
			o.load = gone
			return migrate.Options{Adopted: login}
		},
		"while it is stored": func(_ *oldStore, gone func()) migrate.Options {
			return migrate.Options{Adopted: func(r *http.Request, s *session.Session, values map[string]any) error {
				gone()
				return login(r, s, values)
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			old := holding(ann)
			ctx, cancel := context.WithCancel(context.Background())
			a := newApp(t, old, at(old, cancel))
			r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
			r.Header.Set("Cookie", oldCookie)
			a.handler.ServeHTTP(httptest.NewRecorder(), r)
			if a.expectSessions(0); !old.has(oldID) {
				t.Error("the old record is gone")
			}
			expect(t, a.get("/", oldCookie), 200, "ann Ann", 1)
			a.expectSessions(1)
		})
	}
}

func TestDecodeStruct(t *testing.T) {
	aux := struct {
		Deadline time.Time
		Values   map[string]any
	}{time.Now().Add(30 * time.Minute), map[string]any{"name": "Ann"}}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(aux); err != nil {
		t.Fatal(err)
	}
	rec, err := migrate.DecodeStruct(b.Bytes(), 1000, "Values", "Deadline")
	if err != nil || !rec.Deadline.Equal(aux.Deadline) || rec.Values["name"] != "Ann" {
		t.Errorf("DecodeStruct: %+v, %v", rec, err)
	}
}
