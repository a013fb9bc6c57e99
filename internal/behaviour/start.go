package behaviour

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/flash"
)

// startCases are about sessions that Start begins, beside the middleware or
// without it.
var startCases = []behaviour{
	once("Start beside the header of the response", besideTheHeader),
	once("a header that asks the session while it leaves", headerAsks),
	once("all Starts of a request are one session", startsOfOneRequest),
	once("Start tells caches", startTellsCaches),
	once("Start finds the session of the middleware", startIsFound),
	once("the middleware after Release", middlewareAfterRelease),
	once("Start answers with a token in the header", startByHeader),
	each("Release after a failed Save", startAfterAFailedSave),
}

// besideTheHeader: what only reads the session may run beside a
// handler that writes its header.
func besideTheHeader(t *testing.T) {
	for name, cfg := range map[string]session.Config{
		"cookie": {}, "persistent": {Cookie: cookie.Options{Persistent: true}}, "header": {Transport: session.HeaderTransport(session.TokenHeader)},
	} {
		m := newManager(t, cfg)
		w := httptest.NewRecorder()
		s := started(t, m, w, httptest.NewRequest("GET", "/", nil))
		s.Set("n", 1)
		if err := s.Save(); err != nil {
			t.Fatal(name, err)
		}
		clear(w.Header())
		for reading, read := range readings(s) {
			if read(); len(w.Header()) > 0 {
				t.Errorf("%s: %s writes %v", name, reading, w.Header())
			}
		}
		done := make(chan struct{})
		var readers sync.WaitGroup
		for _, read := range readings(s) {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					read()
				}
			})
		}
		for n := range 2000 {
			w.Header().Set(fmt.Sprint("X-", n%100), "1")
			w.Header().Del(fmt.Sprint("X-", n%100))
		}
		close(done)
		readers.Wait()
		if err := s.Release(); err != nil {
			t.Fatal(name, err)
		}
	}
}

// started is Start, which must succeed.
func started(t *testing.T, m *session.Manager, w http.ResponseWriter, r *http.Request) *session.Session {
	t.Helper()
	s, err := m.Start(w, r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readings are calls that change nothing, and may be made at any time.
func readings(s *session.Session) map[string]func() {
	return map[string]func(){
		"Get":    func() { s.Get("n") },
		"Has":    func() { s.Has("n") },
		"Keys":   func() { s.Keys() },
		"Len":    func() { s.Len() },
		"ID":     func() { s.ID() },
		"User":   func() { s.User() },
		"Token":  func() { s.Token() },
		"Err":    func() { s.Err() },
		"Local":  func() { s.Local("n") },
		"Values": func() { session.Get[int](s, "n") },
	}
}

// An asker is a ResponseWriter whose Header asks the session, as one does that
// logs who the user is.
type asker struct {
	*httptest.ResponseRecorder
	ask func()
}

func (a *asker) Header() http.Header {
	if a.ask != nil {
		a.ask()
	}
	return a.ResponseRecorder.Header()
}

// headerAsks: no code of the program runs under the
// session's lock, its ResponseWriter's neither.
func headerAsks(t *testing.T) {
	m := newManager(t, session.Config{})
	w := &asker{ResponseRecorder: httptest.NewRecorder()}
	s := started(t, m, w, httptest.NewRequest("GET", "/", nil))
	w.ask = func() {
		for _, read := range readings(s) {
			read()
		}
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		s.Set("n", 1)
		s.SetUser("ada")
		if _, err := session.Update(s, "n", func(n int) int { return n + 1 }); err != nil {
			t.Error(err)
		}
		s.Destroy()
		if err := s.Release(); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-returned:
	case <-time.After(patience):
		t.Fatal("a Header method that asks the session does not return")
	}
}

// startsOfOneRequest: however often a session is started for a request, one
// after the other or one within the other, there is one session and one cookie.
func startsOfOneRequest(t *testing.T) {
	add := func(t *testing.T, s *session.Session, key string) {
		t.Helper()
		s.Set(key, 1)
		if err := s.Release(); err != nil {
			t.Errorf("Release after Set of %s: %v", key, err)
		}
	}
	type request struct {
		*testing.T
		m *session.Manager
		w http.ResponseWriter
		r *http.Request
	}
	for name, handle := range map[string]func(request){
		"one after the other": func(q request) {
			add(q.T, started(q.T, q.m, q.w, q.r), "a")
			add(q.T, started(q.T, q.m, q.w, q.r), "b")
		},
		"one within the other": func(q request) {
			outer := started(q.T, q.m, q.w, q.r)
			outer.Set("a", 1)
			add(q.T, started(q.T, q.m, q.w, q.r), "b")
			if err := outer.Release(); err != nil {
				q.Error(err)
			}
		},
		"within, and the inner one is the first to Set": func(q request) {
			outer := started(q.T, q.m, q.w, q.r)
			add(q.T, started(q.T, q.m, q.w, q.r), "b")
			add(q.T, outer, "a")
		},
		"within, and released twice": func(q request) {
			outer := started(q.T, q.m, q.w, q.r)
			inner := started(q.T, q.m, q.w, q.r)
			add(q.T, inner, "b")
			if err := inner.Release(); err != nil {
				q.Error(err)
			}
			add(q.T, outer, "a")
		},
		"with another context in between": func(q request) {
			add(q.T, started(q.T, q.m, q.w, q.r), "a")
			add(q.T, started(q.T, q.m, q.w, q.r.WithContext(context.WithValue(q.r.Context(), q, q))), "b")
		},
		"a login in between": func(q request) {
			add(q.T, started(q.T, q.m, q.w, q.r), "a")
			s := started(q.T, q.m, q.w, q.r)
			s.SetUser("ada")
			if err := s.Release(); err != nil {
				q.Error(err)
			}
			add(q.T, started(q.T, q.m, q.w, q.r), "b")
		},
		"a logout in between": func(q request) {
			s := started(q.T, q.m, q.w, q.r)
			s.Set("c", 1)
			s.Destroy()
			if err := s.Release(); err != nil {
				q.Error(err)
			}
			s = started(q.T, q.m, q.w, q.r)
			s.Set("a", 1)
			add(q.T, s, "b")
		},
		"a middleware within": func(q request) {
			s := started(q.T, q.m, q.w, q.r)
			q.m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				session.FromContext(r).Set("a", 1)
				q.m.FromContext(r).Set("b", 1)
			})).ServeHTTP(q.w, q.r)
			if err := s.Release(); err != nil {
				q.Error(err)
			}
		},
	} {
		for carrier, transport := range map[string]session.Transport{"cookie": {}, "header": session.HeaderTransport(session.TokenHeader)} {
			for _, known := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/known=%v", name, carrier, known), func(t *testing.T) {
					store := Memory.open(t)
					m := newManager(t, session.Config{Store: store, Transport: transport})
					r := httptest.NewRequest("GET", "https://app.test/", nil)
					if known {
						with(r, carrier, tokensOf(visitTo(t, m, "z"), carrier)[0])
					}
					w := httptest.NewRecorder()
					handle(request{t, m, w, r})
					tokens := tokensOf(w, carrier)
					if len(tokens) > 1 || len(tokens) == 0 && !known {
						t.Fatalf("the response brings %d tokens", len(tokens))
					}
					next := httptest.NewRequest("GET", "https://app.test/", nil)
					next.Header = r.Header.Clone()
					if len(tokens) > 0 {
						with(next, carrier, tokens[0])
					}
					s := started(t, m, httptest.NewRecorder(), next)
					defer s.Release()
					if keys := s.Keys(); !slices.Equal(keys, []string{"a", "b"}) && !slices.Equal(keys, []string{"a", "b", "z"}) {
						t.Errorf("the next request finds %q, want a and b", keys)
					}
					if n := records(t, store); n != 1 {
						t.Errorf("the store has %d sessions, want 1", n)
					}
				})
			}
		}
	}
}

// visitTo has a new visitor Set a key.
func visitTo(t *testing.T, m *session.Manager, key string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s := started(t, m, w, httptest.NewRequest("GET", "https://app.test/", nil))
	s.Set(key, 1)
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	return w
}

// tokensOf returns the tokens that a response brings.
func tokensOf(w *httptest.ResponseRecorder, carrier string) (tokens []string) {
	if carrier == "header" {
		return w.Header()[session.TokenHeader]
	}
	for _, c := range w.Result().Cookies() {
		tokens = append(tokens, c.Value)
	}
	return tokens
}

// with puts a token into a request.
func with(r *http.Request, carrier, token string) {
	if carrier == "header" {
		r.Header.Set(session.TokenHeader, token)
		return
	}
	r.Header.Set("Cookie", cookie.DefaultName+"="+token)
}

// startTellsCaches: a response of a session that was started says from the
// beginning that it depends on the cookie; one of a live session is nobody
// else's, and one that changed it is not to be kept, whatever was read first.
func startTellsCaches(t *testing.T) {
	m := newManager(t, session.Config{})
	token := tokensOf(visitTo(t, m, "n"), "cookie")[0]
	for _, tt := range []struct {
		live          bool
		do            func(http.Header, *session.Session)
		vary, control string
	}{
		{false, func(http.Header, *session.Session) {}, "Cookie", ""},
		{false, func(_ http.Header, s *session.Session) { s.Get("n") }, "Cookie", ""},
		{false, func(_ http.Header, s *session.Session) { s.Set("n", 2) }, "Cookie", "no-store"},
		{true, func(http.Header, *session.Session) {}, "Cookie", "private"},
		{true, func(_ http.Header, s *session.Session) { s.Get("n") }, "Cookie", "private"},
		{true, func(_ http.Header, s *session.Session) { s.Set("n", 2) }, "Cookie", "no-store"},
		{true, func(_ http.Header, s *session.Session) { s.Pop("n"); s.Set("n", 1) }, "Cookie", "no-store"},
		{true, func(_ http.Header, s *session.Session) { s.Destroy() }, "Cookie", "no-store"},
		{true, func(h http.Header, s *session.Session) { h.Set("Cache-Control", "max-age=5"); s.Set("n", 3) }, "Cookie", "max-age=5"},
		{true, func(h http.Header, s *session.Session) { h.Set("Cache-Control", "public"); s.Renew() }, "Cookie", "no-store"},
		{true, func(h http.Header, _ *session.Session) { h.Add("Vary", "Accept") }, "Cookie, Accept", "private"},
	} {
		r := httptest.NewRequest("GET", "https://app.test/", nil)
		if tt.live {
			with(r, "cookie", token)
		}
		w := httptest.NewRecorder()
		s := started(t, m, w, r)
		tt.do(w.Header(), s)
		w.WriteHeader(http.StatusOK)
		h := w.Result().Header // as it was then
		if err := s.Release(); err != nil {
			t.Fatal(err)
		}
		if vary, control := strings.Join(h["Vary"], ", "), strings.Join(h["Cache-Control"], ", "); vary != tt.vary || control != tt.control {
			t.Errorf("live %v: Vary %q, Cache-Control %q; want %q, %q", tt.live, vary, control, tt.vary, tt.control)
		}
		if tt.live { // for the next
			token = tokensOf(visitTo(t, m, "n"), "cookie")[0]
		}
	}
}

// startIsFound: what the request is passed on to finds the
// session, flash messages too; that of a middleware outside stays the one that
// it was.
func startIsFound(t *testing.T) {
	m := newManager(t, session.Config{})
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "https://app.test/", nil)
	s := started(t, m, w, r)
	flash.Success(r, "saved")
	if session.FromContext(r) != s || m.FromContext(r) != s || s.Len() != 1 {
		t.Error("a session that was started is not found in its request")
	}
	if text := fmt.Sprintf("%v %+v", r.Context(), r.Context()); strings.Contains(text, s.ID()) || !strings.Contains(text, "session") {
		t.Errorf("the context prints as %q", text)
	}
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}

	outside := newManager(t, session.Config{Cookie: cookie.Options{Name: "outside"}})
	outside.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		was := session.FromContext(r)
		s := started(t, m, w, r)
		defer s.Release()
		if session.FromContext(r) != was || was == s || m.FromContext(r) != s {
			t.Error("Start hides the session of another manager's middleware")
		}
		m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if session.FromContext(r) != s || outside.FromContext(r) != was {
				t.Error("a middleware inside has another session than its manager's Start")
			}
		})).ServeHTTP(w, r)
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "https://app.test/", nil))
}

// middlewareAfterRelease: a session that was released is no reason for the
// middleware to step aside.
func middlewareAfterRelease(t *testing.T) {
	store := backendtest.NewFault(Memory.open(t))
	m := newManager(t, session.Config{Store: store.Store()})
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "https://app.test/", nil)
	if err := started(t, m, w, r).Release(); err != nil {
		t.Fatal(err)
	}
	store.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errTest))
	m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.Set("n", 1)
		if err := s.Save(); !errors.Is(err, errTest) {
			t.Errorf("Save: %v", err)
		}
	})).ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want the middleware's 503", w.Code)
	}
}

func startByHeader(t *testing.T) {
	m := newManager(t, session.Config{Transport: session.BearerTransport()})
	w := httptest.NewRecorder()
	s, err := m.Start(w, httptest.NewRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	s.Set("n", 1)
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	if token := w.Header().Get(session.TokenHeader); len(token) != 64 || w.Header()["Set-Cookie"] != nil {
		t.Errorf("header %v, want a token", w.Header())
	}
}

// startAfterAFailedSave is the same for a session that was started by
// hand: the caller has responded with the error, and Release comes after.
func startAfterAFailedSave(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
	for name, do := range map[string]func(s *session.Session){
		"renew": func(s *session.Session) { s.Renew() },
		"login": func(s *session.Session) { s.SetUser("ada") },
		"new":   func(s *session.Session) { s.Set("late", true) },
	} {
		b := a.browser(t)
		b.get("/start").want200(t)
		before := a.records(t)
		r := httptest.NewRequest("GET", "https://app.test/", nil)
		if name != "new" {
			r.AddCookie(&http.Cookie{Name: a.name, Value: b.token()})
		}
		w := httptest.NewRecorder()
		s, err := a.Start(w, r)
		if err != nil {
			t.Fatal(err)
		}
		do(s)
		a.calls.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errTest))
		if err := s.Save(); !errors.Is(err, errTest) {
			t.Errorf("%s: Save: %v", name, err)
		}
		http.Error(w, "not now", http.StatusServiceUnavailable)
		a.calls.Reset()
		if err := s.Release(); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("%s: Release: %v, want an ErrHeadersSent", name, err)
		}
		if lines := w.Result().Header["Set-Cookie"]; len(lines) > 0 {
			t.Errorf("%s: the response has %d cookies", name, len(lines))
		}
		b.wantState(`"" a=1 cart=tea`)
		a.wantRecords(t, before)
	}
}
