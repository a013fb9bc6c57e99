package session_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

type boughtItem struct {
	Name  string
	Count int
}

var (
	keyCart  = session.NewKey[[]boughtItem]("cart")
	keyCount = session.NewKey[int]("count")
	keyWord  = session.NewKey[string]("count") // the same name as another type
)

// serve runs handler with what is stored, and returns what was logged.
func (c *keyClient) serve(handler func(s *session.Session)) (logged string) {
	c.t.Helper()
	c.log.Reset()
	r := c.Request("GET", "/")
	if c.last != nil {
		r = c.last.Next("GET", "/")
	}
	c.last = c.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handler(session.FromContext(r)) }), r)
	return c.log.String()
}

// A keyClient is one browser, whose log is read.
type keyClient struct {
	*sessiontest.Client
	t    *testing.T
	log  *bytes.Buffer
	last *sessiontest.Response
}

func newKeyClient(t *testing.T) *keyClient {
	log := &bytes.Buffer{}
	c := sessiontest.New(t, session.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	return &keyClient{Client: c, t: t, log: log}
}

func TestKey(t *testing.T) {
	c := newKeyClient(t)
	want := []boughtItem{{"tea", 2}, {"mug", 1}}
	c.serve(func(s *session.Session) {
		if v, ok := keyCart.Get(s); v != nil || ok {
			t.Errorf("Get of what is not there: %v, %v", v, ok)
		}
		if v := keyCount.Or(s, 7); v != 7 {
			t.Errorf("Or = %d, want the other value, 7", v)
		}
		keyCart.Set(s, want)
		keyCount.Set(s, 1)
	})
	logged := c.serve(func(s *session.Session) {
		if v, ok := keyCart.Get(s); !ok || !slices.Equal(v, want) {
			t.Errorf("Get = %v, %v; want %v", v, ok, want)
		}
		if v := keyCount.Or(s, 7); v != 1 {
			t.Errorf("Or = %d, want the stored 1", v)
		}
		if v, err := keyCount.Update(s, func(n int) int { return n + 1 }); v != 2 || err != nil {
			t.Errorf("Update = %d, %v; want 2", v, err)
		}
		err := s.Update(func(v *session.Values) error {
			keyCount.Set(v, keyCount.Or(v, 0)+1)
			keyCart.Delete(v)
			return nil
		})
		if v := s.Get("count"); v != 3 || s.Has("cart") || err != nil {
			t.Errorf("after Update: count %v, cart there %v, %v; want 3 and none", v, s.Has("cart"), err)
		}
		if v, ok := keyCount.Pop(s); v != 3 || !ok || s.Has("count") {
			t.Errorf("Pop = %d, %v, still there: %v; want 3 and gone", v, ok, s.Has("count"))
		}
		if v, ok := keyCount.Pop(s); v != 0 || ok {
			t.Errorf("Pop of nothing = %d, %v", v, ok)
		}
	})
	if logged != "" {
		t.Errorf("logged: %s", logged)
	}
}

// TestKeyOfAnotherType: a value of another type than the key's reads as absent,
// is told with both types, and is left as it is by everything but Set and
// Delete.
func TestKeyOfAnotherType(t *testing.T) {
	c := newKeyClient(t)
	c.serve(func(s *session.Session) { keyCount.Set(s, 42) })
	for name, read := range map[string]func(*session.Session) bool{
		"Get": func(s *session.Session) bool { _, ok := keyWord.Get(s); return ok },
		"Or":  func(s *session.Session) bool { return keyWord.Or(s, "none") != "none" },
		"Pop": func(s *session.Session) bool { _, ok := keyWord.Pop(s); return ok },
	} {
		logged := c.serve(func(s *session.Session) {
			if read(s) {
				t.Errorf("%s: there is a value", name)
			}
		})
		if !strings.Contains(logged, "level=WARN") || !strings.Contains(logged, "key=count") || !strings.Contains(logged, "int") || !strings.Contains(logged, "string") {
			t.Errorf("%s logged %q, want a warning with key and both types", name, logged)
		}
	}
	for name, update := range map[string]func(*session.Session) error{
		"Update": func(s *session.Session) error {
			_, err := keyWord.Update(s, func(string) string { return "word" })
			return err
		},
		"Get and Set in Update": func(s *session.Session) error {
			return s.Update(func(v *session.Values) error {
				keyWord.Set(v, keyWord.Or(v, "")+"word")
				return nil
			})
		},
	} {
		c.serve(func(s *session.Session) {
			if err := update(s); err == nil || !strings.Contains(err.Error(), "int") || !strings.Contains(err.Error(), "string") {
				t.Errorf("%s returned %v, want an error with both types", name, err)
			}
		})
	}
	if n := c.Manager().Stats().Unreadable; n != 3 {
		t.Errorf("Stats().Unreadable = %d, want 3", n)
	}
	c.serve(func(s *session.Session) {
		if v, ok := keyCount.Get(s); v != 42 || !ok {
			t.Errorf("the value is %d, %v now; want 42 as it was", v, ok)
		}
	})
}

// TestGenericFormIsTold: who asserts Get's result to a type that it was Set
// with, and that is not registered, gets nothing. The log says so once for
// each key, and never for what came back as it was.
func TestGenericFormIsTold(t *testing.T) {
	type role string
	c := newKeyClient(t)
	c.serve(func(s *session.Session) {
		s.Set("cart", []boughtItem{{"tea", 1}})
		s.Set("role", role("admin"))
		s.Set("n", 1)
		s.Set("names", []string{"ada"})
		s.Set("tree", map[string]any{"a": []any{1, "b"}})
	})
	read := func(s *session.Session) {
		if _, ok := s.Get("cart").([]boughtItem); ok {
			t.Error("Get returns the type without registration: then the warning is wrong")
		}
		s.Get("role")
		s.Get("n")
		s.Get("names")
		s.Get("tree")
		session.Get[[]boughtItem](s, "cart")
	}
	first, second := c.serve(read), c.serve(read)
	if strings.Count(first, "level=WARN") != 2 || !strings.Contains(first, "key=cart") || !strings.Contains(first, "key=role") || !strings.Contains(first, "session.Key") {
		t.Errorf("the first request logged\n%swant a warning for cart and for role, with the cure", first)
	}
	if second != "" {
		t.Errorf("the second request logged\n%swant nothing more", second)
	}
	logged := c.serve(func(s *session.Session) {
		for n := range 1000 { // keys that a program makes up
			key := fmt.Sprint("made up ", n)
			s.Set(key, role("x"))
			s.Get(key)
		}
	})
	if n := strings.Count(logged, "level=WARN"); n == 0 || n > 256 {
		t.Errorf("1000 keys were told of %d times, want a bounded number", n)
	}
}

// TestKeyOfNil: a nil that was Set without the key is no T, and stands for none; so
// an Update may replace it, as the function Update does.
func TestKeyOfNil(t *testing.T) {
	c := newKeyClient(t)
	count := session.NewKey[int]("count")
	logged := c.serve(func(s *session.Session) {
		s.Set("count", nil)
		if n, ok := count.Get(s); n != 0 || ok {
			t.Errorf("Get = %v, %v, want 0, false", n, ok)
		}
		err := s.Update(func(v *session.Values) error {
			count.Set(v, count.Or(v, 41)+1)
			return nil
		})
		if n, ok := count.Get(s); err != nil || n != 42 || !ok {
			t.Errorf("after an Update: %v, %v, %v, want 42", n, ok, err)
		}
	})
	if logged != "" {
		t.Errorf("logged: %s", logged)
	}
}
