package session

import (
	"fmt"
	"net/http"
	"time"

	"github.com/chisession/session/backend"
)

// Renew gives the session a new token when it is stored; values and ID stay.
// The old token is dead from then on, for requests under way too. Call it
// when privileges change (OWASP "Renew the Session ID After Any Privilege
// Level Change", CWE-384); [Session.SetUser] does it by itself. After the
// header is sent it is refused, and the session stays as it was.
func (s *Session) Renew() {
	if !s.begin("Renew") {
		return
	}
	defer s.unlock()
	s.renew("Renew")
}

func (s *Session) renew(method string) bool {
	if s.outage {
		s.keepError(ErrUnavailable)
		return false
	}
	if s.sent {
		s.refuse(method)
		return false
	}
	if s.late { // what a late request does from here on belongs to a new session
		s.late, s.lost = false, nil
	}
	if s.changed&changedSecret == 0 {
		s.ensureID()
		s.next = s.cred.renewed()
		s.changed |= changedSecret
	}
	return true
}

func (s *Session) keepError(err error) {
	if s.err == nil {
		s.err = err
	}
}

// SetUser logs user in: it renews the token and enters the session into the
// index behind [Manager.Sessions] and [Manager.RevokeUser]. The empty name
// takes it out. The name may be any bytes, at most 255; it is kept readable
// in the store. A longer name fails the request, as a bad Set does.
func (s *Session) SetUser(user string) {
	if !s.begin("SetUser") {
		return
	}
	defer s.unlock()
	if len(user) > backend.MaxUser {
		s.keepError(fmt.Errorf("session: SetUser: the name is %d bytes long, at most %d can be stored", len(user), backend.MaxUser))
		return
	}
	if s.renew("SetUser") {
		s.want.user = user
		s.changed |= changedUser
	}
}

// User returns the name given to SetUser, empty if there is none.
func (s *Session) User() string {
	if !s.begin("User") {
		return ""
	}
	defer s.unlock()
	return s.currentUser()
}

func (s *Session) currentUser() string {
	if s.changed&changedUser != 0 {
		return s.want.user
	}
	return s.user
}

// SetLabel gives the session a name for lists of devices ("Firefox, Lisbon").
// It is stored readable, and cut to 255 bytes.
func (s *Session) SetLabel(label string) {
	if s.begin("SetLabel") {
		s.want.label = cut(label, maxLabel)
		s.changed |= changedLabel
		s.unlock()
	}
}

// cut shortens s to at most max bytes without splitting a character.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for max > 0 && s[max]&0xc0 == 0x80 {
		max--
	}
	return s[:max]
}

// SetIdleTimeout gives this session an idle timeout of its own, now and in
// later requests; 0 is back to Config.IdleTimeout. One that is longer than
// the absolute timeout stretches that, unless it was set for this session,
// too. A negative one, or one below a millisecond, fails the request, as a bad
// Set does.
func (s *Session) SetIdleTimeout(d time.Duration) {
	if s.begin("SetIdleTimeout") {
		s.setTimeout("SetIdleTimeout", d, &s.want.idle, changedIdle)
		s.unlock()
	}
}

// SetAbsoluteTimeout gives this session an absolute timeout of its own, from
// its creation, now and in later requests; 0 is back to Config.AbsoluteTimeout.
func (s *Session) SetAbsoluteTimeout(d time.Duration) {
	if s.begin("SetAbsoluteTimeout") {
		s.setTimeout("SetAbsoluteTimeout", d, &s.want.absolute, changedAbsolute)
		s.unlock()
	}
}

func (s *Session) setTimeout(method string, d time.Duration, to *time.Duration, bit changedBits) {
	if d != 0 {
		if err := checkTimeout(method, d); err != nil {
			s.keepError(err)
			return
		}
	}
	*to = d.Truncate(time.Millisecond)
	s.changed |= bit
}

// Persist says whether the browser keeps the cookie when it is closed
// ("remember me"), now and in later requests, whatever Config.Cookie says.
func (s *Session) Persist(on bool) {
	if s.begin("Persist") {
		s.want.persist = flagTransient
		if on {
			s.want.persist = flagPersist
		}
		s.changed |= changedPersist
		s.unlock()
	}
}

// Destroy ends the session: the record is removed and the browser told to
// forget the cookie when the answer's header goes out. What was set before is
// gone at once; what is set after belongs to a new session. If the store
// fails, the request fails.
func (s *Session) Destroy() {
	if !s.begin("Destroy") {
		return
	}
	defer s.unlock()
	if s.outage {
		s.keepError(ErrUnavailable)
		return
	}
	if s.exists && s.doomed == nil {
		s.doomed = &doomed{cred: s.cred, version: s.version}
	}
	s.startOver()
}

// startOver makes s an empty, unstored session.
func (s *Session) startOver() {
	s.cred, s.known, s.exists, s.seal = credentials{}, false, false, nil
	s.version, s.expires, s.loaded, s.user = 0, 0, head{}, ""
	s.want, s.changed, s.err = settings{}, 0, nil
	s.vals.reset(body{}, s.m.cfg.MaxBytes)
}

// NoTouch says that r is not activity of the user (a poll, say): it does not
// move the session's idle expiry, not even by a Set. It may be called at any
// time before the handler returns.
func NoTouch(r *http.Request) {
	if s, ok := Lookup(r.Context()); ok {
		s.mu.Lock()
		s.noTouch = true
		s.mu.Unlock()
	}
}
