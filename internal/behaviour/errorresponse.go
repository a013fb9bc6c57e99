package behaviour

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/flash"
)

// errorresponseCases are about what a client gets when the store fails, and
// what comes after it.
var errorresponseCases = []behaviour{
	each("a failure after the header is told", lateFailure),
	once("an error response has no header of the handler", noHandlerHeaders),
	once("an error response has no dead cookie", noDeadCookie),
	each("nothing is stored after the error response", afterTheErrorResponse),
	once("an ErrorHandler finds out why there is no session", errorHandlerAsks),
	once("no cache keeps the response of an ErrorHandler", errorHandlerCached),
}

// errorHandlerAsks: the request that an ErrorHandler gets has a session that
// says what the error was, and nothing in the log says that the middleware is
// missing.
func errorHandlerAsks(t *testing.T) {
	var found []error
	var a *app
	a = newApp(t, session.Config{Store: newMemory(t), ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
		s := session.FromContext(r)
		_, ok := session.Lookup(r.Context())
		id, user := session.Identity(r.Context())
		if s.User() != "" || s.Get("a") != nil || s.Len() != 0 || ok || id+user != "" || a.FromContext(r) != s {
			t.Error("an ErrorHandler has a session")
		}
		if !errors.Is(s.Err(), err) || !errors.Is(s.Save(), err) {
			t.Errorf("its Err is %v, and Save %v; want %v", s.Err(), s.Save(), err)
		}
		found = append(found, err)
		w.WriteHeader(http.StatusTeapot)
	}})
	a.basics()
	a.handle("/bad", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("c", make(chan int)) })
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	b.get("/bad").want(t, http.StatusTeapot, "")
	for _, op := range []backendtest.Op{backendtest.OpLoad, backendtest.OpUpdate} {
		a.calls.On(op, backendtest.Always, backendtest.Fail(errTest))
		b.get("/set?k=a&v=2").want(t, http.StatusTeapot, "")
		a.calls.Reset()
	}
	r := b.request("POST", "/set?k=a&v=3")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	b.setToken("")
	b.do(r).want(t, http.StatusTeapot, "")
	if len(found) != 4 {
		t.Errorf("the ErrorHandler got %v, want four errors", found)
	}
	if text := a.log.String(); strings.Contains(text, "mount session.Middleware") {
		t.Errorf("the log sends its reader after the middleware:\n%s", text)
	}
}

// errorHandlerCached: what an ErrorHandler sends is of this moment.
func errorHandlerCached(t *testing.T) {
	for _, own := range []string{"", "max-age=5"} {
		fault := newFault(t)
		m := newManager(t, session.Config{Store: fault.Store(), ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			if own != "" {
				w.Header().Set("Cache-Control", own)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}})
		fault.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(errTest))
		res := serve(m, nil, func(s *session.Session) { s.Set("a", 1) })
		if got, want := res.Header.Get("Cache-Control"), cmp.Or(own, "no-store"); got != want {
			t.Errorf("Cache-Control is %q, want %q", got, want)
		}
	}
}

// lateFailure: a save that fails when the header is out already
// is logged, counted and handed to the hook.
func lateFailure(t *testing.T, k Kind) {
	var failed atomic.Int64
	a := newApp(t, session.Config{Store: k.open(t), On: onFailed(func(err error) {
		if !errors.Is(err, errTest) {
			t.Errorf("Config.On got %v", err)
		}
		failed.Add(1)
	})})
	a.basics()
	a.handle("/late", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		io.WriteString(w, "first byte")
		w.(http.Flusher).Flush()
		s.Set("a", "late")
	})
	b := a.browser(t)
	b.get("/set?k=a&v=kept")
	before := a.Stats().Errors
	a.calls.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(errTest))
	b.get("/late").want(t, 200, "first byte")
	eventually(t, "the failure is told", func() bool {
		return failed.Load() == 1 && a.Stats().Errors > before && len(a.log.lines("ERROR", errTest.Error())) > 0
	})
	a.calls.Reset()
	b.get("/get?k=a").want(t, 200, "kept")
}

// When storing fails the client gets nothing of the handler's, its header
// included, but for other cookies; what was there before the handler stays.
func noHandlerHeaders(t *testing.T) {
	fault := newFault(t)
	m := newManager(t, session.Config{Store: fault.Store()})
	fault.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(fmt.Errorf("disk full")))
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "7")
	w.Header().Add("Set-Cookie", "outer=1")
	m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).SetUser("ada")
		http.SetCookie(w, &http.Cookie{Name: "remember", Value: "ada"})
		w.Header().Set("Refresh", "0;url=/welcome")
		w.Header().Set("X-User", "ada")
		fmt.Fprint(w, "welcome")
	})).ServeHTTP(w, httptest.NewRequest("GET", "https://example.com/", nil))
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "welcome") {
		t.Errorf("response %d %q, want 503 without the handler's body", w.Code, w.Body)
	}
	if got := w.Header().Values("Set-Cookie"); len(got) != 2 || got[0] != "outer=1" || got[1] != "remember=ada" || w.Header().Get("X-Request-Id") != "7" {
		t.Errorf("header %v, want what was there before the handler", w.Header())
	}
	for _, name := range []string{"Refresh", "X-User"} {
		if w.Header().Get(name) != "" {
			t.Errorf("header %s of the handler is in the error response", name)
		}
	}
}

// A session that was saved, revoked from elsewhere, destroyed and begun anew in
// one request, and then not stored, has no cookie in the error response.
func noDeadCookie(t *testing.T) {
	fault := newFault(t)
	m := newManager(t, session.Config{Store: fault.Store()})
	w := httptest.NewRecorder()
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.Set("n", 1)
		if err := s.Save(); err != nil {
			t.Errorf("Save: %v", err)
		}
		if err := m.Revoke(r.Context(), s.ID()); err != nil {
			t.Errorf("Revoke: %v", err)
		}
		s.Destroy()
		s.Set("n", 2)
		fault.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(fmt.Errorf("disk full")))
	})).ServeHTTP(w, httptest.NewRequest("GET", "https://example.com/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header()["Set-Cookie"] != nil {
		t.Errorf("response %d, Set-Cookie %q; want 503 without a cookie", w.Code, w.Header()["Set-Cookie"])
	}
}

// afterTheErrorResponse: the store fails when the handler writes its first
// byte, and the client gets 503. Then the store is back, and the handler goes
// on. What it does is not stored: its token would be nobody's, and the
// browser's session be dead.
func afterTheErrorResponse(t *testing.T, k Kind) {
	needs := map[string]func(s *session.Session){
		"renew":   func(s *session.Session) { s.Renew() },
		"login":   func(s *session.Session) { s.SetUser("ada") },
		"set":     func(s *session.Session) { s.Set("late", true) },
		"restart": func(s *session.Session) { s.Destroy(); s.Set("fresh", true) },
	}
	then := map[string]func(s *session.Session) error{
		"save":    (*session.Session).Save,
		"set":     func(s *session.Session) error { s.Set("b", 1); return s.Save() },
		"login":   func(s *session.Session) error { s.SetUser("bob"); return s.Save() },
		"update":  addOne,
		"take":    func(s *session.Session) error { _, err := flash.Of(s).Take(); return cmpErr(err, s.Err()) },
		"release": (*session.Session).Release,
		"nothing": func(s *session.Session) error { return s.Err() },
	}
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
	var returned error
	a.handle("/do/{need}/{then}", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		needs[r.PathValue("need")](s)
		a.calls.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errTest))
		io.WriteString(w, "done")
		a.calls.Reset()
		returned = then[r.PathValue("then")](s)
	})
	for need := range needs {
		for what := range then {
			for _, isNew := range []bool{false, true} {
				b, want := a.browser(t), "none"
				if !isNew {
					b.get("/start").want200(t)
					b.get("/flash").want200(t)
					want = b.state()
				}
				if isNew && need == "renew" {
					continue // there is nothing to store
				}
				before := a.records(t)
				token := b.token()
				got := b.get("/do/" + need + "/" + what)
				name := fmt.Sprintf("%s, then %s, new: %v", need, what, isNew)
				if got.status != 503 {
					t.Errorf("%s: status %d", name, got.status)
				}
				if !errors.Is(returned, session.ErrHeadersSent) {
					t.Errorf("%s: returned %v, want an ErrHeadersSent", name, returned)
				}
				if b.setToken(token); need == "restart" && !isNew { // may have been destroyed after all, and nothing else
					if n := a.records(t); n > before {
						t.Errorf("%s: a new record", name)
					}
					continue
				}
				b.wantState(want)
				a.wantRecords(t, before)
			}
		}
	}
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
