package sessiontest

import (
	"cmp"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/standin"
)

// A Client makes requests with sessions and serves them. It may be used by
// parallel tests.
type Client struct {
	t       testing.TB
	manager *session.Manager // what handlers run behind
	own     *session.Manager // on the same store; makes and reads sessions, without hooks and counts
	store   backend.Store
	cookie  string // its name
}

// New returns a Client whose sessions are kept as cfg says. It differs from
// [session.New] in what suits a test: the log goes to the test's output, and
// there is no collector in the background unless cfg.SweepEvery is positive.
// Its sessions travel in the cookie; a Transport must know that, too. When the test ends everything is closed, but for a Store of the caller's.
//
// On, Stats and WrapStore see what handlers do, and nothing of what the Client itself
// does to prepare and to look. Its looks are calls of the store, though: one
// that is to fail in a test should fail for as long as the test needs it, not
// a number of times.
func New(t testing.TB, cfg session.Config) *Client {
	t.Helper()
	if cfg.Disabled {
		t.Fatalf("sessiontest: New: Config.Disabled is set, so there are no sessions to test")
	}
	name, err := cookie.New(cfg.Cookie)
	if err != nil {
		t.Fatalf("sessiontest: New: Config.Cookie: %v", err)
	}
	if cfg.Store == nil {
		cfg.Store = open(t, cfg.Provider, cfg.SavePath)
		cfg.Provider, cfg.SavePath = "", ""
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	cfg.SweepEvery = cmp.Or(cfg.SweepEvery, -1)

	c := &Client{t: t, store: cfg.Store, cookie: name.Name()}
	c.manager = manager(t, cfg)
	cfg.On, cfg.MaxPerUser, cfg.SweepEvery, cfg.WrapStore = nil, 0, -1, nil
	cfg.Logger = slog.New(slog.DiscardHandler)
	c.own = manager(t, cfg)
	c.needCookie()
	return c
}

// needCookie fails the test if sessions do not travel in the cookie. Nothing is
// stored: a session that is started by hand announces its cookie at once.
func (c *Client) needCookie() {
	c.t.Helper()
	w := httptest.NewRecorder()
	s, err := c.own.Start(w, httptest.NewRequest("GET", "/", nil))
	if err != nil {
		c.t.Fatalf("sessiontest: New: %v", err)
	}
	s.Set("sessiontest", true)
	if w.Header().Get("Set-Cookie") == "" {
		c.t.Fatalf("sessiontest: New: Config.Transport has no cookie, by which a Client knows sessions: add it, FirstOf(…, session.Transport{})")
	}
}

// open opens a store by name until the test ends.
func open(t testing.TB, provider, savePath string) backend.Store {
	t.Helper()
	store, err := backend.Open(cmp.Or(provider, session.DefaultProvider), savePath)
	if err != nil {
		t.Fatalf("sessiontest: New: Config.Provider: %v", err)
	}
	if closer := backend.AbilitiesOf(store).Closer; closer != nil {
		t.Cleanup(func() {
			if err := closer.Close(); err != nil {
				t.Errorf("sessiontest: close the store: %v", err)
			}
		})
	}
	return store
}

func manager(t testing.TB, cfg session.Config) *session.Manager {
	t.Helper()
	m, err := session.New(cfg)
	if err != nil {
		t.Fatalf("sessiontest: New: %v", err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("sessiontest: %v", err)
		}
	})
	return m
}

// Manager returns the manager that handlers run behind: for a router that
// mounts it itself, for handlers that list or revoke sessions, and for Stats.
func (c *Client) Manager() *session.Manager { return c.manager }

// Request returns a request over HTTPS, as [httptest.NewRequest] makes it,
// without a body. With one or more setups it comes with the cookie of a new
// session that has been stored with them; without any it comes without a
// cookie, as a first visit does.
func (c *Client) Request(method, target string, with ...Setup) *http.Request {
	c.t.Helper()
	return c.Attach(overHTTPS(httptest.NewRequest(method, target, nil)), with...)
}

// Attach does to a request of the caller's, with a body or headers say, what
// Request does: it adds the cookie of a new session with the setups, if there
// are any, and returns r.
func (c *Client) Attach(r *http.Request, with ...Setup) *http.Request {
	c.t.Helper()
	if len(with) > 0 {
		r.AddCookie(&http.Cookie{Name: c.cookie, Value: c.stored(with)})
	}
	return r
}

// stored stores a new session and returns its token.
func (c *Client) stored(with []Setup) string {
	c.t.Helper()
	s, err := c.own.Start(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if err != nil {
		c.t.Fatalf("sessiontest: make a session: %v", err)
	}
	for _, setup := range with {
		setup.apply(s)
	}
	if err := s.Save(); err != nil {
		c.t.Fatalf("sessiontest: store the session: %v", err)
	}
	token := s.Token()
	if token == "" {
		c.t.Fatalf("sessiontest: there is nothing to store: a session needs a value or a user")
	}
	if err := s.Release(); err != nil {
		c.t.Fatalf("sessiontest: release the session: %v", err)
	}
	return token
}

// Serve runs h for r behind the middleware, and returns the response together
// with what became of the session. If h mounts a session middleware of its
// own under the same cookie name, that one does nothing, whatever its rules
// are, so whole routers can be tested. A panic of h goes on to the caller.
func (c *Client) Serve(h http.Handler, r *http.Request) *Response {
	c.t.Helper()
	res := &Response{ResponseRecorder: httptest.NewRecorder(), c: c, request: r}
	res.before = c.look(r.Cookies())
	c.manager.Middleware(h).ServeHTTP(res.ResponseRecorder, r.WithContext(standin.Mark(r.Context())))
	res.cookies = browser(r.Cookies(), res.ResponseRecorder.Result().Cookies())
	res.after = c.look(res.cookies)
	return res
}

// WithSession returns r with a session in its context, for code that is
// called without the middleware: [session.FromContext] finds it until the test
// ends. With setups it is a stored session that has them; without any it is
// a new, empty one. What the code does to it is read from it right away, or
// stored by Save.
func WithSession(t testing.TB, r *http.Request, with ...Setup) *http.Request {
	t.Helper()
	c := New(t, session.Config{})
	serve := func(yield func(*http.Request) bool) {
		// The handler lasts, and with it the session, until stop is called.
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { yield(r) })
		c.manager.Middleware(handler).ServeHTTP(httptest.NewRecorder(), c.Attach(r.WithContext(standin.Mark(r.Context())), with...))
	}
	next, stop := iter.Pull(iter.Seq[*http.Request](serve))
	t.Cleanup(stop)
	inside, ok := next()
	if !ok {
		t.Fatalf("sessiontest: the session could not be loaded")
	}
	return inside
}
