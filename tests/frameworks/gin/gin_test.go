package gin_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/ginsession"
	"github.com/chisession/session/tests/frameworks/internal/suite"
)

// The way to do it: around the engine.
func TestAround(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		return m.Middleware(engine(step, dropOnPanic))
	})
}

// By ginsession, inside of the engine.
func TestGinsession(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		return engine(step, ginsession.Middleware(m))
	})
}

// TestGinsessionGroup: what stands outside of ginsession sees the response as
// the client does, gin's request and writer are back, and a request whose
// session cannot be loaded runs no further handler.
func TestGinsessionGroup(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fault := backendtest.NewFault(store)
	m := manager(t, session.Config{Store: fault.Store()})
	var status, size, late int
	e := engine(nil, func(c *gin.Context) {
		request, writer := c.Request, c.Writer
		c.Next()
		status, size = c.Writer.Status(), c.Writer.Size()
		if c.Request != request || c.Writer != writer {
			t.Error("the request or the writer of the session is still in the context")
		}
	}, ginsession.Middleware(m), func(c *gin.Context) { late++ })

	res, body := get(t, e, "/json")
	if status != res.StatusCode || size != len(body) || res.StatusCode != http.StatusCreated || len(res.Cookies()) != 1 || late != 1 {
		t.Errorf("outside: status %d, %d bytes, %d cookies, %d handlers; the client got %d, %d bytes; want the same with one cookie, after one handler",
			status, size, len(res.Cookies()), late, res.StatusCode, len(body))
	}
	if res, body := get(t, e, "/no/such/page"); res.StatusCode != http.StatusNotFound || !strings.Contains(body, "404") {
		t.Errorf("an unknown path: status %d and %q, want gin's page of 404", res.StatusCode, body)
	}
	late = 0
	fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(errors.New("down")))
	if res, _ := get(t, e, "/json", res.Cookies()...); res.StatusCode != http.StatusServiceUnavailable || status != res.StatusCode || late != 0 {
		t.Errorf("not loaded: the client got %d, the log saw %d, %d handlers ran; want 503 twice and none", res.StatusCode, status, late)
	}
}

func manager(t *testing.T, cfg session.Config) *session.Manager {
	t.Helper()
	cfg.SweepEvery, cfg.Logger = -1, slog.New(slog.DiscardHandler)
	m, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// get answers a request with cookies on a real server: gin's writer wants what
// an httptest.ResponseRecorder does not have.
func get(t *testing.T, h http.Handler, path string, cookies ...*http.Cookie) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// adapter is what one would write to use m inside of gin. It is wrong.
func adapter(m *session.Manager) gin.HandlerFunc {
	return func(c *gin.Context) {
		m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			c.Request = r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
	}
}

// Wired inside, gin writes past the session: its writer is not the one that
// m.Middleware hands over. This test holds what goes wrong, so that the
// documentation stays true.
func TestInsideIsWrong(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fault := backendtest.NewFault(store)
	m := manager(t, session.Config{Store: fault.Store()})
	inside := engine(nil, adapter(m))

	if res, _ := get(t, inside, "/set/green"); len(res.Cookies()) != 0 {
		t.Errorf("the adapter sends a cookie now: %v", res.Cookies())
	}
	fault.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errors.New("down")))
	if res, _ := get(t, inside, "/set/green"); res.StatusCode != 200 {
		t.Errorf("the adapter answers %d now while the store is down", res.StatusCode)
	}

	// And around the engine, for comparison.
	around := m.Middleware(engine(nil))
	if res, _ := get(t, around, "/set/green"); res.StatusCode != 503 {
		t.Errorf("around: status %d while the store is down, want 503", res.StatusCode)
	}
	fault.Reset()
	if res, _ := get(t, around, "/set/green"); len(res.Cookies()) != 1 {
		t.Errorf("around: cookies %v, want one", res.Cookies())
	}
}

// Without dropOnPanic, Recovery hides the panic from the sessions.
func TestRecoveryAloneStores(t *testing.T) {
	m := manager(t, session.Config{})
	for _, tc := range []struct {
		name   string
		engine *gin.Engine
		want   string
	}{
		{"Recovery", engine(nil), "panic"},
		{"Recovery, dropOnPanic", engine(nil, dropOnPanic), "green"},
	} {
		app := m.Middleware(tc.engine)
		res, _ := get(t, app, "/set/green")
		if res, _ := get(t, app, "/panic", res.Cookies()...); res.StatusCode != 500 {
			t.Errorf("%s: status %d, want 500", tc.name, res.StatusCode)
		}
		if _, got := get(t, app, "/get", res.Cookies()...); got != tc.want {
			t.Errorf("%s: after a panic the value is %q, want %q", tc.name, got, tc.want)
		}
	}
}

// The access log that runs inside sees the status that the handler meant; the
// one around the sessions sees the status that the client got.
func TestAccessLog(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fault := backendtest.NewFault(store)
	m := manager(t, session.Config{Store: fault.Store()})
	var inside int
	e := engine(nil, func(c *gin.Context) { c.Next(); inside = c.Writer.Status() })
	fault.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errors.New("down")))
	res, _ := get(t, m.Middleware(e), "/json")
	if inside != 201 || res.StatusCode != 503 {
		t.Errorf("the log inside saw %d, the client %d; documented are 201 and 503", inside, res.StatusCode)
	}
}

// Two parts of one application with sessions of their own: two engines.
func TestTwoEngines(t *testing.T) {
	shop := manager(t, session.Config{})
	office := manager(t, session.Config{Cookie: cookie.Options{Name: "office", Path: "/office"}})

	front, back := gin.New(), gin.New()
	front.GET("/", func(c *gin.Context) {
		session.FromContext(c.Request).Set("in", "shop")
	})
	back.GET("/office/", func(c *gin.Context) {
		office.FromContext(c.Request).Set("in", "office")
		c.String(200, "%v, %v", shop.FromContext(c.Request).Get("in"), session.FromContext(c.Request).Get("in"))
	})
	mux := http.NewServeMux()
	mux.Handle("/", front)
	mux.Handle("/office/", office.Middleware(back))
	app := shop.Middleware(mux)

	res, _ := get(t, app, "/")
	res, body := get(t, app, "/office/", res.Cookies()...)
	if body != "shop, office" {
		t.Errorf("the back office sees %q, want %q", body, "shop, office")
	}
	if cs := res.Cookies(); len(cs) != 1 || cs[0].Name != "office" || cs[0].Path != "/office" {
		t.Errorf("the back office's answer has the cookies %v, want its own only, for /office", cs)
	}
}

// A *gin.Context as a context.Context.
func TestContextWithFallback(t *testing.T) {
	m := manager(t, session.Config{})
	for _, fallback := range []bool{false, true} {
		e := gin.New()
		e.ContextWithFallback = fallback
		e.GET("/", func(c *gin.Context) {
			_, direct := session.Lookup(c)
			_, request := session.Lookup(c.Request.Context())
			c.String(200, "%v %v", direct, request)
		})
		want := map[bool]string{false: "false true", true: "true true"}[fallback]
		if _, got := get(t, m.Middleware(e), "/"); got != want {
			t.Errorf("ContextWithFallback %v: Lookup(c), Lookup(c.Request.Context()) = %s, want %s", fallback, got, want)
		}
	}
}

// Static files go without sessions.
func TestSkip(t *testing.T) {
	m := manager(t, session.Config{Skip: func(r *http.Request) bool { return r.URL.Path == "/robots.txt" }})
	e := gin.New()
	e.GET("/robots.txt", func(c *gin.Context) {
		_, ok := session.Lookup(c.Request.Context())
		c.String(200, "%v", ok)
	})
	if res, got := get(t, m.Middleware(e), "/robots.txt"); got != "false" || res.Header.Get("Vary") != "" {
		t.Errorf("a skipped request: session %s, Vary %q; want neither", got, res.Header.Get("Vary"))
	}
}
