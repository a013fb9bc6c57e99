package flash

import (
	"slices"
	"sync"

	"github.com/chisession/session"
)

// localKey is where a session keeps a request's local.
type localKey struct{}

// An entry is a stored message.
type entry struct{ key, text string }

func messages(entries []entry) Messages {
	var m Messages
	for _, e := range entries {
		level, _ := levelOf(e.key)
		m = append(m, Message{level, e.text})
	}
	return m
}

// A local is what one request knows of its flash and the session does not
// store. A session that it logged out of, and the one that came after, are
// told apart by their IDs.
type local struct {
	mu    sync.Mutex // guards all below, and makes one Take of a request wait for the other
	now   Messages   // from Now
	shown []entry    // what was taken
	from  string     // ...of the session with this ID
	kept  string     // the ID of the session that Keep was called on
}

func (l *local) isKept(s *session.Session) bool { return l.kept != "" && l.kept == s.ID() }

// keep puts back what was taken, under its old keys, so that the order stays,
// and has later calls of Take leave what they return.
func (l *local) keep(s *session.Session) {
	l.kept = s.ID()
	if l.from != l.kept {
		return // it was another session's, which has been destroyed
	}
	for _, e := range l.shown {
		s.Set(e.key, e.text)
	}
}

// show notes that taken were shown, and returns those that were not before.
func (l *local) show(s *session.Session, taken []entry) Messages {
	fresh := l.unshown(taken)
	if id := s.ID(); l.from != id {
		l.from, l.shown = id, nil
	}
	l.shown = append(l.shown, fresh...)
	return messages(fresh)
}

// unshown returns those of entries that this request has not taken yet.
func (l *local) unshown(entries []entry) []entry {
	return slices.DeleteFunc(entries, func(e entry) bool { return l.has(e.key) })
}

// unseen returns those of keys that this request has not taken yet.
func (l *local) unseen(keys []string) []string {
	return slices.DeleteFunc(keys, l.has)
}

func (l *local) has(key string) bool {
	return slices.ContainsFunc(l.shown, func(e entry) bool { return e.key == key })
}
