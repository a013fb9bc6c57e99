package sessiontest

import "github.com/chisession/session"

// A Setup is something that a session has before the request: [Values],
// [User], [Label], or anything else by [With].
type Setup interface {
	apply(*session.Session)
}

// Values are stored in the session, by Set.
type Values map[string]any

func (v Values) apply(s *session.Session) {
	for key, value := range v {
		s.Set(key, value)
	}
}

// User is logged in, by SetUser.
type User string

func (u User) apply(s *session.Session) { s.SetUser(string(u)) }

// Label is the session's name in lists of devices, by SetLabel. A session is
// not stored for its label alone.
type Label string

func (l Label) apply(s *session.Session) { s.SetLabel(string(l)) }

// With does anything else to the session: it puts messages into its flash,
// makes it persistent, gives it timeouts of its own.
type With func(*session.Session)

func (f With) apply(s *session.Session) { f(s) }
