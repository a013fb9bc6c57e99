package session

import (
	"fmt"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/caller"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/stored"
)

// Renew gives the session a new token when it is stored; values and ID stay.
// The old token is dead from then on, for requests under way too. Call it
// when privileges change (OWASP "Renew the Session ID After Any Privilege
// Level Change", CWE-384); [Session.SetUser] does it by itself. After the
// header is sent it is refused, and the session stays as it was.
func (s *Session) Renew() {
	if !s.beginChange("Renew") {
		return
	}
	defer s.unlock()
	if s.renewable("Renew") {
		s.renew(s.trouble.late)
	}
}

// renewable reports whether the session can get another token, and says so if
// it cannot.
func (s *Session) renewable(method string) bool {
	if s.refusesAll(method) {
		return false
	}
	if s.phase == phaseSent {
		s.refuse(method)
		return false
	}
	return true
}

// renew has the session stored under another token. With afresh, a session
// that is lost becomes a new one.
func (s *Session) renew(afresh bool) {
	if afresh && s.trouble.lost != nil {
		s.startAfresh()
	}
	if s.want.changed&changedSecret == 0 {
		s.ensureID()
		s.renewSecret()
	}
}

// renewSecret has the session stored under another secret.
func (s *Session) renewSecret() {
	next := s.rec.Cred.Renewed()
	s.want.next = &next
	s.want.changed |= changedSecret
}

// keepError makes the request fail, because of what the handler asked method for.
func (s *Session) keepError(method string, err error) {
	if s.trouble.err == nil {
		s.trouble.err = &callError{err, method, caller.Here()}
	}
}

// SetUser logs user in: it renews the token and enters the session into the
// index behind [Manager.Sessions] and [Manager.RevokeUser]. Call it when the
// user has just proven who it is. The name may be any bytes, at most 255; it
// is kept readable in the store. A longer name fails the request, as a bad Set
// does. After the header is sent it is refused, and the session stays as it
// was.
//
// An anonymous session keeps its values, such as a cart. Where the session is
// another user's, that one is logged out: all values, the label, the timeouts
// and the persistence that were stored or set before the call are dropped, so
// that nobody sees what was somebody else's (CWE-488). The same goes for the
// empty name, which logs the user out; the session stays, anonymous and empty
// (Destroy removes it). ID and creation time stay. The same user again keeps
// everything.
//
// A login is never lost to another request of the browser. If the session was
// renewed meanwhile (a double click on "log in": the browser keeps the second
// response), this request's response gets a new session, with the values that
// the request had loaded (flash messages too, which both sessions then have)
// and its own changes. If it was destroyed, revoked or has expired meanwhile,
// or the request came with a token that had been replaced already, which opens
// nothing, the new session has this request's own changes alone. With
// Config.MaxPerUser each of them counts: at 1, the login that is stored last
// ends the other, and the browser may have kept that one, so leave room for two.
//
// With Config.OnMaxPerUser it may be refused: [ErrTooManySessions].
func (s *Session) SetUser(user string) {
	if !s.beginChange("SetUser") {
		return
	}
	defer s.unlock()
	if !s.renewable("SetUser") {
		return
	}
	if len(user) > backend.MaxUser {
		s.keepError("SetUser", fmt.Errorf("session: SetUser: the name is %d bytes long, at most %d can be stored", len(user), backend.MaxUser))
		return
	}
	s.renew(user != "")
	if was := s.currentUser(); was != "" && was != user {
		s.vals.Drop()
		s.vals.Rebase(s.vals.Base(), true) // but what a guard keeps, as it is the same browser
		s.want.to, s.want.changed = nil, changedSecret|changedOwner
	}
	s.want.set(changedUser).user = user
}

// startAfresh makes a session that is lost a new one, of this request's own
// changes.
func (s *Session) startAfresh() {
	s.rec.Cred, s.rec.Known = record.Credentials{}, false
	s.trouble.lost, s.trouble.late, s.trouble.tried = nil, false, false
	if isA[*logoutError](s.trouble.err) {
		s.trouble.err = nil // Destroy came too late; this login has a session of its own
	}
	s.vals.Detach(record.Body{})
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
	if s.want.changed&changedUser != 0 {
		return s.want.to.user
	}
	return s.rec.User
}

// AuthenticatedAt returns when the user last proved who it is, to the second: when
// SetUser was called with its name, at the login or again. So a page that needs
// a fresh password asks for one if it is long ago, and calls SetUser with the same
// user when it was right, which keeps everything and renews the token:
//
//	if time.Since(s.AuthenticatedAt()) > 15*time.Minute {
//		http.Redirect(w, r, "/password", http.StatusSeeOther)
//		return
//	}
//
// It is the zero time, which is long ago, for an anonymous session, and where it
// is not known: for a session that package migrate took over. Renew and all other
// changes leave it as it is. It takes 4 bytes of the record of a session that has a
// user, readable in the store as its name is.
func (s *Session) AuthenticatedAt() time.Time {
	if !s.begin("AuthenticatedAt") {
		return time.Time{}
	}
	defer s.unlock()
	switch {
	case s.currentUser() == "":
		return time.Time{}
	case s.want.changed&changedUser != 0 && !s.start.candidate:
		return time.Now().Truncate(time.Second) // it is stored with the time of then
	case s.rec.Head.Login == 0:
		return time.Time{}
	}
	return time.Unix(int64(s.rec.Head.Login), 0)
}

// SetLabel gives the session a name for lists of devices ("Firefox, Lisbon").
// It is stored readable, and cut to 255 bytes.
func (s *Session) SetLabel(label string) {
	if !s.beginChange("SetLabel") {
		return
	}
	defer s.unlock()
	if !s.refuses("SetLabel") {
		s.want.set(changedLabel).label = cut(label, record.MaxLabel)
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
	if s.beginChange("SetIdleTimeout") {
		if d, ok := s.timeout("SetIdleTimeout", d); ok {
			s.want.set(changedIdle).idle = d
		}
		s.unlock()
	}
}

// SetAbsoluteTimeout gives this session an absolute timeout of its own, from
// its creation, now and in later requests; 0 is back to Config.AbsoluteTimeout.
func (s *Session) SetAbsoluteTimeout(d time.Duration) {
	if s.beginChange("SetAbsoluteTimeout") {
		if d, ok := s.timeout("SetAbsoluteTimeout", d); ok {
			s.want.set(changedAbsolute).absolute = d
		}
		s.unlock()
	}
}

// timeout returns d as it is stored, and whether method may set it.
func (s *Session) timeout(method string, d time.Duration) (_ time.Duration, ok bool) {
	if s.refuses(method) {
		return 0, false
	}
	if d != 0 {
		if err := checkTimeout(method, d); err != nil {
			s.keepError(method, err)
			return 0, false
		}
	}
	return d.Truncate(time.Millisecond), true
}

// SetPersistent says whether the browser keeps the cookie when it is closed
// ("remember me"), now and in later requests, whatever Config.Cookie says.
// After the header is sent it is refused, as the cookie has left already.
func (s *Session) SetPersistent(on bool) {
	if !s.beginChange("SetPersistent") {
		return
	}
	defer s.unlock()
	if s.refuses("SetPersistent") {
		return
	}
	if s.phase == phaseSent && s.trouble.lost == nil {
		s.refuse("SetPersistent")
		return
	}
	flag := byte(record.FlagTransient)
	if on {
		flag = record.FlagPersist
	}
	s.want.set(changedPersist).persist = flag
}

// Destroy ends the session: the record is removed and the browser told to
// forget the cookie when the response's header goes out. What was set before is
// gone at once; what is set after belongs to a new session. A cookie that is
// no session's any more, or never was one, is removed from the browser as well.
//
// If the store fails, the request fails, and the browser is told to forget the
// cookie all the same: the session lives on in the store until it expires, but
// nobody in front of this browser has it. The request also fails if another request has renewed the
// session meanwhile: this one holds an old token, which can end nothing
// ([ErrSuperseded]), and a response of 200 would be a lie.
//
// What the browser has kept of the user's pages is its own: set
// Clear-Site-Data: "cache" in the response to a logout, over HTTPS, if the Back
// button must not show them.
func (s *Session) Destroy() {
	if !s.beginChange("Destroy") {
		return
	}
	defer s.unlock()
	if s.refusesAll("Destroy") {
		return
	}
	if s.trouble.late {
		s.keepError("Destroy", &logoutError{ErrSuperseded})
		return
	}
	switch {
	case s.rec.Exists && s.want.removal == nil:
		s.want.removal = &removal{s.rec.Cred, s.rec.Version, s.rec.User}
	case !s.rec.Exists && s.trouble.lost == nil && s.want.absent != nil && s.want.removal == nil:
		s.want.removal = &removal{cred: *s.want.absent}
	case !s.rec.Exists && s.trouble.lost == nil && s.reply.cookie == cookieAlone:
		s.reply.cookie = s.removalCookie() // a cookie that is dead, or never was a token
	}
	s.work.epoch++
	s.startOver()
	s.over()
}

// startOver makes s an empty, unstored session.
func (s *Session) startOver() {
	s.rec, s.trouble.err = stored.Copy{}, nil
	s.want.forget()
	s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
}

// settings returns what this session's head says, with the changes.
func (s *Session) settings() settings {
	now := settings{
		user:     s.rec.User,
		label:    string(s.rec.Head.Label),
		idle:     s.rec.Head.Idle,
		absolute: s.rec.Head.Absolute,
		persist:  s.rec.Head.Flags & (record.FlagPersist | record.FlagTransient),
	}
	if s.want.changed&changedOwner != 0 {
		now = settings{}
	}
	for bit := changedUser; bit <= changedPersist; bit <<= 1 {
		if s.want.changed&bit == 0 {
			continue
		}
		switch bit {
		case changedUser:
			now.user = s.want.to.user
		case changedLabel:
			now.label = s.want.to.label
		case changedIdle:
			now.idle = s.want.to.idle
		case changedAbsolute:
			now.absolute = s.want.to.absolute
		case changedPersist:
			now.persist = s.want.to.persist
		}
	}
	return now
}

// left returns which settings t leaves to be stored.
func (s *Session) left(t *try) changedBits {
	left := s.want.changed
	for bit := changedUser; bit <= changedOwner; bit <<= 1 {
		if t.changed&left&bit == 0 {
			continue
		}
		same := true
		switch bit {
		case changedUser, changedOwner:
			same = s.want.to.user == t.to.user
		case changedLabel:
			same = s.want.to.label == t.to.label
		case changedIdle:
			same = s.want.to.idle == t.to.idle
		case changedAbsolute:
			same = s.want.to.absolute == t.to.absolute
		case changedPersist:
			same = s.want.to.persist == t.to.persist
		}
		if same {
			left &^= bit
		}
	}
	if left&changedUser != 0 && left&changedSecret == 0 { // another user, another token
		s.renewSecret()
		left |= changedSecret
	}
	return left
}

// NoTouch says that this request is not activity of the user (a poll, say): it
// does not move the session's idle expiry, not even by a Set. It may be called
// at any time before the handler returns. It is not yet a use of the session,
// and where there is none it does nothing.
func (s *Session) NoTouch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want.noTouch = true
}

// Done returns a channel that is closed when the session has ended, in this
// process or another: destroyed by another request, revoked, pushed out by
// MaxPerUser, or expired. It is also closed when another request has renewed the
// session, by Renew, or by SetUser for a login or logout: then the token of this
// request opens nothing any more, and the session may be another user's. A browser
// that connects again brings the new token. Done is for responses that go on for
// long: server-sent events, WebSockets, long polls.
//
//	for {
//		select {
//		case <-s.Done():
//			return // logged out
//		case <-r.Context().Done():
//			return // the client has gone
//		case event := <-events:
//			…
//		}
//	}
//
// It is closed within two seconds, unless the store is slow to tell, and only on
// proof: while the store fails it stays open, which is logged and counted. Watching
// is no activity of the user, so the session can expire meanwhile ([Session.Save]
// notes activity).
//
// All calls in one request return the same channel. A session that is not stored
// yet is watched once it is; for a visitor without one the channel stays
// open. Destroy of this request closes it at once, and what is set after that
// belongs to a session that nobody watches. It is also closed when the handler
// returns, or [Session.Release] is called, whatever the session does, so that
// nobody waits for ever (a WebSocket's handler must stay as long as its
// connection), and by [Manager.Close]. Where there is no session at all, with
// Config.Disabled, for example, or before the middleware, it is closed already,
// and the log says why.
//
// The manager asks the store about all watched sessions together, every one and a
// half seconds, 500 a call: 10,000 of them take less than 1 % of a core while nobody
// writes to them, and each that somebody has written to a Load more (see
// docs/frameworks.md).
func (s *Session) Done() <-chan struct{} {
	if !s.begin("Done") {
		return ended
	}
	defer s.unlock()
	if s.watch == nil {
		s.watch = s.m.poller.Watch((*watched)(s))
	}
	if s.trouble.lost != nil {
		s.over()
	}
	return s.watch.Over()
}

// ended is the channel of what is no session.
var ended = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// over closes the channel of Done.
func (s *Session) over() {
	if s.watch != nil {
		s.watch.End()
	}
}

// unwatch is over, after which Done begins anew.
func (s *Session) unwatch() {
	s.over()
	s.watch = nil
}

// watched is a session as package watch sees it.
type watched Session

// Stored implements [watch.Session].
func (w *watched) Stored(c *stored.Copy) bool {
	s := (*Session)(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.work.busy || !s.rec.Exists {
		return false
	}
	if c.Version < s.rec.Version || c.Cred.ID() != s.rec.Cred.ID() {
		*c = s.rec
	}
	return true
}

// Ended implements [watch.Session]. What this request is writing at the moment,
// another token perhaps, may be what was taken for an end.
func (w *watched) Ended(c *stored.Copy) {
	s := (*Session)(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.work.busy && s.rec.Exists && c.Cred.Matches(&s.rec.Head.Hash) {
		s.over()
	}
}
