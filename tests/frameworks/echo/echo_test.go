package echo_test

import (
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/echosession"
	"github.com/chisession/session/internal/visit"
	"github.com/chisession/session/tests/frameworks/internal/suite"
)

// The way to do it: around the application.
func TestAround(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		return m.Middleware(app(step, recoverQuietly(), dropOnPanic))
	})
}

// Middlewares that write in ways of their own: Gzip holds back and compresses,
// BodyDump wraps the writer, Secure and RequestID set headers.
func TestAroundMore(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		dump := middleware.BodyDump(func(echo.Context, []byte, []byte) {})
		return m.Middleware(app(step, middleware.RequestID(), middleware.Secure(), middleware.Gzip(), dump, recoverQuietly(), dropOnPanic))
	})
}

// Inside, handlers are served as well; the suite has no HTTPErrorHandler that
// uses the session.
func TestInsideHandlers(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		return app(step, recoverQuietly(), echo.WrapMiddleware(m.Middleware))
	})
}

// By echosession, inside of the application.
func TestEchosession(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		return app(step, recoverQuietly(), echosession.Middleware(m))
	})
}

// The same behind middlewares that write in ways of their own.
func TestEchosessionMore(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		dump := middleware.BodyDump(func(echo.Context, []byte, []byte) {})
		return app(step, middleware.RequestID(), middleware.Secure(), middleware.Gzip(), dump, recoverQuietly(), echosession.Middleware(m))
	})
}

// TestEchosessionErrors: the session is there in HTTPErrorHandler, a hook of
// Response.Before is in time, and what stands outside sees the status that the
// client got.
func TestEchosessionErrors(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fault := backendtest.NewFault(store)
	m := manager(t, session.Config{Store: fault.Store()})
	e := echo.New()
	var status int
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			status = c.Response().Status
			return err
		}
	}, echosession.Middleware(m))
	e.HTTPErrorHandler = func(_ error, c echo.Context) {
		s := echosession.FromContext(c)
		c.Response().Before(func() { s.Set("before", true) })
		s.Set("tried", true)
		c.NoContent(http.StatusTeapot)
	}
	e.GET("/", func(echo.Context) error { return errors.New("for the error handler") })
	e.GET("/get", func(c echo.Context) error {
		return c.JSON(http.StatusOK, echosession.FromContext(c).Keys())
	})
	res, _ := get(e, "/")
	if len(res.Cookies()) != 1 || res.StatusCode != http.StatusTeapot || status != res.StatusCode {
		t.Fatalf("status %d, outside %d, %d cookies; want %d twice and one cookie", res.StatusCode, status, len(res.Cookies()), http.StatusTeapot)
	}
	if _, got := get(e, "/get", res.Cookies()...); got != "[\"before\",\"tried\"]\n" {
		t.Errorf("stored are %s, want both what the error handler and its hook Set", got)
	}
	fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(errors.New("down")))
	if res, _ := get(e, "/get", res.Cookies()...); res.StatusCode != http.StatusServiceUnavailable || status != res.StatusCode {
		t.Errorf("not loaded: the client got %d, outside saw %d; want 503 twice", res.StatusCode, status)
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

func get(h http.Handler, path string, cookies ...*http.Cookie) (*http.Response, string) {
	w := visit.Get(h, path, cookies...)
	return w.Result(), w.Body.String()
}

// What WrapMiddleware cannot do: the session is over when the handler's error
// reaches HTTPErrorHandler. This test holds what goes wrong, so that the
// documentation stays true.
func TestInside(t *testing.T) {
	m := manager(t, session.Config{})
	for _, tc := range []struct {
		name   string
		wire   func(*echo.Echo) http.Handler
		cookie int
		is     error
	}{
		{"around", func(e *echo.Echo) http.Handler { return m.Middleware(e) }, 1, nil},
		{"inside", func(e *echo.Echo) http.Handler { e.Use(echo.WrapMiddleware(m.Middleware)); return e }, 0, session.ErrReleased},
	} {
		e := echo.New()
		var err error
		e.HTTPErrorHandler = func(_ error, c echo.Context) {
			s := session.FromContext(c.Request())
			s.Set("tried", true)
			err = s.Err()
			c.NoContent(http.StatusTeapot)
		}
		e.GET("/", func(echo.Context) error { return errors.New("to be answered") })
		res, _ := get(tc.wire(e), "/")
		if n := len(res.Cookies()); res.StatusCode != http.StatusTeapot || n != tc.cookie || !errors.Is(err, tc.is) {
			t.Errorf("%s: status %d, %d cookies, Err %v; want %d, %d, %v", tc.name, res.StatusCode, n, err, http.StatusTeapot, tc.cookie, tc.is)
		}
	}
}

// A hook of Response.Before sees the session in time if the sessions are
// around the application.
func TestBefore(t *testing.T) {
	m := manager(t, session.Config{})
	hook := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Before(func() { session.FromContext(c.Request()).Set("value", "before") })
			return next(c)
		}
	}
	for _, tc := range []struct {
		name, want string
		app        http.Handler
	}{
		{"around", "before", m.Middleware(app(nil, hook))},
		{"inside, the hook outside", "nothing", app(nil, hook, echo.WrapMiddleware(m.Middleware))},
	} {
		res, _ := get(tc.app, "/no/such/page")
		if _, got := get(m.Middleware(app(nil)), "/get", res.Cookies()...); got != tc.want {
			t.Errorf("%s: the value is %q, want %q", tc.name, got, tc.want)
		}
	}
}

// Without dropOnPanic, Recover hides the panic from the sessions.
func TestRecoverAloneStores(t *testing.T) {
	m := manager(t, session.Config{})
	for _, tc := range []struct {
		name string
		app  http.Handler
		want string
	}{
		{"Recover", m.Middleware(app(nil, recoverQuietly())), "panic"},
		{"Recover, dropOnPanic", m.Middleware(app(nil, recoverQuietly(), dropOnPanic)), "green"},
	} {
		res, _ := get(tc.app, "/set/green")
		if res, _ := get(tc.app, "/panic", res.Cookies()...); res.StatusCode != 500 {
			t.Errorf("%s: status %d, want 500", tc.name, res.StatusCode)
		}
		if _, got := get(tc.app, "/get", res.Cookies()...); got != tc.want {
			t.Errorf("%s: after a panic the value is %q, want %q", tc.name, got, tc.want)
		}
	}
}

// Groups with sessions of their own: the shop's around all, the back office's
// for its group. What WrapMiddleware cannot do holds for the group.
func TestGroup(t *testing.T) {
	shop := manager(t, session.Config{})
	office := manager(t, session.Config{Cookie: cookie.Options{Name: "office", Path: "/office"}})

	e := echo.New()
	e.GET("/", func(c echo.Context) error {
		session.FromContext(c.Request()).Set("in", "shop")
		return c.NoContent(http.StatusOK)
	})
	group := e.Group("/office", echo.WrapMiddleware(office.Middleware))
	group.GET("/", func(c echo.Context) error {
		office.FromContext(c.Request()).Set("in", "office")
		text, _ := shop.FromContext(c.Request()).Get("in").(string)
		return c.String(http.StatusOK, text+", "+session.FromContext(c.Request()).Get("in").(string))
	})
	h := shop.Middleware(e)

	res, _ := get(h, "/")
	res, body := get(h, "/office/", res.Cookies()...)
	if body != "shop, office" {
		t.Errorf("the back office sees %q, want %q", body, "shop, office")
	}
	if cs := res.Cookies(); len(cs) != 1 || cs[0].Name != "office" || cs[0].Path != "/office" {
		t.Errorf("the back office's answer has the cookies %v, want its own only, for /office", cs)
	}
}

// Static files go without sessions.
func TestSkip(t *testing.T) {
	m := manager(t, session.Config{Skip: func(r *http.Request) bool { return r.URL.Path == "/robots.txt" }})
	e := echo.New()
	e.GET("/robots.txt", func(c echo.Context) error {
		_, ok := session.Lookup(c.Request().Context())
		return c.JSON(http.StatusOK, ok)
	})
	if res, got := get(m.Middleware(e), "/robots.txt"); got != "false\n" || res.Header.Get("Vary") != "" {
		t.Errorf("a skipped request: session %s, Vary %q; want neither", got, res.Header.Get("Vary"))
	}
}
