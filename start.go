package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/chisession/session/internal/adoption"
)

// Start returns the session of r for code that is not behind the middleware,
// as Beego's StartSession does. The caller must [Session.Release] it, which
// stores it:
//
//	s, err := manager.Start(w, r)
//	if err != nil { … }
//	defer s.Release()
//
// The cookie goes into w's header as soon as it is known that one is needed:
// at the first Set of a new session, at Renew, at Destroy. So make changes
// before the first byte of the response, and call [Session.Save] there to have
// the error while it can still be answered; this library cannot see w's header
// leave, and cannot hold it back, as the middleware does. A deferred Release
// also stores what a handler Set before it panicked, which the middleware would
// drop.
//
// The response depends on the cookie, so Start adds it to Vary (add to that, do
// not Set it), and where it finds a live session, it keeps the response out of
// shared caches, unless there is a Cache-Control already: with "private", and
// once the session is changed with "no-store". After that only methods that
// change the session write to the header; others may be called beside anything.
//
// Behind this manager's middleware, Start returns the session that is there;
// behind that of another one with the same cookie name and other rules it is an
// error. All Starts of one request return the same session, for which r gets
// another context: so handlers and middleware that r is passed to find it. What
// is started again before it was released is not ended by Release, only stored.
//
// A cookie that the browser keeps for a time is sent again by Start, with a Touch
// of the store, when that is due; so for these it is too late for
// [Session.NoTouch] then.
//
// A session that cannot be loaded is an error, whatever Config.OnOutage says.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request) (*Session, error) {
	if m.cfg.Disabled {
		return nil, ErrDisabled
	}
	if m.closed.Load() {
		return nil, ErrClosed
	}
	if s, err := m.outer(r); s != nil || err != nil {
		s.startAgain()
		return s, err
	}
	s := m.newExchange(w, r).get()
	if a := adoption.Of(r.Context()); a != nil {
		m.lend(a)
		s.candidate = true
	}
	h := w.Header()
	s.x.setVary(h)
	if err := m.load(s, r.Header); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.used, s.started = true, h
	s.limit(h, true)
	slides := s.exists && s.slides() && !shareable(h)
	s.mu.Unlock()
	if slides {
		s.slideNow()
	}
	*r = *r.WithContext(&startedIn{s.x.Context, s.x}) // as package gorilla/sessions does
	return s, nil
}

// slideNow notes that the user is active and sends the cookie again, if that is
// due: when Release does, the header may have left long ago.
func (s *Session) slideNow() {
	if err := s.claim(nestedAfter); err != nil {
		return // the next request is as good
	}
	defer s.free()
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	s.carries = true
	defer func() { s.carries = false }()
	s.touch(ctx)
	if s.outrun(nowMillis()) {
		s.slide()
	}
}

// startAgain makes a session that was started and released one in use.
func (s *Session) startAgain() {
	if s == nil || s.started == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nested = s.nested || !s.released
	s.released = false
}

// inUse reports whether s is there, and not released.
func (s *Session) inUse() bool {
	if s == nil || s.started == nil {
		return s != nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.released
}

// within returns r for handlers that use s.
func (s *Session) within(r *http.Request) *http.Request {
	if s.started == nil || r.Context().Value(sessionKey{}) == s {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
}

// startedIn is the context of a request after Start. Its session is found by
// the cookie, and without that where no other is.
type startedIn struct {
	context.Context
	x *exchange
}

// Value finds the session; other keys are the request's own context's.
func (c *startedIn) Value(key any) any {
	switch key := key.(type) {
	case sessionKey, identityKey:
		if other := c.Context.Value(key); other != nil {
			return other
		}
		return c.x.Value(key)
	case *cookieKey:
		if *key == c.x.m.key || key.shares(c.x.m.key) {
			return c.x.Value(key)
		}
	}
	return c.Context.Value(key)
}

// String names the context as package context does.
func (c *startedIn) String() string { return c.x.String() }

// Format prints String whatever the verb.
func (c *startedIn) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// Release stores the session and ends its use: what [Manager.Start] began. The
// error is that of Save. Releasing again does nothing. Behind the middleware,
// which releases by itself, it only stores.
func (s *Session) Release() error {
	if s.started == nil {
		return s.Save()
	}
	if err := s.claim(s.m.patience()); err != nil {
		s.mu.Lock()
		defer s.unlock()
		s.released = !s.nested
		return err
	}
	defer s.free()
	if s.released {
		return nil
	}
	if s.broken && s.over == nil && (!s.exists && s.dirty() || s.changed&changedSecret != 0) {
		// The caller has had the error, and most likely responded with it.
		s.over = &unsentError{errors.New("session: Save failed, and what it did not store needs a new token at the client")}
	}
	unstored := func(s *Session) bool { return s.doomed != nil || s.dirty() }
	err := s.commitAll(nowMillis(), unstored)
	if err == nil && unstored(s) {
		err = ErrNested
	}
	s.broken = err != nil
	if err == nil {
		err = s.refused
	}
	s.announce()
	s.released = !s.nested
	return err
}

// announce puts the cookie of a session started by hand into the header, in
// place of an earlier one of this request. mu is held.
func (s *Session) announce() {
	if s.started == nil || s.released {
		return
	}
	x, h := s.x, s.started
	x.setVary(h)
	s.altered = s.altered || s.dirty() || s.doomed != nil
	s.limit(h, true)
	if !x.transport.cookie() {
		s.announceToken(h)
		return
	}
	old := x.cookie[0]
	switch {
	case s.exists && s.changed&changedSecret != 0 && !s.broken:
		x.cookie[0] = s.m.cookie.Set(s.next.Token(), s.maxAge())
	case !s.exists && s.lost == nil && s.err == nil && !s.broken && s.dirty() && !s.uninvited():
		s.ensureID()
		x.cookie[0] = s.m.cookie.Set(s.cred.Token(), s.maxAge())
	case s.doomed != nil && s.removal() == cookieRemove:
		x.cookie[0] = s.m.cookie.Remove()
	case s.cookie == cookieAlone, s.cookie == cookieSlide && !s.exists:
		x.cookie[0] = ""
	default:
		x.cookie[0] = x.cookieLine()
	}
	replaceLine(h, old, x.cookie[0])
	if x.cookie[0] != "" {
		confine(h)
	}
}

// announceToken is announce where tokens travel in a header.
func (s *Session) announceToken(h http.Header) {
	name := s.x.transport.answerHeader()
	switch {
	case s.exists && s.changed&changedSecret != 0 && !s.broken:
		h.Set(name, s.next.Token())
	case !s.exists && s.lost == nil && s.err == nil && !s.broken && s.dirty():
		s.ensureID()
		h.Set(name, s.cred.Token())
	case s.doomed != nil && s.removal() == cookieRemove:
		h.Set(name, "")
	case s.cookie != cookieAlone:
		s.x.setToken(h)
	default:
		h.Del(name)
		return
	}
	confine(h)
}

// replaceLine puts line in the place of the Set-Cookie line old; either may be
// empty.
func replaceLine(h http.Header, old, line string) {
	lines := h["Set-Cookie"]
	for i := range lines {
		if old != "" && lines[i] == old {
			if line == "" {
				h["Set-Cookie"] = append(lines[:i:i], lines[i+1:]...)
			} else {
				lines[i] = line
			}
			return
		}
	}
	if line != "" {
		h["Set-Cookie"] = append(lines, line)
	}
}
