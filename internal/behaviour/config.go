package behaviour

import (
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/cookie"
)

// configCases are about mistakes that New refuses, and what an empty Config
// means.
var configCases = []behaviour{
	once("contradictions are refused", contradictions),
	once("mistakes are refused", mistakes),
	once("a bad transport is refused", badTransport),
	once("durations that cannot be meant are refused", durations),
	once("the default timeouts", defaults),
	once("bad save paths are refused", badSavePaths),
}

func contradictions(t *testing.T) {
	tests := []struct {
		options cookie.Options
		field   string
	}{
		{cookie.Options{SameSite: http.SameSiteNoneMode, Insecure: true}, "SameSite"},
		{cookie.Options{Partitioned: true, Insecure: true}, "Partitioned"},
		{cookie.Options{Name: "__Host-id", Domain: "example.com"}, "Domain"},
		{cookie.Options{Name: "__Host-id", Path: "/app"}, "Path"},
		{cookie.Options{Name: "__host-id", Path: "/app"}, "Path"},
		{cookie.Options{Name: "__Host-id", Insecure: true}, "Insecure"},
		{cookie.Options{Name: "__Secure-id", Insecure: true}, "Insecure"},
		{cookie.Options{Name: "my session"}, "Name"},
		{cookie.Options{Name: "a=b"}, "Name"},
		{cookie.Options{Name: "a;b"}, "Name"},
		{cookie.Options{Name: "a\r\nSet-Cookie: x=y"}, "Name"},
		{cookie.Options{Name: "é"}, "Name"},
		{cookie.Options{Name: "a\x00"}, "Name"},
		{cookie.Options{Name: strings.Repeat("n", 5000)}, "Name"},
		{cookie.Options{Path: "app"}, "Path"},
		{cookie.Options{Path: "/a; Domain=evil.example"}, "Path"},
		{cookie.Options{Path: "/a\r\nX: y"}, "Path"},
		{cookie.Options{Path: "/" + strings.Repeat("p", 1025)}, "Path"},
		{cookie.Options{Domain: "https://example.com"}, "Domain"},
		{cookie.Options{Domain: "example.com:8080"}, "Domain"},
		{cookie.Options{Domain: "example.com; Secure"}, "Domain"},
		{cookie.Options{Domain: "a b"}, "Domain"},
		{cookie.Options{Domain: "."}, "Domain"},
		{cookie.Options{Domain: "ex\r\nample.com"}, "Domain"},
		{cookie.Options{Domain: "-a.example"}, "Domain"},
		{cookie.Options{SameSite: 9}, "SameSite"},
		{cookie.Options{MaxAge: -1}, "MaxAge"},
		{cookie.Options{MaxAge: time.Millisecond}, "MaxAge"},
		{cookie.Options{MaxAge: 401 * 24 * time.Hour}, "MaxAge"},
	}
	for _, tt := range tests {
		m, err := session.New(session.Config{Cookie: tt.options})
		if err == nil {
			m.Close()
			t.Errorf("New with %+v: no error", tt.options)
			continue
		}
		if !strings.HasPrefix(err.Error(), "session: Config.Cookie: ") || !strings.Contains(err.Error(), "cookie.Options."+tt.field) {
			t.Errorf("New with %+v: %v; want an error that names cookie.Options.%s", tt.options, err, tt.field)
		}
		if text := panicOf(func() { session.Middleware(session.Config{Cookie: tt.options}) }); text != err.Error() {
			t.Errorf("Middleware with %+v panics with %q, want %q", tt.options, text, err)
		}
	}
}

// mistakes: an error names the field, and the cure where there is one.
func mistakes(t *testing.T) {
	var none *memory.Store
	for _, tc := range []struct {
		cfg  session.Config
		want string
	}{
		{session.Config{Store: backend.Store(none)}, "Config.Store is a nil *memory.Store"},
		{session.Config{SavePath: "./tmp"}, "Config.Provider"},
		{session.Config{IdleTimeout: -1}, "Config.IdleTimeout"},
		{session.Config{Transport: session.HeaderTransport("Content-Length")}, "X-Session-Token"},
	} {
		if _, err := session.New(tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "TouchEvery") {
			t.Errorf("New(%v): %v, want an error with %q", tc.cfg, err, tc.want)
		}
	}
}

func badTransport(t *testing.T) {
	for _, transport := range []session.Transport{
		session.HeaderTransport("no good"), session.HeaderTransport("Cookie"), session.HeaderTransport("authorization"), session.HeaderTransport("a:b"),
		session.FirstOf(session.FirstOf(session.BearerTransport())), session.FirstOf(session.HeaderTransport("\n")),
		session.HeaderTransport(""), session.FirstOf(), session.FirstOf(session.HeaderTransport("")), // an unset variable is not a wish for cookies
		session.HeaderTransport("location"), session.HeaderTransport("Set-Cookie2"), session.HeaderTransport("content-encoding"), session.HeaderTransport("X-Forwarded-For"),
	} {
		if _, err := session.New(session.Config{Transport: transport}); err == nil || !strings.Contains(err.Error(), "Config.Transport") {
			t.Errorf("New with %+v: %v, want an error that names Config.Transport", transport, err)
		}
	}
}

// durations: what cannot be meant is an error of the constructor
// that names the field, and from a handler one of the request.
func durations(t *testing.T) {
	wrong := []time.Duration{-1, -time.Hour, math.MinInt64, 1, 3600, math.MaxInt64, 101 * 365 * 24 * time.Hour}
	for field, set := range map[string]func(*session.Config, time.Duration){
		"Config.IdleTimeout":     func(c *session.Config, d time.Duration) { c.IdleTimeout = d },
		"Config.AbsoluteTimeout": func(c *session.Config, d time.Duration) { c.AbsoluteTimeout = d },
		"Config.StoreTimeout":    func(c *session.Config, d time.Duration) { c.StoreTimeout = d },
	} {
		for _, d := range wrong {
			var cfg session.Config
			set(&cfg, d)
			if m, err := session.New(cfg); err == nil {
				m.Close()
				t.Errorf("New with %s %v: no error", field, d)
			} else if !strings.Contains(err.Error(), field) {
				t.Errorf("New with %s %v: %v", field, d, err)
			}
		}
	}
	for _, cfg := range []session.Config{
		{TouchEvery: -1}, {TouchEvery: time.Hour}, {TouchEvery: math.MaxInt64}, {SweepEvery: 1}, {IdleTimeout: 2 * time.Hour, AbsoluteTimeout: time.Hour},
		{Cookie: cookie.Options{MaxAge: -1}}, {Cookie: cookie.Options{MaxAge: math.MaxInt64}},
	} {
		if m, err := session.New(cfg); err == nil {
			m.Close()
			t.Errorf("New(%v, touch %v, sweep %v): no error", cfg, cfg.TouchEvery, cfg.SweepEvery)
		}
	}
	m := newManager(t, session.Config{})
	for _, d := range append(wrong, time.Microsecond) {
		for name, set := range map[string]func(*session.Session, time.Duration){
			"SetIdleTimeout": (*session.Session).SetIdleTimeout, "SetAbsoluteTimeout": (*session.Session).SetAbsoluteTimeout,
		} {
			res, token := visit(m, "", func(s *session.Session) { s.Set("a", 1); set(s, d) })
			if res.StatusCode != http.StatusInternalServerError || token != "" {
				t.Errorf("%s(%v): status %d, a cookie: %v; want 500 and none", name, d, res.StatusCode, token != "")
			}
		}
	}
}

// defaults: a Config with nothing in it ends a session after an
// idle hour, and after 24 hours however active it is.
func defaults(t *testing.T) {
	if session.DefaultIdleTimeout > time.Hour || session.DefaultAbsoluteTimeout > 24*time.Hour {
		t.Errorf("the defaults are %v and %v, want at most 1 h and 24 h", session.DefaultIdleTimeout, session.DefaultAbsoluteTimeout)
	}
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, session.Config{})
		alive := func(token string) (alive bool) {
			visit(m, token, func(s *session.Session) { alive = !s.IsNew() })
			return alive
		}
		_, idle := visit(m, "", setOne)
		_, active := visit(m, "", setOne)
		time.Sleep(time.Hour - time.Minute)
		if !alive(idle) || !alive(active) {
			t.Error("a session ended before an hour")
		}
		time.Sleep(time.Hour)
		if alive(idle) {
			t.Error("a session is alive after an hour without activity")
		}
		_, active = visit(m, "", setOne)
		for start := time.Now(); time.Since(start) < 24*time.Hour; time.Sleep(time.Minute) {
			if !alive(active) {
				t.Fatalf("an active session ended after %v", time.Since(start))
			}
		}
		if alive(active) {
			t.Error("an active session is alive after 24 hours")
		}
		m.Close()
	})
}

func badSavePaths(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []session.Config{
		{Provider: "file", SavePath: taken},
		{Provider: "file", SavePath: filepath.Join(taken, "below")},
		{Provider: "file", SavePath: "nul\x00path"},
		{Provider: "memory", SavePath: "secret@somewhere"},
		{Provider: "redis", SavePath: "redis://u:secret@127.0.0.1:0/x"},
		{Provider: "redis", SavePath: "127.0.0.1:6379,many,secret"},
		{Provider: "mysql", SavePath: "u:secret@tcp(127.0.0.1:0/db"},
		{Provider: "mysql", SavePath: "u:secret@nonet(127.0.0.1:1)/db?x=%zz"},
	} {
		m, err := session.New(c)
		if err == nil {
			m.Close()
			t.Errorf("New(%s, %q): no error", c.Provider, c.SavePath)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("New(%s): the error has the password: %v", c.Provider, err)
		}
	}
	if text, err := os.ReadFile(taken); err != nil || string(text) != "mine" {
		t.Errorf("the file at the save path is %q, %v", text, err)
	}
}
