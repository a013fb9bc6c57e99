package session_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/chisession/session"
)

// TestUpdateOfAnotherTypeChangesNothing: a counter that was an int64 must not
// begin anew because somebody updates it as an int.
func TestUpdateOfAnotherTypeChangesNothing(t *testing.T) {
	type cart struct{ Items []string }
	type newCart struct{ Items int }
	for _, tt := range []struct {
		value  any
		update func(*session.Session) error
		types  []string
	}{
		{int64(4100), func(s *session.Session) error { return addOneTyped[int](s) }, []string{"int64", "int"}},
		{4100, func(s *session.Session) error { return addOneTyped[int64](s) }, []string{"int", "int64"}},
		{"4100", func(s *session.Session) error { return addOneTyped[int](s) }, []string{"string", "int"}},
		{uint8(41), func(s *session.Session) error { return addOneTyped[float64](s) }, []string{"uint8", "float64"}},
		{cart{[]string{"tea"}}, func(s *session.Session) error {
			_, err := session.Update(s, "n", func(c newCart) newCart { c.Items++; return c })
			return err
		}, []string{"newCart"}},
		{cart{[]string{"tea"}}, func(s *session.Session) error { return addOneTyped[int](s) }, []string{"int"}},
	} {
		a := newApp(t, session.Config{})
		a.handle("/", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Set("n", tt.value)
			before := s.Get("n")
			err := tt.update(s)
			if err == nil {
				t.Errorf("Update of a %T: no error", tt.value)
				return
			}
			for _, name := range append(tt.types, `"n"`) {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("Update of a %T: %q does not name %s", tt.value, err, name)
				}
			}
			if strings.Contains(err.Error(), "41") || strings.Contains(err.Error(), "tea") {
				t.Errorf("the error has the value: %v", err)
			}
			if after := s.Get("n"); !reflect.DeepEqual(before, after) {
				t.Errorf("Update of a %T changed %v to %v", tt.value, before, after)
			}
		})
		a.browser(t).get("/")
	}
	a := newApp(t, session.Config{})
	a.handle("/", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Set("n", nil)
		if err := addOneTyped[int](s); err != nil || s.Get("n") != 1 {
			t.Errorf("Update of nil: %v, the value is %v; want 1", err, s.Get("n"))
		}
	})
	a.browser(t).get("/")
}

func addOneTyped[N int | int64 | float64](s *session.Session) error {
	_, err := session.Update(s, "n", func(n N) N { return n + 1 })
	return err
}
