package session

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// timeouts returns the idle and absolute timeout that hold for a session with
// those of its own.
func (m *Manager) timeouts(idle, absolute time.Duration) (time.Duration, time.Duration) {
	if idle == 0 {
		idle = m.cfg.IdleTimeout
	}
	if absolute == 0 {
		absolute = max(m.cfg.AbsoluteTimeout, idle)
	}
	return idle, absolute
}

// nowMillis returns the time in Unix ms, which is how records keep it.
func nowMillis() int64 { return time.Now().UnixMilli() }

// expiry returns when a session that is active at now expires. Both are in
// Unix ms.
func (m *Manager) expiry(cred *record.Credentials, idle, absolute time.Duration, now int64) int64 {
	idle, absolute = m.timeouts(idle, absolute)
	return min(now+idle.Milliseconds(), record.CreatedMillis(cred.ID())+absolute.Milliseconds())
}

// touchDue reports whether activity at now, in Unix ms, has to be noted in the
// store.
func (s *Session) touchDue(now int64) bool {
	if !s.exists || s.noTouch {
		return false
	}
	moves := s.noted(s.loaded.Idle, s.loaded.Absolute, now) - s.expires
	return moves > 0 && time.Duration(moves)*time.Millisecond >= s.touchEvery()
}

// touchEvery is how often activity of this session is noted.
func (s *Session) touchEvery() time.Duration {
	every := s.m.cfg.TouchEvery
	if s.loaded.Idle != 0 {
		every = touchEvery(s.loaded.Idle)
	}
	if fixed := s.m.cookie.Options().MaxAge; fixed > 0 && s.slides() {
		every = min(every, touchEvery(fixed)) // for the cookie must go out that often
	}
	return every
}

// noted returns the expiry to store for activity at now, in Unix ms. As long as
// the browser's cookie does not go with it, because a cache may keep the
// response, say, or because that is not known yet, it is one touchEvery early:
// so the next response that can bring the cookie has activity to note, and
// brings it. That the expiry moves and that the cookie goes out are two things,
// but the one must not run away from the other.
func (s *Session) noted(idle, absolute time.Duration, now int64) int64 {
	if s.slides() && !s.carries && s.cookie != cookieSet {
		now -= s.touchEvery().Milliseconds()
	}
	return s.m.expiry(&s.cred, idle, absolute, now)
}

// slides reports whether the browser's cookie has a lifetime, which has to move
// with the session's expiry.
func (s *Session) slides() bool { return s.x.transport.cookie() && s.persistent() }

// outrun reports whether the cookie ends before the session, whose expiry
// cannot move any more: then nothing tells when the cookie went out last.
func (s *Session) outrun(now int64) bool {
	fixed := s.m.cookie.Options().MaxAge
	if fixed == 0 || !s.exists || s.noTouch || !s.slides() {
		return false
	}
	idle, absolute := s.m.timeouts(s.loaded.Idle, s.loaded.Absolute)
	return fixed < idle && now+idle.Milliseconds() > record.CreatedMillis(s.cred.ID())+absolute.Milliseconds()
}

// touch moves the expiry. It is no more than a note: if it fails the request
// goes on, and the next one tries again.
func (s *Session) touch(ctx context.Context) {
	now := nowMillis()
	if !s.touchDue(now) {
		return
	}
	if s.loaded.Ends != 0 {
		s.touchInHead(ctx)
		return
	}
	expires := s.noted(s.loaded.Idle, s.loaded.Absolute, now)
	epoch, id := s.epoch, s.cred.ID()
	var err error
	s.outside(func() { err = s.m.store.Touch(ctx, id, time.UnixMilli(expires)) })
	switch {
	case s.epoch != epoch: // destroyed meanwhile
	case err == nil:
		s.m.stats.add(statTouches, &s.cred)
		s.expires = expires
		s.slide()
	case errors.Is(err, backend.ErrNotFound):
		s.lose(ErrDestroyed)
	default:
		s.m.stats.add(statErrors, &s.cred)
		s.notTouched(err)
	}
}

// touchInHead is touch where the expiry is in the head: an Update, which fails
// if the session has changed since it was loaded, and then looks again.
func (s *Session) touchInHead(ctx context.Context) {
	if err := s.update(ctx, nil); err != nil && err != errAfresh && s.lost == nil {
		s.notTouched(err)
	}
}

func (s *Session) notTouched(err error) {
	s.log(slog.LevelWarn, "session: activity could not be noted", err)
	s.noTouch = true // once a request
}

// slide sends a persistent cookie again when the expiry has moved.
func (s *Session) slide() {
	if s.cookie == cookieAlone && s.slides() {
		s.cookie = cookieSlide
	}
}

// persistent reports whether the browser is to keep the cookie when it is
// closed.
func (s *Session) persistent() bool {
	switch {
	case s.loaded.Flags&record.FlagPersist != 0:
		return true
	case s.loaded.Flags&record.FlagTransient != 0:
		return false
	}
	return s.m.persistent
}

// maxAge returns how long the browser is to keep the cookie; 0 is until it is
// closed.
func (s *Session) maxAge() time.Duration {
	if !s.persistent() {
		return 0
	}
	if fixed := s.m.cookie.Options().MaxAge; fixed > 0 {
		return fixed
	}
	return time.Until(time.UnixMilli(s.expires))
}
