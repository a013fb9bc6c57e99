package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
)

// Sections G, L, N and O of SECURITY-BAR, where behaviours decide less.

// TestBar_CC5_NobodyWaits: while one request of a session is in its handler,
// and another streams, a third reads and writes; one that is not held up at
// all is within 300 ms.
// Of SECURITY-BAR: CC-5.
func TestBar_CC5_NobodyWaits(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		a := newStage(t, session.Config{Store: k.open(t)}, nil)
		end, flushed := make(chan struct{}), make(chan struct{})
		a.handle("/open/stream", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("stream", true)
			w.(http.Flusher).Flush()
			close(flushed)
			<-end
			s.Set("ended", true)
		})
		b := a.browser(t)
		b.get("/start").want200(t)
		slow := b.hold("/set")
		stream := b.twin().send("/open/stream")
		<-flushed
		least := time.Hour
		for range 5 { // the machine may be busy; a lock would hold up all of them
			start := time.Now()
			b.get("/show").want200(t)
			b.get("/update").want200(t)
			least = min(least, time.Since(start))
		}
		if least > 300*time.Millisecond {
			t.Errorf("a read and a write beside a slow request and a stream took %v at least", least)
		}
		slow.finish().want200(t)
		close(end)
		(<-stream).want200(t)
		eventually(t, "all is stored", func() bool { return b.state() == `"" a=1 cart=tea ended=true late=true n=5 stream=true` })
	})
}

// TestBar_CC10_CompareAndSet: of eight requests that set a key only if nobody
// has, exactly one does.
// Of SECURITY-BAR: CC-10.
func TestBar_CC10_CompareAndSet(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
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
	})
}

// A sink takes an answer and keeps nothing of it.
type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(p []byte) (int, error) { return len(p), nil }
func (s sink) WriteHeader(int)             {}

// TestBar_ME1_Anonymous: 200,000 reads without a cookie make no record, no
// cookie, no store call, and no heap.
// Of SECURITY-BAR: ME-1.
func TestBar_ME1_Anonymous(t *testing.T) {
	fault := backendtest.NewFault(newMemory(t))
	m := barManager(t, session.Config{Store: fault.StoreWith(backendtest.InProcess)})
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

type nested struct {
	Maps  map[string]map[string]int
	Lists [][]string
}

// TestBar_DS7_ME4_Nested: nested values come back equal, and as copies: what
// one request does to them, no other sees (ME-4).
// Of SECURITY-BAR: DS-7.
func TestBar_DS7_ME4_Nested(t *testing.T) {
	fresh := func() nested {
		return nested{map[string]map[string]int{"a": {"x": 1}, "b": {}}, [][]string{{"one", "two"}, {}}}
	}
	forEachKind(t, func(t *testing.T, k kind) {
		m := barManager(t, session.Config{Store: k.open(t)})
		mine := fresh()
		_, token := barRequest(m, "", func(s *session.Session) {
			s.Set("nested", mine)
			s.Set("map", mine.Maps)
			s.Set("bytes", []byte("abc"))
			mine.Maps["a"]["x"] = 99 // after Set, it has no effect
			mine.Lists[0][0] = "changed"
		})
		for range 3 {
			barRequest(m, token, func(s *session.Session) {
				got, ok := session.Get[nested](s, "nested")
				inner, okMap := session.Get[map[string]map[string]int](s, "map")
				raw, okRaw := s.Get("bytes").([]byte)
				if !ok || !okMap || !okRaw || !reflect.DeepEqual(got, fresh()) || !reflect.DeepEqual(inner, fresh().Maps) || string(raw) != "abc" {
					t.Fatalf("came back as %+v, %v, %q", got, inner, raw)
				}
				got.Maps["a"]["x"], got.Lists[0][0], inner["b"]["new"], raw[0] = 5, "mine", 6, 'X'
				if again, _ := session.Get[nested](s, "nested"); !reflect.DeepEqual(again, fresh()) {
					t.Errorf("a change of what Get returned is seen by the next Get: %+v", again)
				}
			})
		}
	})
}

// TestBar_OP3_PerRoute: with the store down, one group of routes answers 503
// and another one serves as nobody, for the same sessions.
// Of SECURITY-BAR: OP-3.
func TestBar_OP3_PerRoute(t *testing.T) {
	forEachKind(t, func(t *testing.T, k kind) {
		fault := backendtest.NewFault(k.open(t))
		strict := barManager(t, session.Config{Store: fault.Store()})
		lenient := barManager(t, session.Config{Store: fault.Store(), OnOutage: session.OutageAnonymous})
		router := chi.NewRouter()
		show := func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			fmt.Fprint(w, s.Get("a"), " ", s.Unavailable())
		}
		router.With(strict.Middleware).Get("/account", show)
		router.With(lenient.Middleware).Get("/news", show)
		_, token := barRequest(strict, "", setOne)
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
	})
}
