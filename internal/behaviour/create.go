package behaviour

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
)

// createCases are about when a session, its record and its cookie come into
// being.
var createCases = []behaviour{
	each("an unused session costs nothing", ignored),
	each("a session that is only read is not stored", onlyRead),
	each("the first Set makes one record and one cookie", setWithoutCookie),
	each("the next request has the session", nextRequest),
	each("two writers, two sessions", twoWriters),
	each("two first requests at once, two sessions at most", twoFirstRequests),
	each("a session left empty is not stored", setAndDeleted),
	each("an equal value is no write", equalValue),
	each("an unknown token is looked up once", lookedUpOnce),
	each("a taken ID is never overwritten", collision),
	once("a Set across sites starts no session", crossSiteSet),
	each("a handler that leaves the session alone costs one look-up", leftAlone),
	onceAlone("anonymous reads cost no heap", anonymousReads),
}

// A sink takes a response and keeps nothing of it.
type sink struct{ header http.Header }

func (s sink) Header() http.Header { return s.header }

func (s sink) Write(p []byte) (int, error) { return len(p), nil }

func (s sink) WriteHeader(int) {}

func ignored(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	got := a.browser(t).get("/ignore")
	got.want(t, 200, "ignored")
	if len(got.setCookie) > 0 || got.header.Get("Vary") != "" {
		t.Errorf("Set-Cookie %q, Vary %q, want neither", got.setCookie, got.header.Get("Vary"))
	}
	a.wantCalls(t, "")
	a.wantRecords(t, 0)
}

func onlyRead(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.handle("/", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		_, ok := session.Get[int](s, "x")
		lookup, found := session.Lookup(r.Context())
		if s.Get("x") != nil || ok || s.Has("x") || len(s.Keys()) != 0 || s.Len() != 0 || s.Pop("x") != nil {
			t.Error("an empty session has something in it")
		}
		if !s.IsNew() || s.User() != "" || s.Token() != "" || s.ID() == "" || !s.CreatedAt().IsZero() || !s.ExpiresAt().IsZero() || s.Unavailable() || s.Err() != nil {
			t.Error("an empty session says that it is a stored one")
		}
		if lookup != s || !found || session.FromCtx(r.Context()) != s || a.FromContext(r) != s {
			t.Error("the ways to the session lead to different ones")
		}
		s.Delete("x")
		s.Clear()
		if err := errors.Join(s.Save(), s.Reload(), s.Update(func(*session.Values) error { return nil })); err != nil {
			t.Errorf("Save, Reload, Update of nothing: %v", err)
		}
	})
	got := a.browser(t).get("/")
	got.want(t, 200, "")
	got.wantNoCookie(t)
	a.wantCalls(t, "")
	a.wantRecords(t, 0)
}

func setWithoutCookie(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.handle("/", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("a", 1)
		s.Set("b", "two")
		s.Set("a", 3)
		io.WriteString(w, "ok")
	})
	b := a.browser(t)
	got := b.get("/")
	got.want(t, 200, "ok")
	if want := cookie.DefaultName + "=" + b.token() + "; Path=/; HttpOnly; Secure; SameSite=Lax"; len(got.setCookie) != 1 || got.session != want {
		t.Errorf("Set-Cookie is not exactly the one line of the session with a token of %d characters", len(b.token()))
	}
	if len(b.token()) != 64 {
		t.Errorf("the token has %d characters, want 64", len(b.token()))
	}
	a.wantCalls(t, "Create")
	a.wantRecords(t, 1)
}

func nextRequest(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=colour&v=blue")
	id, token := b.get("/id").body, b.token()
	a.calls.Reset()
	got := b.get("/get?k=colour")
	got.want(t, 200, "blue")
	got.wantNoCookie(t)
	a.wantCalls(t, "Load")
	if again := b.get("/id").body; again != id || id != idOf(t, token).String() {
		t.Errorf("the ID is %s, then %s; the token's is %s", id, again, idOf(t, token))
	}
	a.wantRecords(t, 1)
	if s := a.Stats(); s.Creates != 1 || s.Hits != 3 || s.Loads != 3 {
		t.Errorf("Stats %+v, want 1 create and 3 hits in 3 loads", s)
	}
}

func twoWriters(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	one, two := a.browser(t), a.browser(t)
	one.get("/set?k=who&v=one")
	two.get("/set?k=who&v=two")
	if idOf(t, one.token()) == idOf(t, two.token()) || one.token()[22:] == two.token()[22:] {
		t.Error("two browsers have one session")
	}
	one.get("/get?k=who").want(t, 200, "one")
	two.get("/get?k=who").want(t, 200, "two")
	a.wantRecords(t, 2)
}

func twoFirstRequests(t *testing.T, k Kind) {
	a := newStage(t, session.Config{Store: k.open(t)}, nil)
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

func setAndDeleted(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	ways := map[string]func(*session.Session){
		"Delete": func(s *session.Session) { s.Delete("a") },
		"Clear":  func(s *session.Session) { s.Clear() },
		"Pop":    func(s *session.Session) { s.Pop("a") },
		"Destroy": func(s *session.Session) {
			s.Destroy()
		},
		"Update": func(s *session.Session) {
			if err := s.Update(func(v *session.Values) error { v.Delete("a"); return nil }); err != nil {
				t.Error(err)
			}
		},
		"label only": func(s *session.Session) {
			s.Delete("a")
			s.SetLabel("Firefox, Lisbon")
			s.SetIdleTimeout(time.Minute)
			s.SetPersistent(true)
		},
	}
	a.handle("/", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		s.Set("a", 1)
		ways[r.FormValue("way")](s)
	})
	for way := range ways {
		got := a.browser(t).get("/?way=" + strings.ReplaceAll(way, " ", "+"))
		got.want(t, 200, "")
		got.wantNoCookie(t)
	}
	a.wantCalls(t, "")
	a.wantRecords(t, 0)
}

func equalValue(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	values := map[string]any{"int": 7, "string": "x", "bytes": []byte{0, 1}, "nil": nil, "time": time.Unix(1, 5).UTC(),
		"struct": struct{ A, B int }{1, 2}, "map": map[string]int{"z": 1, "a": 2}, "float": math.Pi, "empty": ""}
	set := func(s *session.Session) {
		for key, v := range values {
			s.Set(key, v)
		}
	}
	a.handle("/set", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { set(s) })
	a.handle("/thereandback", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("int", 8)
		s.Delete("string")
		s.Set("new", 1)
		s.Clear()
		set(s)
	})
	a.handle("/othertype", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Set("int", int64(7)) })
	a.handle("/update", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if _, err := session.Update(s, "int", func(n int) int { return n }); err != nil {
			t.Error(err)
		}
	})
	b := a.browser(t)
	b.get("/set")
	for _, path := range []string{"/set", "/thereandback", "/update"} {
		a.calls.Reset()
		b.get(path).wantNoCookie(t)
		a.wantCalls(t, "Load")
	}
	a.calls.Reset()
	b.get("/othertype") // an equal number of another type is another value
	a.wantCalls(t, "Load Update")
}

func lookedUpOnce(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.handle("/", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		for range 20 {
			_, _, _, _ = s.Get("a"), s.Keys(), s.User(), session.FromContext(r).Has("b")
		}
		if r.FormValue("write") != "" {
			s.Set("a", 1)
			s.Set("b", 2)
		}
	})
	b := a.browser(t)
	b.setToken(UnknownToken())
	b.get("/").wantNoCookie(t)
	a.wantCalls(t, "Load")
	a.calls.Reset()
	b.get("/?write=1")
	a.wantCalls(t, "Load Create")
	a.wantRecords(t, 1)
}

func collision(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t)})
	a.basics()
	// Somebody has the ID already: the store itself says so.
	var taken backend.Record
	a.calls.On(backendtest.OpCreate, 1, func(ctx context.Context, call backendtest.Call) error {
		taken = backend.Record{ID: call.ID, Expires: call.Record.Expires, User: "other", Data: []byte("somebody else's")}
		return a.store.Create(ctx, taken)
	})
	b := a.browser(t)
	b.get("/set?k=a&v=mine").want(t, 200, "set")
	a.wantCalls(t, "Create Create")
	if idOf(t, b.token()) == taken.ID {
		t.Error("the session has an ID that was taken")
	}
	if rec, err := a.store.Load(context.Background(), taken.ID); err != nil || string(rec.Data) != "somebody else's" || rec.User != "other" || rec.Version != 1 {
		t.Errorf("the record that had the ID is %d bytes, version %d, %v; want it as it was", len(rec.Data), rec.Version, err)
	}
	b.get("/get?k=a").want(t, 200, "mine")

	// A store that says so for ever is broken: the request ends.
	a.calls.Reset()
	a.calls.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(backend.ErrExists))
	got := a.browser(t).get("/set?k=a&v=b")
	got.want(t, 503, "Service Unavailable\n")
	got.wantNoCookie(t)
	if n := a.calls.Calls(backendtest.OpCreate); n < 2 || n > 5 {
		t.Errorf("Create was tried %d times, want a few", n)
	}
	a.calls.Reset()
	a.wantRecords(t, 2)
}

// crossSiteSet: where the browser keeps a SameSite cookie
// back, a plain Set must not replace it; what is a login, or asked for, may.
func crossSiteSet(t *testing.T) {
	const strict, none = http.SameSiteStrictMode, http.SameSiteNoneMode
	type h = map[string]string
	cross := h{"Sec-Fetch-Site": "cross-site"}
	navigation := h{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	frame := h{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
	fetch := h{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	dead := h{"Sec-Fetch-Site": "cross-site", "Cookie": "beegosessionID=" + UnknownToken()}
	other := h{"Sec-Fetch-Site": "cross-site", "Cookie": "theme=dark"}
	for _, tt := range []struct {
		method  string
		header  h
		cfg     session.Config
		do      string
		status  int
		started bool
	}{
		{"POST", cross, session.Config{}, "set", 403, false},
		{"POST", navigation, session.Config{}, "set", 403, false},
		{"POST", other, session.Config{}, "set", 403, false},
		{"PUT", fetch, session.Config{}, "set", 403, false},
		{"POST", frame, session.Config{}, "set", 403, false},
		{"GET", frame, session.Config{}, "set", 200, false},
		{"GET", fetch, session.Config{}, "set", 200, false},
		{"POST", navigation, session.Config{}, "read", 200, false},

		{"POST", navigation, session.Config{}, "set, log out", 403, false},
		{"GET", frame, session.Config{}, "set, log out", 200, false},

		{"POST", navigation, session.Config{}, "login", 200, true},
		{"POST", navigation, session.Config{}, "set, login", 200, true},
		{"POST", navigation, session.Config{}, "set, renew", 200, true},
		{"POST", navigation, session.Config{Cookie: cookie.Options{SameSite: strict}}, "login", 200, true},
		{"POST", navigation, session.Config{AllowCrossSite: true}, "set", 200, true},
		{"POST", navigation, session.Config{Transport: session.HeaderTransport(session.TokenHeader)}, "set", 200, true},
		{"POST", navigation, session.Config{Cookie: cookie.Options{SameSite: none}}, "set", 200, true},

		{"GET", navigation, session.Config{}, "set", 200, true}, // a Lax cookie would have come
		{"GET", cross, session.Config{}, "set", 200, true},
		{"HEAD", navigation, session.Config{}, "set", 200, true},
		{"GET", navigation, session.Config{Cookie: cookie.Options{SameSite: strict}}, "set", 200, false},
		{"POST", dead, session.Config{}, "set", 200, true}, // it came
		{"POST", nil, session.Config{}, "set", 200, true},
		{"POST", h{"Sec-Fetch-Site": "same-site"}, session.Config{}, "set", 200, true},
		{"POST", h{"Sec-Fetch-Site": "same-origin"}, session.Config{}, "set", 200, true},
		{"POST", h{"Sec-Fetch-Site": "none"}, session.Config{}, "set", 200, true},
	} {
		for _, by := range []string{"", "Save", "Update", "Start"} {
			a := newApp(t, tt.cfg)
			var got error
			handler := func(s *session.Session) {
				switch tt.do {
				case "set":
					if by == "Update" {
						got = s.Update(func(v *session.Values) error { v.Set("a", 1); return nil })
					} else {
						s.Set("a", 1)
					}
				case "read":
					s.Get("a")
				case "login":
					s.SetUser("ada")
				case "set, login":
					s.Set("a", 1)
					s.SetUser("ada")
				case "set, log out":
					s.SetUser("")
					if by == "Update" {
						got = s.Update(func(v *session.Values) error { v.Set("a", 1); return nil })
					} else {
						s.Set("a", 1)
					}
				case "set, renew":
					s.Renew()
					s.Set("a", 1)
				}
				if by == "Save" {
					got = s.Save()
				}
			}
			r := httptest.NewRequest(tt.method, "https://app.test/", nil)
			for name, value := range tt.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			if by == "Start" {
				s, err := a.Start(w, r)
				if err != nil {
					t.Fatal(err)
				}
				handler(s)
				got = s.Release()
			} else {
				a.handle("/", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { handler(s) })
				a.router.ServeHTTP(w, r)
			}
			status := tt.status
			if by != "" {
				status = 200 // the handler had the error
				if refused := errors.Is(got, session.ErrCrossSite); refused == tt.started && tt.do != "read" && (by != "Update" || tt.do == "set" || tt.do == "set, log out") {
					t.Errorf("%+v by %s: the error is %v", tt, by, got)
				}
			}
			started := w.Header()["Set-Cookie"] != nil || w.Header()[session.TokenHeader] != nil
			if w.Code != status || started != tt.started || (a.Stats().Creates > 0) != tt.started {
				t.Errorf("%+v by %q: status %d, started %v, %d stored; want %d, %v", tt, by, w.Code, started, a.Stats().Creates, status, tt.started)
			}
			if n := a.Stats().Errors; n != 0 { // or any site could ring the operators' alert
				t.Errorf("%+v by %q: %d errors are counted, want 0", tt, by, n)
			}
		}
	}
}

// leftAlone: a handler that does not touch the session costs one
// look-up where there is a token, and none with Skip or without one; its
// response has no Vary, unless it could still ask for a live session while it
// writes, and says nothing of caching.
func leftAlone(t *testing.T, k Kind) {
	a := newApp(t, session.Config{Store: k.open(t), Skip: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/static/") }})
	a.basics()
	ok := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "file") }
	a.router.HandleFunc("/static/a.css", ok)
	a.router.HandleFunc("/b.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "b.css", time.UnixMilli(1), strings.NewReader("file"))
	})
	b := a.browser(t)
	b.get("/set?k=a&v=1")
	for _, tt := range []struct {
		b           *browser
		path, calls string
	}{{b, "/static/a.css", ""}, {b, "/b.css", "Load"}, {a.browser(t), "/ignore", ""}} {
		a.calls.Reset()
		got := tt.b.get(tt.path)
		a.wantCalls(t, tt.calls)
		if got.status != 200 || got.header["Vary"] != nil || got.setCookie != nil {
			t.Errorf("%s: status %d, Vary %q, %d cookies; want 200, none, none", tt.path, got.status, got.header["Vary"], len(got.setCookie))
		}
	}
}

// anonymousReads: 200,000 reads without a cookie make no record, no
// cookie, no store call, and no heap.
func anonymousReads(t *testing.T) {
	fault := backendtest.NewFault(newMemory(t))
	m := newManager(t, session.Config{Store: fault.StoreWith(backendtest.InProcess)})
	h := m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.Get("a")
		s.Delete("a")
	}))
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	cookies := 0
	visit := func(n int) uint64 {
		for range n {
			w := sink{http.Header{}}
			h.ServeHTTP(w, r)
			cookies += len(w.header["Set-Cookie"])
		}
		runtime.GC()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		return mem.HeapAlloc
	}
	before := visit(10_000)
	after := visit(190_000)
	if grown := int64(after) - int64(before); grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if n := fault.Calls(backendtest.OpAny); n != 0 || cookies != 0 {
		t.Errorf("%d store calls, %d cookies, want none", n, cookies)
	}
}
