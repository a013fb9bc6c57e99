// Package golden reads records that the old libraries wrote, in a process that
// has never encoded one and registers no type with encoding/gob: what is known
// here is what every program knows that imports the packages under test. So
// nothing in this package may call gob.Register, or encode.
package golden

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/migrate"
	"github.com/chisession/session/migrate/beego"
	"github.com/chisession/session/migrate/scs"
)

// file is an old store that has one record, whatever the ID.
type file struct{ data []byte }

func (f *file) Load(context.Context, string, int) ([]byte, error) {
	if f.data == nil {
		return nil, migrate.ErrNotFound
	}
	return f.data, nil
}

func (f *file) Remove(context.Context, string, []byte) error {
	if f.data == nil {
		return migrate.ErrChanged
	}
	f.data = nil
	return nil
}

// library is one of those that users come from.
type library struct {
	adopt      func(*session.Manager, migrate.Source, migrate.Options) func(http.Handler) http.Handler
	name, id   string // of the cookie
	persistent bool
}

var libraries = map[string]library{
	"beego": {beego.Adopt, beego.DefaultCookieName, "0123456789abcdef0123456789abcdef", false},
	"scs":   {scs.Adopt, scs.DefaultCookieName, strings.Repeat("A", 43), true},
}

// adopted sends a request with the old cookie, whose handler is h, and returns
// the response and the log.
func (l library) adopted(t *testing.T, source *file, h http.HandlerFunc) (*http.Response, string) {
	t.Helper()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	m, err := session.New(session.Config{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	r := httptest.NewRequest("GET", "https://shop.example/", nil)
	r.AddCookie(&http.Cookie{Name: l.name, Value: l.id})
	w := httptest.NewRecorder()
	m.Middleware(l.adopt(m, source, migrate.Options{Logger: logger})(h)).ServeHTTP(w, r)
	return w.Result(), log.String()
}

var when = time.Date(2024, 2, 3, 4, 5, 6, 7, time.UTC)

// is checks the value of key.
func is[T any](s *session.Session, key string, want T) error {
	if got, ok := session.Get[T](s, key); !ok || !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s is %#v, %v; want %#v", key, got, ok, want)
	}
	return nil
}

func TestEveryTypeThatTheOldLibraryKnows(t *testing.T) {
	for name, l := range libraries {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/" + name + ".gob")
			if err != nil {
				t.Fatal(err)
			}
			source := &file{data}
			r, log := l.adopted(t, source, func(_ http.ResponseWriter, r *http.Request) {
				s := session.FromContext(r)
				err := errors.Join(
					is(s, "uid", 4711), is(s, "name", "Ann Ω"), is(s, "admin", true), is(s, "rate", 1.25), is(s, "raw", []byte{0, 1, 255}), is(s, "big", uint64(1)<<63),
					is(s, "seen", when), is(s, "left", time.Minute),
					is(s, "list", []string{"a", "b"}), is(s, "strings", map[string]string{"lang": "pt"}), is(s, "intstring", map[int]string{1: "one"}),
					is(s, "ints", map[int]int{1: 2}), is(s, "int64s", map[int]int64{1: 1 << 40}),
					is(s, "intany", map[int]any{1: "one", 2: 2.0}),
				)
				if err != nil {
					t.Error(err)
				}
				// As ported code reads them, which asserts the type.
				exact := map[string]any{
					"any":  map[string]any{"n": 42, "tags": []string{"a"}, "at": when, "for": time.Hour},
					"anys": []any{1, "x", when, map[string]any{"n": 1}},
					"odd":  map[string]any{"a": 1, "2": "b"}, "intany": map[string]any{"1": "one", "2": 2},
					"list": []string{"a", "b"}, "strings": map[string]string{"lang": "pt"}, "ints": map[int]int{1: 2}, "int64s": map[int]int64{1: 1 << 40},
				}
				for key, want := range exact {
					if got := s.Get(key); !reflect.DeepEqual(got, want) {
						t.Errorf("%s is %#v, want %#v", key, got, want)
					}
				}
				type inner struct {
					N    int
					Tags []string
					At   time.Time
					For  time.Duration
				}
				if err := is(s, "any", inner{42, []string{"a"}, when, time.Hour}); err != nil {
					t.Error(err)
				}
				if s.Has("__rememberMe") {
					t.Error("the old library's own value is adopted as if it were the application's")
				}
			})
			if source.data != nil || strings.Contains(log, "cannot be adopted") {
				t.Errorf("the old record is there: %v; the log:\n%s", source.data != nil, log)
			}
			kept := false
			for _, c := range r.Cookies() {
				kept = kept || c.Value != "" && c.MaxAge > 300*24*3600
			}
			if kept != l.persistent {
				t.Errorf("the browser keeps the new cookie: %v, want %v: %q", kept, l.persistent, r.Header["Set-Cookie"])
			}
		})
	}
}

// A type that only the application knows is named in the log, with the cure,
// and its session waits.
func TestUnknownTypeKeepsTheOldRecord(t *testing.T) {
	for name, l := range libraries {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/" + name + "-unknown.gob")
			if err != nil {
				t.Fatal(err)
			}
			source := &file{data}
			r, log := l.adopted(t, source, func(_ http.ResponseWriter, r *http.Request) {
				if s := session.FromContext(r); !s.IsNew() || s.Len() > 0 {
					t.Error("the request has a session")
				}
			})
			if source.data == nil || r.StatusCode != 200 || len(r.Cookies()) > 0 {
				t.Errorf("the old record is there: %v; status %d, %q", source.data != nil, r.StatusCode, r.Header["Set-Cookie"])
			}
			for _, want := range []string{"key=cart", "main.Cart", "gob.Register"} {
				if !strings.Contains(log, want) {
					t.Errorf("the log does not say %s:\n%s", want, log)
				}
			}
		})
	}
}
