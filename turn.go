package session

import (
	"context"
	"time"
)

// A session is used from above and from below. From above by the handler, in
// any number of goroutines; from below by whatever runs while the session is
// loaded or stored and gets its context: the store, its driver, a tracer, a
// logger. Two things keep them apart:
//
//   - mu guards the fields, and is held for moments only: no store call, no
//     log line, no hook and no method of the application's types runs under
//     it. So every method that only reads works at any time, wherever from.
//   - busy says that somebody makes store calls for this session, and that
//     others who want to have to wait. They wait for a while, not for ever:
//     from below it would never end.
//
// What is changed while the session is being stored is kept, and stored the
// next time: by another Save, when the response begins, or when the handler
// returns.

// nestedAfter is how long Save, Reload and Update wait for store calls of the
// same session that are under way, before they take it that these are waiting
// for them.
const nestedAfter = 900 * time.Millisecond

// claim waits until nobody makes store calls for s, and makes them the
// caller's to make, with mu held. free ends it. If it takes longer than
// patience it is ErrNested, and nothing is held.
func (s *Session) claim(patience time.Duration) error {
	s.mu.Lock()
	if s.busy && !s.await(patience) {
		s.unlock()
		return ErrNested
	}
	s.own()
	return nil
}

// own makes the store calls the caller's to make.
func (s *Session) own() {
	s.busy = true
	s.vals.Freeze()
}

// await waits with mu released, and reports whether s is free.
func (s *Session) await(patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for s.busy {
		if s.freed == nil {
			s.freed = make(chan struct{})
		}
		freed, timeout := s.freed, false
		s.outside(func() {
			select {
			case <-freed:
			case <-timer.C:
				timeout = true
			}
		})
		if timeout {
			return !s.busy
		}
	}
	return true
}

// yield gives up what claim got, mu stays held.
func (s *Session) yield() {
	s.busy = false
	s.vals.Thaw()
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}

// free ends what claim began.
func (s *Session) free() {
	s.announce()
	s.yield()
	s.unlock()
}

// outside runs f without mu: all that may take time or call back. The fields
// may be others afterwards, but for those that only the owner of busy writes:
// version, expires, loaded, user, and exists from true to false by Destroy
// alone, which then has made s another session; see epoch.
func (s *Session) outside(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

// patience is how long the middleware waits for a Save or Update that a
// goroutine of the handler left behind. Those end with the store's time-out.
func (m *Manager) patience() time.Duration { return m.cfg.StoreTimeout + nestedAfter }

// pending reports whether something is left to store that needs a cookie, or
// takes one away: it was changed while the session was being stored.
func (s *Session) pending() bool {
	return s.doomed != nil || s.exists && s.changed&changedSecret != 0 || !s.exists && s.dirty()
}

// rounds is how often the session is stored again before the response begins,
// and at its end, if it was changed while that was done.
const rounds = 3

// Identity returns the session's public ID and its user, for log lines, spans
// and metrics: a logger, a tracer or a driver may call it at any time, with any
// context of the request, also after the request is over. It never waits for a
// store call, never logs, does not make a session where there is none, and does
// not count as using it (see "Vary" in [Manager.Middleware]). Both are empty
// where there is no session; the ID is also before it is loaded or begun.
func Identity(ctx context.Context) (id, user string) {
	if ctx == nil {
		return "", ""
	}
	s, ok := ctx.Value(identityKey{}).(*Session)
	if !ok {
		return "", ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && !s.loading {
		id = s.cred.ID().String()
	}
	return id, s.currentUser()
}
