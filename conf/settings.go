package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// settings are the entries that count, and what is wrong with them so far.
type settings struct {
	env   lookup   // nil: values are taken as they are
	names []string // of all keys, to suggest one

	entries []entry
	errs    []error
}

// add takes the entries of one section (or of the environment). Those of the
// sections added before go first.
func (s *settings) add(section []entry) {
	last := make(map[string]int) // of a key, in this section
	for i, e := range section {
		last[e.key.Name] = i
	}
	before := len(s.entries)
	for i, e := range section {
		switch {
		case e.key.Name == "":
			s.errs = append(s.errs, e.unknown(s.names))
		case last[e.key.Name] == i && !s.has(e, before):
			s.addOne(e, before)
		}
	}
}

// has reports whether one of the first n entries sets the same as e.
func (s *settings) has(e entry, n int) bool {
	return slices.ContainsFunc(s.entries[:n], func(other entry) bool { return other.slot() == e.slot() })
}

// addOne takes an entry of the section whose first one is at index before.
func (s *settings) addOne(e entry, before int) {
	if s.env != nil {
		value, err := expand(e.value, s.env)
		if err != nil {
			s.errs = append(s.errs, e.wrong(err))
			return
		}
		e.value = value
	}
	if e.value == "" && e.key.optional {
		return
	}
	for _, other := range s.entries[before:] {
		if other.slot() == e.slot() {
			if other.value != e.value {
				s.errs = append(s.errs, fmt.Errorf("conf: %v and %v mean the same and have different values; remove one", other, e))
			}
			return
		}
	}
	s.entries = append(s.entries, e)
}

// config returns the configuration that the settings make, or all that is
// wrong with them.
func (s *settings) config() (session.Config, error) {
	c := session.Config{Disabled: true} // Beego's default
	for _, e := range s.entries {
		if err := e.apply(&c); err != nil {
			s.errs = append(s.errs, err)
		}
	}
	s.translate(&c)
	if len(s.errs) == 0 { // else one of two that contradict each other may be missing
		s.contradictions(c)
	}
	if len(s.errs) > 0 {
		return session.Config{}, errors.Join(s.errs...)
	}
	return c, nil
}

// translate puts a save path of Beego's into the backend's own terms, once it is
// known which backend that is.
func (s *settings) translate(c *session.Config) {
	i := slices.IndexFunc(s.entries, func(e entry) bool { return e.key.Field == "SavePath" })
	if i < 0 {
		return
	}
	path, err := fromBeego(c.Provider, c.SavePath)
	if err != nil {
		s.errs = append(s.errs, s.entries[i].wrong(err))
		return
	}
	c.SavePath = path
}

// apply sets e's field in c. It leaves to package cookie what it knows better.
func (e entry) apply(c *session.Config) error {
	if strings.ContainsFunc(e.value, unicode.IsControl) {
		return e.wrong(errControl)
	}
	if err := e.key.set(c, e.value); err != nil {
		return e.wrong(err)
	}
	var alone session.Config
	_ = e.key.set(&alone, e.value) // it just went well
	if _, err := cookie.New(alone.Cookie); err != nil {
		return e.wrong(errCookie) // err has the value in it
	}
	return nil
}

// contradictions finds the pairs of entries, each of which is right, that
// session.New would refuse.
func (s *settings) contradictions(c session.Config) {
	if _, err := cookie.New(c.Cookie); err != nil {
		s.errs = append(s.errs, s.cookiePair(err))
	}
	idle := c.IdleTimeout
	if idle == 0 {
		idle = session.DefaultIdleTimeout
		if c.AbsoluteTimeout > 0 {
			idle = min(idle, c.AbsoluteTimeout)
		}
	}
	if c.AbsoluteTimeout > 0 && c.AbsoluteTimeout < idle {
		s.errs = append(s.errs, fmt.Errorf("conf: %v is shorter than %v, so no session could be idle that long",
			s.of("AbsoluteTimeout"), s.of("IdleTimeout")))
	}
	if c.TouchEvery >= idle {
		s.errs = append(s.errs, fmt.Errorf("conf: %v must be shorter than the idle timeout, which is %v",
			s.of("TouchEvery"), idle.Round(time.Millisecond)))
	}
}

// cookiePair says which two entries made err.
func (s *settings) cookiePair(err error) error {
	for i, a := range s.entries {
		for _, b := range s.entries[i+1:] {
			var pair session.Config
			_ = a.key.set(&pair, a.value)
			_ = b.key.set(&pair, b.value)
			if _, err := cookie.New(pair.Cookie); err != nil {
				return fmt.Errorf("conf: %v and %v contradict each other: %w", a, b, err)
			}
		}
	}
	return fmt.Errorf("conf: these settings contradict each other: %w", err)
}

// of returns the entry that sets field.
func (s *settings) of(field string) entry {
	i := slices.IndexFunc(s.entries, func(e entry) bool { return e.key.Field == field })
	return s.entries[i]
}
