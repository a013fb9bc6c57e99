package behaviour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

// failureCases are about stores that fail or hang, handlers that panic,
// clients that leave.
var failureCases = []behaviour{
	each("storing fails", storingFails),
	each("every store call fails in turn", everyCallFails),
	each("loading fails", loadingFails),
	each("an outage is answered as each route wants", outagePerRoute),
	each("a store that hangs", storeHangs),
	each("StoreTimeout holds for bounded stores", storeTimeoutHolds),
	each("stored though the client is gone", clientGone),
	each("a panic of the handler stores nothing", handlerPanics),
	once("a panic of the store comes through", storePanics),
	each("a session used after the handler returned", usedAfterReturn),
	each("a half-done write is made whole, or an error", halfDoneWrites),
	alone("no goroutine and no descriptor is left", nothingIsLeft),
}

func storingFails(t *testing.T, k Kind) {
	var failed atomic.Int64
	a := newApp(t, session.Config{Store: k.open(t), On: onFailed(func(err error) {
		var store *session.StoreError
		if !errors.As(err, &store) || !errors.Is(err, errTest) {
			t.Errorf("Config.On got %v, want a StoreError of errTest", err)
		}
		failed.Add(1)
	})})
	a.basics()
	a.handle("/answer", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", "new")
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("X-Early", "yes")
		responses[r.FormValue("by")].write(w, r)
		// Whatever comes now goes nowhere, and is no error.
		w.Header().Set("X-Late", "yes")
		w.WriteHeader(201)
		n, err := io.WriteString(w, "the handler's body")
		m, copyErr := io.Copy(w, strings.NewReader("more"))
		if n != 18 || m != 4 || err != nil || copyErr != nil {
			t.Errorf("a write after the error response: %d %d %v %v", n, m, err, copyErr)
		}
		http.NewResponseController(w).Flush()
		s.Set("b", 1)
	})
	file := servedFile(t)
	for by := range responses {
		for _, isNew := range []bool{true, false} {
			b := a.browser(t)
			if !isNew {
				b.get("/set?k=a&v=old")
			}
			before, hooks := a.records(t), failed.Load()
			a.calls.Reset()
			a.calls.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(errTest))
			a.calls.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(errTest))
			got := b.get("/answer?file=" + file + "&by=" + strings.ReplaceAll(by, " ", "+"))
			a.calls.Reset()
			got.want(t, 503, "Service Unavailable\n")
			got.wantNoCookie(t)
			for name, want := range map[string]string{"Content-Type": "text/plain; charset=utf-8", "Content-Length": "20", "Retry-After": "1", "Cache-Control": "no-store",
				"Etag": "", "Location": "", "Last-Modified": "", "Accept-Ranges": "", "Content-Range": "", "X-Late": "", "X-Early": ""} {
				if name == "X-Late" && by == "nothing" {
					continue // there, it is not late
				}
				if h := got.header.Get(name); h != want {
					t.Errorf("%s: the error response has %s %q, want %q", by, name, h, want)
				}
			}
			if n := failed.Load() - hooks; n != 1 {
				t.Errorf("%s: Config.On was called %d times, want once", by, n)
			}
			a.wantRecords(t, before)
			if !isNew {
				b.get("/get?k=a").want(t, 200, "old")
				b.get("/get?k=b").want(t, 200, "<nil>")
			}
		}
	}
	if lines := a.log.lines("ERROR", "session: request failed"); len(lines) != 2*len(responses) {
		t.Errorf("%d log lines for %d failed requests", len(lines), 2*len(responses))
	}
}

// A scenario is a request that calls the store several times, and what is so
// once it was done.
type scenario struct {
	do    func(s *session.Session) error
	after string // what /state answers then
}

var scenarios = map[string]scenario{
	"create":  {func(s *session.Session) error { s.Set("a", "new"); return nil }, "new "},
	"write":   {func(s *session.Session) error { s.Set("a", "new"); return nil }, "new ada"},
	"renew":   {func(s *session.Session) error { s.Renew(); return nil }, "old ada"},
	"both":    {func(s *session.Session) error { s.Set("a", "new"); s.Renew(); return nil }, "new ada"},
	"login":   {func(s *session.Session) error { s.SetUser("eve"); return nil }, "<nil> eve"}, // ada's value is not eve's
	"destroy": {func(s *session.Session) error { s.Destroy(); return nil }, "<nil> "},
	"another": {func(s *session.Session) error { s.Destroy(); s.Set("a", "new"); return nil }, "new "},
	"touch":   {func(s *session.Session) error { s.Get("a"); return nil }, "old ada"},
	"save":    {func(s *session.Session) error { s.Set("a", "new"); return s.Save() }, "new ada"},
	"update": {func(s *session.Session) error {
		_, err := session.Update(s, "a", func(string) string { return "new" })
		return err
	}, "new ada"},
}

// everyCallFails has each call of each scenario fail: alone, with all after
// it, or by losing its reply. Whatever happens, a response that says it is done
// tells the truth, another one has none of the handler's body, and a cookie
// names a session that is there.
func everyCallFails(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t), MaxPerUser: 1})
	var failAt, failFrom, loseAt atomic.Int64 // numbers of calls
	failFrom.Store(1 << 60)
	a.calls.Before = func(_ context.Context, call backendtest.Call) error {
		if n := int64(call.Seq); n == failAt.Load() || n >= failFrom.Load() {
			return errTest
		}
		return nil
	}
	a.calls.After = func(_ context.Context, call backendtest.Call, err error) error {
		if err == nil && int64(call.Seq) == loseAt.Load() {
			return backendtest.ErrLost
		}
		return err
	}
	a.basics()
	a.handle("/login", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", "old")
		s.SetUser(r.FormValue("user"))
	})
	a.handle("/state", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		fmt.Fprint(w, s.Get("a"), " ", s.User())
	})
	a.handle("/do/{scenario}", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := scenarios[r.PathValue("scenario")].do(s); err != nil {
			http.Error(w, "not done", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "done")
	})
	modes := map[string]func(n int){
		"one":  func(n int) { failAt.Store(int64(n)) },
		"all":  func(n int) { failFrom.Store(int64(n)) },
		"lost": func(n int) { loseAt.Store(int64(n)) },
	}
	for name, sc := range scenarios {
		for mode, arm := range modes {
			for n := 1; ; n++ {
				what := fmt.Sprintf("%s, %s from call %d", name, mode, n)
				b, other := a.browser(t), a.browser(t)
				other.get("/login?user=eve") // whom MaxPerUser will end
				if name != "create" {
					b.get("/login?user=ada")
				}
				token := b.token()
				if name == "touch" {
					a.age(t, token, 10*time.Minute)
				}
				a.calls.Reset()
				arm(n)
				got := b.get("/do/" + name)
				calls := a.calls.Calls(backendtest.OpAny)
				failFrom.Store(1 << 60)
				failAt.Store(0)
				loseAt.Store(0)
				a.calls.Reset()

				ok := got.status == 200
				if ok != (got.body == "done") || !ok && got.status != 503 {
					t.Errorf("%s: the response is %d %q", what, got.status, got.body)
				}
				if new := b.token(); new != "" {
					_, err := a.store.Load(t.Context(), idOf(t, new))
					if new != token && err != nil {
						t.Errorf("%s: the response %d has a cookie of a session that is not there: %v", what, got.status, err)
					}
				}
				state := b.get("/state").body
				switch {
				case ok && state != sc.after:
					t.Errorf("%s: the response says done, the state is %q, want %q", what, state, sc.after)
				case !ok && mode == "one" && name != "create" && name != "login" && name != "another" && got.session == "":
					if state != "old ada" {
						t.Errorf("%s: the response is an error, the state is %q, want the old one", what, state)
					}
				}
				if calls < n {
					if !ok {
						t.Errorf("%s: nothing failed, and the response is %d %q", what, got.status, got.body)
					}
					break
				}
			}
		}
	}
}

func loadingFails(t *testing.T, k Kind) {
	store := k.open(t)
	var handled []error
	closed := newApp(t, session.Config{Store: store})
	custom := newApp(t, session.Config{Store: store, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
		handled = append(handled, err)
		http.Error(w, "sorry", 599)
	}})
	open := newApp(t, session.Config{Store: store, OnOutage: session.OutageAnonymous})
	ran := 0
	for _, a := range []*app{closed, custom, open} {
		a.handle("/read", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			ran++
			fmt.Fprint(w, s.Get("a"), s.Unavailable(), s.IsNew(), s.Err())
		})
		a.basics()
	}
	a := closed.browser(t)
	a.get("/set?k=a&v=kept")
	token := a.token()
	with := func(app *app, path string) response {
		t.Helper()
		app.calls.Reset()
		app.calls.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errTest))
		defer app.calls.Reset()
		b := app.browser(t)
		b.setToken(token)
		got := b.get(path)
		if b.token() != token || len(got.setCookie) > 0 {
			t.Errorf("%s: the cookie was touched", path)
		}
		app.wantCalls(t, "Load") // and no write is tried
		return got
	}
	got := with(closed, "/read")
	got.want(t, 503, "Service Unavailable\n")
	if got.header.Get("Retry-After") == "" {
		t.Error("the 503 has no Retry-After")
	}
	with(closed, "/set?k=a&v=lost").want(t, 503, "Service Unavailable\n")
	with(custom, "/read").want(t, 599, "sorry\n")
	var se *session.StoreError
	if ran != 0 || len(handled) != 1 || !errors.Is(handled[0], errTest) || !errors.As(handled[0], &se) || se.Op != "load" {
		t.Errorf("the handler ran %d times, the ErrorHandler got %v", ran, handled)
	}
	// What has no cookie needs no store.
	closed.calls.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errTest))
	closed.browser(t).get("/ignore").want(t, 200, "ignored")
	closed.calls.Reset()

	with(open, "/read").want(t, 200, "<nil> true true <nil>")
	with(open, "/ignore").want(t, 200, "ignored")
	for _, path := range []string{"/set?k=a&v=lost", "/renew", "/destroy"} { // refused, and not said to be done
		with(open, path).want(t, 503, "Service Unavailable\n")
	}
	if open.Stats().Unavailable == 0 || len(open.log.lines("ERROR", "the store says no")) == 0 {
		t.Error("the outage was neither counted nor logged")
	}
	a.get("/get?k=a").want(t, 200, "kept") // when the store is back
}

// outagePerRoute: with the store down, one group of routes answers 503
// and another one serves as nobody, for the same sessions.
func outagePerRoute(t *testing.T, k Kind) {
	fault := backendtest.NewFault(k.open(t))
	strict := newManager(t, session.Config{Store: fault.Store()})
	lenient := newManager(t, session.Config{Store: fault.Store(), OnOutage: session.OutageAnonymous})
	router := chi.NewRouter()
	show := func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		fmt.Fprint(w, s.Get("a"), " ", s.Unavailable())
	}
	router.With(strict.Middleware).Get("/account", show)
	router.With(lenient.Middleware).Get("/news", show)
	_, token := visit(strict, "", setOne)
	visit := func(path string) (int, string) {
		r, w := httptest.NewRequest("GET", "https://example.com"+path, nil), httptest.NewRecorder()
		r.Header.Set("Cookie", "beegosessionID="+token)
		router.ServeHTTP(w, r)
		if w.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: the cookie is touched", path)
		}
		return w.Code, w.Body.String()
	}
	for _, down := range []bool{false, true, false} {
		want := map[string]string{"/account": "200 1 false", "/news": "200 1 false"}
		if fault.Reset(); down {
			fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(errTest))
			want = map[string]string{"/account": "503 Service Unavailable\n", "/news": "200 <nil> true"}
		}
		for path, want := range want {
			if code, body := visit(path); fmt.Sprint(code, " ", body) != want {
				t.Errorf("down %v, %s: %d %q, want %q", down, path, code, body, want)
			}
		}
	}
}

// storeHangs is for stores that leave time to the manager; what those do that
// keep it themselves is shown with frozen servers.
func storeHangs(t *testing.T, k Kind) {
	const limit = 300 * time.Millisecond
	store := k.open(t)
	a := newAppWith(t, session.Config{Store: store, StoreTimeout: limit}, without(store, backendtest.Bounded))
	patient := newApp(t, session.Config{Store: store}) // which waits for a busy machine
	a.basics()
	patient.basics()
	remove := backendtest.OpDelete
	if backend.AbilitiesOf(store).VersionedDeleter != nil {
		remove = backendtest.OpDeleteVersion
	}
	for _, tt := range []struct {
		op     backendtest.Op
		path   string
		status int
	}{
		{backendtest.OpLoad, "/get?k=a", 503},
		{backendtest.OpLoad, "/set?k=a&v=b", 503},
		{backendtest.OpCreate, "/set?k=a&v=b", 503},
		{backendtest.OpUpdate, "/set?k=a&v=b", 503},
		{backendtest.OpUpdate, "/renew", 503},
		{backendtest.OpTouch, "/get?k=a", 200}, // a note only
		{remove, "/destroy", 503},
	} {
		b := patient.browser(t)
		hangs := func() (got response, took time.Duration, reached bool) {
			hung := a.browser(t)
			if tt.op != backendtest.OpCreate {
				b.get("/set?k=a&v=kept")
				a.age(t, b.token(), 10*time.Minute)
				hung.setToken(b.token())
			}
			a.calls.Reset()
			gate := a.calls.Gate(tt.op, backendtest.AtCall)
			defer gate.Release()
			start := time.Now()
			got = hung.get(tt.path)
			took = time.Since(start)
			select {
			case <-gate.Reached():
				return got, took, true
			default: // on a busy machine the call before it was too slow
				return got, took, false
			}
		}
		got, took, reached := hangs()
		for try := 0; try < 20 && !reached; try++ {
			got, took, reached = hangs()
		}
		if !reached {
			t.Errorf("%s makes no %s", tt.path, tt.op)
		}
		if got.status != tt.status || took < limit || took > 20*limit {
			t.Errorf("%s, %s hangs: status %d after %v, want %d after %v", tt.path, tt.op, got.status, took, tt.status, limit)
		}
		if got.session != "" && !strings.Contains(got.session, "Max-Age=0") {
			t.Errorf("%s, %s hangs: there is a cookie", tt.path, tt.op)
		}
		if tt.op != backendtest.OpCreate && tt.op != remove {
			b.get("/get?k=a").want(t, 200, "kept")
		}
	}
}

func clientGone(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	running, finished := make(chan struct{}), make(chan struct{})
	a.around = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if r.URL.Path == "/slow" {
				finished <- struct{}{}
			}
		})
	}
	a.basics()
	a.handle("/slow", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		running <- struct{}{}
		<-r.Context().Done()
		s.Set("a", "stored")
		if r.FormValue("body") != "" {
			io.WriteString(w, "nobody reads it")
		}
	})
	leave := func(b *browser, path string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := b.try(b.request("GET", path).WithContext(ctx))
			done <- err
		}()
		<-running
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the client got a response, or %v", err)
		}
		<-finished
	}
	for _, path := range []string{"/slow", "/slow?body=1"} {
		b := a.browser(t)
		b.get("/set?k=a&v=before")
		leave(b, path)
		b.get("/get?k=a").want(t, 200, "stored")
		before := a.records(t)
		leave(a.browser(t), path) // a new session would be nobody's
		a.wantRecords(t, before)
	}
	if lines := a.log.lines("ERROR", ""); len(lines) > 0 {
		t.Errorf("errors in the log: %v", lines)
	}
}

func handlerPanics(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	values := map[string]any{"text": "boom", "error": errTest, "abort": http.ErrAbortHandler, "pointer": &struct{ n int }{1}}
	var caught any
	var left *session.Session
	a.around = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if caught = recover(); caught != nil {
					w.WriteHeader(500)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
	a.basics()
	ways := map[string]func(w http.ResponseWriter, s *session.Session){
		"set": func(_ http.ResponseWriter, s *session.Session) { s.Set("a", "dropped"); s.Renew(); s.SetUser("eve") },
		"save": func(_ http.ResponseWriter, s *session.Session) {
			s.Set("a", "saved")
			save(t, s)
			s.Set("a", "dropped")
		},
		"written": func(w http.ResponseWriter, s *session.Session) {
			s.Set("a", "sent")
			io.WriteString(w, "x")
			s.Set("a", "dropped")
		},
		"destroy": func(_ http.ResponseWriter, s *session.Session) {
			s.Set("a", "dropped")
			s.Destroy()
			s.Set("b", "dropped")
		},
		"read": func(_ http.ResponseWriter, s *session.Session) { s.Get("a") },
	}
	a.handle("/panic", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		left = s
		ways[r.FormValue("w")](w, s)
		panic(values[r.FormValue("value")])
	})
	for value := range values {
		for _, tt := range []struct{ way, calls, after string }{
			{"read", "Load", "before"}, {"set", "Load", "before"}, {"save", "Load Update", "saved"}, {"written", "Load Update", "sent"}, {"destroy", "Load " + removing(a), "<nil>"},
		} {
			b := a.browser(t)
			b.get("/set?k=a&v=before")
			token := b.token()
			a.calls.Reset()
			got := b.get("/panic?w=" + tt.way + "&value=" + value)
			a.wantCalls(t, tt.calls)
			if caught != values[value] {
				t.Errorf("%s: the panic came serve as %v, want %v", tt.way, caught, values[value])
			}
			if removed := strings.Contains(got.session, "; Max-Age=0;"); removed != (tt.way == "destroy") || !removed && got.session != "" {
				t.Errorf("%s: the cookie is %q", tt.way, attributesOf(got.session))
			}
			if err := left.Save(); !errors.Is(err, session.ErrReleased) {
				t.Errorf("%s: Save after the panic: %v, want ErrReleased", tt.way, err)
			}
			b.setToken(token)
			b.get("/get?k=a").want(t, 200, tt.after)
			b.get("/get?k=b").want(t, 200, "<nil>")
		}
		before := a.records(t)
		a.calls.Reset()
		a.browser(t).get("/panic?w=set&value=" + value).wantNoCookie(t)
		a.wantCalls(t, "")
		a.wantRecords(t, before)
	}
	// The server itself, with nobody who recovers, ends the connection.
	a.router.HandleFunc("/unrecovered", func(w http.ResponseWriter, r *http.Request) { panic("again") })
	a.browser(t).get("/unrecovered")
}

// A store that panics while the response is stored: the panic comes serve, and
// the session is released.
func storePanics(t *testing.T) {
	for _, op := range []backendtest.Op{backendtest.OpLoad, backendtest.OpCreate, backendtest.OpUpdate} {
		fault := newFault(t)
		m := newManager(t, session.Config{Store: fault.Store()})
		res := serve(m, nil, func(s *session.Session) { s.Set("n", 1) })
		cookie, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
		header := http.Header{"Cookie": {cookie}}
		if op == backendtest.OpCreate {
			header = nil
		}
		fault.Before = func(_ context.Context, call backendtest.Call) error {
			if call.Op == op {
				panic("the store panicked")
			}
			return nil
		}
		got := func() (got any) {
			defer func() { got = recover() }()
			serve(m, header, func(s *session.Session) { s.Set("n", 2) })
			return nil
		}()
		if got != "the store panicked" {
			t.Errorf("%s: recovered %v, want the store's panic", op, got)
		}
	}
}

func usedAfterReturn(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	sessions := make(chan *session.Session, 1)
	a.handle("/leak", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { sessions <- s })
	b := a.browser(t)
	b.get("/set?k=a&v=kept")
	b.get("/leak")
	s := <-sessions
	a.calls.Reset()
	complaints := func() int {
		return len(a.log.lines("ERROR", "change ignored")) + len(a.log.lines("ERROR", "read without a session"))
	}
	before := complaints()
	uses := []func(){
		func() { s.Set("a", "lost") }, func() { s.Delete("a") }, func() { s.Clear() }, func() { s.Renew() }, func() { s.Destroy() },
		func() { s.SetUser("eve") }, func() { s.SetLabel("x") }, func() { s.SetIdleTimeout(time.Hour) }, func() { s.SetAbsoluteTimeout(time.Hour) }, func() { s.SetPersistent(true) },
		func() {
			if s.Get("a") != nil || s.Has("a") || s.Len() != 0 || s.Keys() != nil || s.Pop("a") != nil || s.User() != "" || s.Token() != "" {
				t.Error("a released session has something in it")
			}
		},
	}
	for _, use := range uses {
		use()
	}
	if lines := complaints() - before; lines != len(uses)-1+7 {
		t.Errorf("%d log lines for %d uses", lines, len(uses)-1+7)
	}
	_, updateErr := session.Update(s, "a", func(string) string { return "lost" })
	for _, err := range []error{s.Save(), s.Reload(), s.Err(), s.Update(func(*session.Values) error { return nil }), updateErr} {
		if !errors.Is(err, session.ErrReleased) {
			t.Errorf("an error after the handler returned is %v, want ErrReleased", err)
		}
	}
	a.wantCalls(t, "")
	b.get("/get?k=a").want(t, 200, "kept")

	// Goroutines that are at it while the handler returns.
	var busy sync.WaitGroup
	a.handle("/spawn", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		for i := range 4 {
			busy.Go(func() {
				for n := 0; s.Err() == nil; n++ {
					s.Set(fmt.Sprint("g", i), n)
					s.Get("a")
					if n%10 == 9 {
						s.Save()
					}
				}
			})
		}
	})
	for range 10 {
		b.get("/spawn").want(t, 200, "")
		busy.Wait()
	}
	b.get("/get?k=a").want(t, 200, "kept")
}

// halfDoneWrites: a store does one of the two parts of a write, the record,
// and reports an error; the other, the entry in its index by user, is missing.
// The record under its own commit ID does not prove that all was done: either
// the write is made whole, or the client gets an error. Nobody is logged in
// whom RevokeUser would not find.
func halfDoneWrites(t *testing.T, k Kind) {
	more := map[string]deed{
		"count":  func(s *session.Session) error { s.SetUser("ada"); return addOne(s) },
		"signup": func(s *session.Session) error { s.Set("new", true); s.SetUser("ada"); return s.Save() },
	}
	store := k.open(t)
	for _, path := range []string{"/login", "/count", "/signup"} {
		for _, isNew := range []bool{false, true} {
			for _, fails := range []int{1, 2, 100} {
				half := &halfStore{Store: store, index: map[string]map[uuid.UUID]bool{}}
				a := newStage(t, session.Config{Store: half}, more)
				b := a.browser(t)
				if !isNew {
					b.get("/start").want200(t)
				}
				half.mu.Lock()
				half.fail = fails
				half.mu.Unlock()
				got := b.get(path)
				half.mu.Lock()
				half.fail = 0
				half.mu.Unlock()
				loggedIn := got.session != ""
				if loggedIn != (got.status == 200) || fails < 3 && !loggedIn {
					t.Errorf("%s, new %v, %d half failures: status %d, a cookie: %v", path, isNew, fails, got.status, loggedIn)
				}
				if !loggedIn {
					continue
				}
				if fails > 3 {
					t.Errorf("%s, new %v: logged in by a store that never succeeds", path, isNew)
				}
				if path == "/count" {
					if state := b.state(); state != `"ada" n=1` && state != `"ada" a=1 cart=tea n=1` {
						t.Errorf("%s, new %v, %d half failures: the session is %s: done twice?", path, isNew, fails, state)
					}
				}
				if n, err := a.RevokeUser(t.Context(), "ada"); n != 1 || err != nil {
					t.Errorf("%s, new %v, %d half failures: RevokeUser ended %d sessions, %v; want 1", path, isNew, fails, n, err)
				}
				b.wantState("none")
			}
		}
	}
}

// nothingIsLeft: 120 times new, login, panic and logout leave as many goroutines and
// descriptors as there were. A store may open connections the while, up to one for
// each request at a time and each server that it talks to, and keep them: that comes
// to an end after some rounds, and a leak does not.
func nothingIsLeft(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
	a.handle("/do/panic", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 2)
		panic(http.ErrAbortHandler)
	})
	round := func(n int) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range n / 4 {
					b := a.browser(t)
					b.get("/start").want200(t)
					b.get("/login").want200(t)
					b.try(b.request("GET", "/do/panic"))
					b.get("/logout").want200(t)
					b.client.CloseIdleConnections()
				}
			})
		}
		wg.Wait()
	}
	round(20)
	goroutines, files := settled(t)
	for range 8 {
		hadGoroutines, hadFiles := goroutines, files
		round(120)
		if goroutines, files = settled(t); goroutines <= hadGoroutines+2 && files <= hadFiles+2 {
			return
		}
	}
	t.Errorf("each round leaves more than it found: %d goroutines and %d descriptors now", goroutines, files)
}

// settled returns the numbers of goroutines and of open files, where the
// system tells, when they have been the same for a while.
func settled(t *testing.T) (goroutines, files int) {
	t.Helper()
	count := func() (int, int) {
		list, _ := os.ReadDir("/proc/self/fd") // none elsewhere than on Linux
		return runtime.NumGoroutine(), len(list)
	}
	same := 0
	eventually(t, "the process settles", func() bool {
		g, f := count()
		if same++; g != goroutines || f != files {
			goroutines, files, same = g, f, 0
		}
		return same > 20
	})
	return goroutines, files
}

// storeTimeoutHolds: a store that ends its calls by itself, after a second or
// three, ends them sooner if Config.StoreTimeout says so. Opened by name, and
// handed in.
func storeTimeoutHolds(t *testing.T, k Kind) {
	if k.LockUp == nil {
		return // nothing holds this one up
	}
	const timeout = 200 * time.Millisecond
	for _, byName := range []bool{true, false} {
		t.Run(fmt.Sprintf("by name=%v", byName), func(t *testing.T) {
			path := k.Fresh(t)
			cfg := session.Config{StoreTimeout: timeout, SweepEvery: -1}
			if byName {
				cfg.Provider, cfg.SavePath = k.Name, path
			} else {
				cfg.Store = k.openAt(t, path)
				if !backend.AbilitiesOf(cfg.Store).Bounded {
					t.Fatalf("%T is not bounded: this test needs one that is", cfg.Store)
				}
			}
			a := newApp(t, cfg)
			a.basics()
			b := a.browser(t)
			b.getPatiently("/set?k=a&v=1").want200(t)
			token := b.token()
			release := k.LockUp(t, path)
			for _, path := range []string{"/set?k=a&v=2", "/renew", "/destroy"} {
				const most = 2*timeout + 300*time.Millisecond // a load and a write
				took := least(most, func() {
					b.setToken(token) // which a logout that failed took from the browser
					if status := b.do(b.request(http.MethodPost, path)).status; status != http.StatusServiceUnavailable {
						t.Errorf("%s on a locked store: status %d, want 503", path, status)
					}
				})
				if took > most {
					t.Errorf("%s on a locked store took %v at least, want about %v", path, took, timeout)
				}
			}
			release()
			b.setToken(token)
			if got := b.getPatiently("/get?k=a"); got.body != "1" {
				t.Errorf("after it the value is %q, want 1", got.body)
			}
		})
	}
}
