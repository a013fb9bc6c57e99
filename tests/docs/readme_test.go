package docs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/sessiontest"
)

// TestConfigTable finds the field of Config that the README forgot.
func TestConfigTable(t *testing.T) {
	readme := pages(t)["README.md"]
	for field := range reflect.TypeFor[session.Config]().Fields() {
		if !strings.Contains(readme, "`"+field.Name+"`") {
			t.Errorf("README.md does not have Config.%s", field.Name)
		}
	}
}

// TestSchema compares the table that the page shows with the one that the code
// makes.
func TestSchema(t *testing.T) {
	want := strings.Join(mysql.Schema(""), "\n")
	for _, page := range []string{"docs/backends/mysql.md"} {
		_, rest, _ := strings.Cut(pages(t)[page], "```sql\nCREATE TABLE")
		got, _, _ := strings.Cut(rest, "\n```")
		if got = "CREATE TABLE" + got; got != want {
			t.Errorf("%s shows the table\n%s\nwant\n%s", page, got, want)
		}
	}
}

// TestCosts counts the store calls of the table "What a request costs".
func TestCosts(t *testing.T) {
	stored := []sessiontest.Setup{sessiontest.Values{"n": 1}}
	tests := []struct {
		name  string
		with  []sessiontest.Setup
		do    func(*session.Session)
		calls string
	}{
		{"no cookie, not used", nil, func(*session.Session) {}, ""},
		{"no cookie, read", nil, func(s *session.Session) { s.Get("n") }, ""},
		{"read", stored, func(s *session.Session) { s.Get("n") }, "Load"},
		{"changed", stored, func(s *session.Session) { s.Set("n", 2) }, "Load Update"},
		{"new", nil, func(s *session.Session) { s.Set("n", 2) }, "Create"},
		{"new by login", nil, func(s *session.Session) { s.SetUser("ada"); s.Set("n", 2) }, "Create"},
		{"login", stored, func(s *session.Session) { s.SetUser("ada"); s.Set("n", 2) }, "Load Update"},
		{"renewal", stored, func(s *session.Session) { s.Renew() }, "Load Update"},
		{"logout", stored, func(s *session.Session) { s.Destroy() }, "Load DeleteVersion"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, calls := counting(t, session.Config{})
			calls(c.Request("GET", "/", tt.with...), tt.do, tt.calls)
		})
	}

	t.Run("activity", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _, calls := counting(t, session.Config{})
			r := c.Request("GET", "/", stored...)
			time.Sleep(2 * time.Minute)
			calls(r, func(*session.Session) {}, "Load Touch")
			calls(r, func(*session.Session) {}, "Load")
		})
	})
	t.Run("conflict", func(t *testing.T) {
		c, fault, calls := counting(t, session.Config{})
		r := c.Request("GET", "/", stored...)
		fault.On(backendtest.OpUpdate, 1, backendtest.Fail(backend.ErrConflict))
		// The Update that meets the conflict fails before it can be seen.
		calls(r, func(s *session.Session) { s.Set("n", 2) }, "Load Load Update")
	})
	t.Run("MaxPerUser", func(t *testing.T) {
		c, _, calls := counting(t, session.Config{MaxPerUser: 1})
		login := func(s *session.Session) { s.SetUser("ada") }
		calls(c.Request("GET", "/"), login, "Create ByUser")
		calls(c.Request("GET", "/"), login, "Create ByUser DeleteVersion")
	})
}

// counting returns a client, what stands before its store, and a function that
// checks which calls of the store a request makes.
func counting(t *testing.T, cfg session.Config) (*sessiontest.Client, *backendtest.Fault, func(*http.Request, func(*session.Session), string)) {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	fault := backendtest.NewFault(store)
	fault.Before = func(_ context.Context, call backendtest.Call) error {
		made = append(made, string(call.Op))
		return nil
	}
	cfg.Store = fault.Store()
	c := sessiontest.New(t, cfg)
	return c, fault, func(r *http.Request, do func(*session.Session), want string) {
		t.Helper()
		made = nil
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { do(session.FromContext(r)) })
		c.Manager().Middleware(handler).ServeHTTP(httptest.NewRecorder(), r)
		if got := strings.Join(made, " "); got != want {
			t.Errorf("calls of the store: %q, want %q", got, want)
		}
	}
}
