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
	taking sync.Mutex // held by the one Take that runs

	mu    sync.Mutex // guards all below; nothing of the session runs under it
	now   Messages   // from Now
	shown []entry    // what was taken, the last mostShown
	from  string     // ...of the session with this ID
	kept  string     // the ID of the session that Keep was called on
}

// mostShown is how many messages a request remembers that it has shown: those that
// Keep would leave, and as many that may still be in the session because of it. A
// response that goes on for hours may show any number.
const mostShown = 2 * MaxMessages

// begin starts a Take: it hands over the messages of Now, and says whether Keep
// was called on this session.
func (l *local) begin(s *session.Session) (now Messages, kept bool) {
	id := s.ID()
	l.mu.Lock()
	defer l.mu.Unlock()
	now, l.now = l.now, nil
	return now, l.kept != "" && l.kept == id
}

// keep puts back what was taken, under its old keys, so that the order stays,
// and has later calls of Take leave what they return.
func (l *local) keep(s *session.Session) {
	id := s.ID()
	l.mu.Lock()
	l.kept = id
	var shown []entry
	if l.from == id { // not another session's, which has been destroyed
		shown = slices.Clone(l.shown[max(0, len(l.shown)-MaxMessages):])
	}
	l.mu.Unlock()
	for _, e := range shown {
		s.Set(e.key, e.text)
	}
}

// show notes that taken were shown, and returns those that were not before.
func (l *local) show(s *session.Session, taken []entry) Messages {
	fresh := l.unshown(taken)
	id := s.ID()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from != id {
		l.from, l.shown = id, nil
	}
	l.shown = append(l.shown, fresh...)
	l.shown = slices.Delete(l.shown, 0, max(0, len(l.shown)-mostShown))
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
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.shown, func(e entry) bool { return e.key == key })
}
