package flash

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/chisession/session"
	requestlocal "github.com/chisession/session/internal/local"
)

// MaxMessages is how many messages wait in a session at most; the oldest goes
// when another is added. It keeps a client that never shows any from filling
// its session. Requests that add at the same time may exceed it a little.
const MaxMessages = 100

// Flash is the flash of one session: what the package's functions work on,
// for code that has the session and not the request. Its methods may be
// called by any number of goroutines until the session is released.
type Flash struct{ s *session.Session }

// Of returns the flash of s.
func Of(s *session.Session) Flash { return Flash{s} }

// Add adds a message, formatted as by [fmt.Sprintf]; see [Success].
func (f Flash) Add(level Level, format string, args ...any) {
	waiting := keysOf(f.s.Keys())
	for len(waiting) >= MaxMessages {
		f.s.Delete(waiting[0])
		waiting = waiting[1:]
	}
	f.s.Set(newKey(level), fmt.Sprintf(format, args...))
}

// Now adds a message for this request only; see [Now].
func (f Flash) Now(level Level, format string, args ...any) {
	message := Message{level, fmt.Sprintf(format, args...)} // args may have methods that ask the flash
	l := f.local()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = append(l.now, message)
}

// Take returns all messages and removes them; see [Take]. With an error, which
// is that of [session.Session.Update], it returns those of [Flash.Now] alone.
// That the session ended meanwhile is no error: its messages went with it. In
// an outage (session.OutageAnonymous) there are none to take, and none is lost. On
// HEAD it is [Flash.Peek]: ServeMux serves HEAD by the handler of GET, whose
// body, with the messages in it, nobody gets.
func (f Flash) Take() (Messages, error) {
	if f.s.Local(requestlocal.Method{}) == http.MethodHead {
		return f.Peek(), nil
	}
	stored := keysOf(f.s.Keys())
	if len(stored) == 0 && f.s.Local(localKey{}) == nil {
		return nil, nil
	}
	l := f.local()
	l.taking.Lock() // another Take of this request waits; Peek, from a logger, say, does not
	defer l.taking.Unlock()
	now, kept := l.begin(f.s)
	if kept {
		return append(l.show(f.s, f.read(stored)), now...), nil
	}
	if len(l.unseen(stored)) == 0 {
		return now, nil
	}
	taken, err := f.remove(l)
	if err != nil {
		return now, err
	}
	return append(l.show(f.s, taken), now...), nil
}

// remove takes the messages out of the store: in one step, so that no two
// requests get the same one.
func (f Flash) remove(l *local) ([]entry, error) {
	var taken []entry
	stored, id := !f.s.IsNew(), f.s.ID()
	err := f.s.Update(func(v *session.Values) error {
		taken = nil // Update may begin again
		for _, key := range l.unseen(keysOf(v.Keys())) {
			if text, ok := v.Get(key).(string); ok {
				taken = append(taken, entry{key, text})
				v.Delete(key)
			}
		}
		return nil
	})
	if errors.Is(err, session.ErrDestroyed) || errors.Is(err, session.ErrSuperseded) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("flash: take: %w", err)
	}
	if stored && f.s.ID() != id {
		return nil, nil // a login lost its record to another request's, which has the messages
	}
	return taken, nil
}

// Peek returns what [Flash.Take] would, and removes nothing; see [Peek].
func (f Flash) Peek() Messages {
	stored := f.read(keysOf(f.s.Keys()))
	l, ok := f.s.Local(localKey{}).(*local)
	if !ok {
		return messages(stored)
	}
	unshown := l.unshown(stored)
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(messages(unshown), l.now...)
}

// Keep leaves what this request takes for one more; see [Keep].
func (f Flash) Keep() {
	f.local().keep(f.s)
}

// read returns the messages of keys as this request has them.
func (f Flash) read(keys []string) []entry {
	var entries []entry
	for _, key := range keys {
		if text, ok := f.s.Get(key).(string); ok {
			entries = append(entries, entry{key, text})
		}
	}
	return entries
}

// local returns what this request knows of its flash. Where there is no session,
// as the log then says, what is added to it is lost.
func (f Flash) local() *local {
	if l, ok := f.s.Local(once).(*local); ok {
		return l
	}
	return new(local)
}

var once = requestlocal.Once{Key: localKey{}, New: func() any { return new(local) }}
