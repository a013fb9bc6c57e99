package session

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/chisession/session/internal/record"
)

// Save stores now what would be stored when the answer begins, so that its
// error can be handled here: nothing will be stored twice. A second Save
// without a change in between costs nothing, unless activity is due to be noted
// (Config.TouchEvery): so in a response that goes on for long, server-sent
// events or a WebSocket, Save at each heartbeat keeps the session from expiring
// under it. ErrDestroyed and ErrSuperseded say that the session ended meanwhile,
// and that changes are lost with it; the handler may go on. Without a change
// there is no such error: [Session.Reload] tells.
//
// What another goroutine changes while Save runs is stored with the next one,
// or at the handler's end. Called from below (by a store, say), or when
// another Save of this session takes too long, it is ErrNested.
func (s *Session) Save() error {
	if err := s.claim(nestedAfter); err != nil {
		return err
	}
	defer s.free()
	s.used = true
	if err := s.gone(); err != nil {
		return err
	}
	err := s.commit(nowMillis())
	s.broken = err != nil
	if err == nil {
		err = s.refused
		s.refused = nil
	}
	return err
}

// Reload drops what this request changed since it was last stored, and reads
// the session anew, with what other requests have stored. If the session has
// ended it is ErrDestroyed, or ErrSuperseded, and the session is empty.
func (s *Session) Reload() error {
	if err := s.claim(nestedAfter); err != nil {
		return err
	}
	defer s.free()
	s.used = true
	if err := s.gone(); err != nil {
		return err
	}
	if s.outage {
		return ErrUnavailable
	}
	if err := firstError(s.over, s.lost); err != nil {
		return err
	}
	s.err, s.refused, s.want, s.changed = nil, nil, settings{}, 0
	if !s.exists {
		s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
		return nil
	}
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	epoch := s.epoch
	newest, err := s.fetch(ctx, s.cred, 0)
	if err != nil || s.epoch != epoch {
		return err
	}
	s.adopt(&newest)
	s.vals.Reset(newest.values, s.m.cfg.MaxBytes)
	return nil
}

// commit stores what this request did. It is called with busy and mu held, any
// number of times: before the header goes out, at the end, and by Save. now, in
// Unix ms, is what decides whether activity has to be noted.
func (s *Session) commit(now int64) error {
	if s.doomed == nil && s.err == nil && s.lost == nil && !s.dirty() && !s.touchDue(now) {
		return s.over // nil in most requests
	}
	if s.m.closed.Load() {
		return s.m.failed("store", ErrClosed)
	}
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	if err := s.remove(ctx); err != nil {
		return err
	}
	switch {
	case s.over != nil:
		return s.over
	case s.err != nil:
		return s.err
	case s.lost != nil:
		return s.dropped()
	case !s.dirty():
		s.touch(ctx)
		return nil
	}
	if s.exists {
		err := s.update(ctx, nil)
		if err != errAfresh {
			return err
		}
	}
	return s.create(ctx, &s.vals)
}

// errAfresh says that a login has lost its record, and is to be stored as the
// new session that s is by now.
var errAfresh = errors.New("session: the login needs a new session")

// An unsentError is what a request gets to hear that goes on after its client
// got the error response: what it stored now would lie under a token that
// nobody has.
type unsentError struct{ why error }

func (e *unsentError) Error() string {
	return "session: nothing more is stored, as the client has got the error response: " + e.why.Error()
}

func (e *unsentError) Unwrap() []error { return []error{ErrHeadersSent, e.why} }

// A goneError says that a session's new token could reach nobody.
type goneError struct{ why error }

func (e *goneError) Error() string {
	return "session: not stored, as its new token would reach nobody, the request's context being done: " + e.why.Error()
}

func (e *goneError) Unwrap() error { return e.why }

// reachable returns an error if what is to be stored needs a new token at the
// client, and the client has gone, or somebody (http.TimeoutHandler) has
// responded to it: the old token would be dead, the new one nobody's.
func (s *Session) reachable() error {
	if s.exists && s.changed&changedSecret == 0 {
		return nil
	}
	var err error
	epoch := s.epoch
	s.outside(func() { err = s.x.Context.Err() }) // which may be a method of the program's
	if s.epoch == epoch && err != nil {
		return &goneError{err}
	}
	return nil
}

// commitAll is commit until nothing is left that was changed meanwhile, within
// reason: what remains is what left says.
func (s *Session) commitAll(now int64, left func(*Session) bool) error {
	for range rounds {
		if err := s.commit(now); err != nil || !left(s) {
			return err
		}
	}
	return nil
}

// dirty reports whether there is something to store. A new session needs a
// value or a user: it is not stored for a label alone.
func (s *Session) dirty() bool {
	if s.exists {
		return s.changed != 0 || s.vals.Changed()
	}
	return s.vals.Changed() || s.currentUser() != ""
}

// dropped forgets the changes of a session that has ended.
func (s *Session) dropped() error {
	lost := s.lost
	if s.vals.Changed() || s.changed != 0 || s.tried {
		s.m.stats.add(droppedAs(lost), &s.cred)
		s.log(slog.LevelInfo, "session: changes dropped", lost)
		s.vals.Drop()
		s.changed, s.tried = 0, false
		return lost
	}
	return nil
}

// droppedAs returns the counter for changes of a session that is lost.
func droppedAs(lost error) stat {
	if lost == ErrSuperseded {
		return statSuperseded
	}
	return statDropped
}

// log writes a record when mu is free.
func (s *Session) log(level slog.Level, message string, err error) {
	m, ctx, id := s.m, context.WithoutCancel(s.x), s.cred.ID().String()
	s.later(func() { m.cfg.Logger.LogAttrs(ctx, level, message, slog.String("id", id), slog.Any("error", err)) })
}

// settings returns what this session's head says, with the changes.
func (s *Session) settings() settings {
	now := settings{
		user:     s.user,
		label:    string(s.loaded.Label),
		idle:     s.loaded.Idle,
		absolute: s.loaded.Absolute,
		persist:  s.loaded.Flags & (record.FlagPersist | record.FlagTransient),
	}
	if s.changed&changedOwner != 0 {
		now = settings{}
	}
	for bit := changedUser; bit <= changedPersist; bit <<= 1 {
		if s.changed&bit == 0 {
			continue
		}
		switch bit {
		case changedUser:
			now.user = s.want.user
		case changedLabel:
			now.label = s.want.label
		case changedIdle:
			now.idle = s.want.idle
		case changedAbsolute:
			now.absolute = s.want.absolute
		case changedPersist:
			now.persist = s.want.persist
		}
	}
	return now
}

// lose makes s what is left of a session that ended during the request: one
// that keeps nothing, or if this request logs somebody in, a new one.
func (s *Session) lose(why error) {
	if s.changed&changedUser != 0 && s.want.user != "" {
		s.loginAfresh(why)
		return
	}
	changed, want := s.changed, s.want
	cred := s.cred
	s.forget()
	s.cred, s.known = cred, true
	s.changed, s.want = changed, want
	s.vals.Rebase(record.Body{})
	s.lost = why
}

// loginAfresh makes s, whose login has lost its record, a new session. Its
// handler has authenticated the user, and if another request has renewed the
// session, this one held its values by right; those of one that was destroyed
// do not come back.
func (s *Session) loginAfresh(why error) {
	s.log(slog.LevelInfo, "session: a login goes on in a new session", why)
	kept, set, changed := record.Body{}, s.want, s.changed
	if why == ErrSuperseded {
		s.m.stats.add(statSuperseded, &s.cred)
		kept, set, changed = s.vals.Base(), s.settings(), changedUser|changedLabel|changedIdle|changedAbsolute|changedPersist
	}
	s.forget()
	s.vals.Detach(kept)
	s.want, s.changed = set, changed&^changedOwner|changedSecret
}

// A try is what one store call was given: by the time that it returns, more
// may have been changed.
type try struct {
	epoch   uint
	next    record.Credentials // of the session once it is stored
	changed changedBits
	want    settings
}

// try returns what a store call that begins now will have stored.
func (s *Session) try() try {
	t := try{s.epoch, s.cred, s.changed, s.want}
	if s.exists && s.changed&changedSecret != 0 {
		t.next = s.next
	}
	return t
}

// left returns which settings t leaves to be stored.
func (s *Session) left(t *try) changedBits {
	left := s.changed
	for bit := changedUser; bit <= changedOwner; bit <<= 1 {
		same := true
		switch bit {
		case changedUser, changedOwner:
			same = s.want.user == t.want.user
		case changedLabel:
			same = s.want.label == t.want.label
		case changedIdle:
			same = s.want.idle == t.want.idle
		case changedAbsolute:
			same = s.want.absolute == t.want.absolute
		case changedPersist:
			same = s.want.persist == t.want.persist
		}
		if t.changed&bit != 0 && same {
			left &^= bit
		}
	}
	if left&changedUser != 0 && left&changedSecret == 0 { // another user, another token
		s.next = s.cred.Renewed()
		left |= changedSecret
	}
	return left
}

// newHead returns the head to store, with a new commit ID.
func (s *Session) newHead(set settings, t *try) record.Head {
	h := record.Head{
		Hash:     s.loaded.Hash,
		Commit:   record.NewCommit(),
		Renewed:  s.loaded.Renewed,
		Idle:     set.idle,
		Absolute: set.absolute,
		Label:    []byte(set.label),
	}
	h.Flags = set.persist
	if !s.exists || t.changed&changedSecret != 0 {
		h.Hash = t.next.Hash()
	}
	if t.changed&changedSecret != 0 {
		h.Renewed = max(time.Now().UnixMicro(), s.loaded.Renewed)
	}
	return h
}

// hook calls a hook with the session's ID when mu is free.
func (s *Session) hook(f func(id, user string), of *record.Credentials, user string) {
	if f != nil {
		id := of.ID().String()
		s.later(func() { f(id, user) })
	}
}
