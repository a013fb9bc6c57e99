package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/stored"
)

// Save stores now what would be stored when the response begins, so that its
// error can be handled here: nothing will be stored twice. A second Save
// without a change in between costs nothing, unless activity is due to be noted
// (Config.TouchEvery): so in a response that goes on for long, server-sent
// events or a WebSocket, Save at each heartbeat keeps the session from expiring
// under it. ErrDestroyed and ErrSuperseded say that the session ended meanwhile,
// and that changes are lost with it; the handler may go on. Without a change
// there is no such error: [Session.Reload] tells.
//
// What another goroutine changes while Save runs is stored with the next one,
// or at the handler's end. Called from within a store call of the session, or when
// another Save of this session takes too long, it is ErrNested.
func (s *Session) Save() error {
	if err := s.claim(nestedAfter); err != nil {
		return err
	}
	defer s.free()
	s.reply.used = true
	if err := s.gone(); err != nil {
		return err
	}
	err := s.commit(stored.Now())
	s.trouble.broken = err != nil
	if err == nil {
		err = s.trouble.refused
		s.trouble.refused = nil
	}
	return err
}

// commit stores what this request did. It is called with busy and mu held, any
// number of times: before the header goes out, at the end, and by Save. now, in
// Unix ms, is what decides whether activity has to be noted.
func (s *Session) commit(now int64) error {
	if s.want.removal == nil && s.trouble.err == nil && s.trouble.lost == nil && !s.dirty() && !s.touchDue(now) {
		return s.trouble.over // nil in most requests
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
	case s.trouble.over != nil:
		return s.trouble.over
	case s.trouble.err != nil:
		return s.trouble.err
	case s.trouble.lost != nil:
		return s.dropped()
	case !s.dirty():
		s.touch(ctx)
		return nil
	}
	if again, err := s.admit(ctx); err != nil || again {
		return err
	}
	if s.rec.Exists {
		err := s.update(ctx, nil)
		if err != errAfresh {
			return err
		}
	}
	return s.create(ctx, nil)
}

// commitAll is commit until nothing is left that was changed meanwhile, within
// reason: what left says then is changed by each store call of the session's
// own, which is ErrNested.
func (s *Session) commitAll(now int64, left func(*Session) bool) error {
	for range rounds {
		if err := s.commit(now); err != nil || !left(s) {
			return err
		}
	}
	return ErrNested
}

// rounds is how often the session is stored again before the response begins,
// and at its end, if it was changed while that was done.
const rounds = 3

// pending reports whether something is left to store that needs a cookie, or
// takes one away: it was changed while the session was being stored.
func (s *Session) pending() bool {
	return s.want.removal != nil || s.rec.Exists && s.want.changed&changedSecret != 0 || !s.rec.Exists && s.dirty()
}

// unstored reports whether anything is left to store.
func (s *Session) unstored() bool { return s.want.removal != nil || s.dirty() }

// dirty reports whether there is something to store. A new session needs a
// value or a user: it is not stored for a label alone.
func (s *Session) dirty() bool {
	if s.rec.Exists {
		return s.want.changed != 0 || s.vals.Changed()
	}
	return s.vals.Changed() || s.currentUser() != ""
}

// Why the function that prepares a write ends it, besides errors that the
// caller gets.
var (
	// errAfresh says that a login has lost its record, and is to be stored as
	// the new session that s is by now.
	errAfresh = errors.New("session: the login needs a new session")

	errEnded   = errors.New("session: destroyed meanwhile by another goroutine of this request")
	errNothing = errors.New("session: nothing to store, or not any more")
)

// update stores an existing session: what this request did, on top of what
// the store has, by compare-and-swap. With fn, fn works on the values in
// between, outside of mu and busy, each time that the store has moved on.
func (s *Session) update(ctx context.Context, fn func(*Values) error) error {
	var (
		epoch, have = s.work.epoch, s.rec
		t           try
		w           stored.Write
		out         stored.Outcome
		err         error
	)
	s.outside(func() {
		out, err = w.Update(ctx, &s.m.store, have, fn != nil, func(newest *stored.Copy, values record.Body) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.work.epoch != epoch || !s.rec.Exists {
				return errEnded
			}
			if newest != nil {
				s.rebase(newest, values)
			}
			return s.prepare(&w, &t, epoch, fn)
		})
	})
	lost, err := s.report(&out, &t, epoch, err)
	switch {
	case err == errNothing:
		return nil
	case err == errEnded || s.work.epoch != epoch:
		return destroyed(fn)
	case err != nil:
		return err
	case lost && s.trouble.lost == nil:
		return errAfresh
	case lost:
		return s.lostUpdate(&out, fn != nil)
	}
	return s.trim(ctx, &out, &t)
}

// prepare encodes the next try of an update.
func (s *Session) prepare(w *stored.Write, t *try, epoch uint32, fn func(*Values) error) error {
	version := s.rec.Version
	vals, err := s.apply(fn)
	if err := firstError(err, s.gone(), s.trouble.lost); err != nil {
		return err
	}
	switch {
	case s.work.epoch != epoch || !s.rec.Exists:
		return errEnded
	case s.rec.Version != version: // another goroutine stored while fn ran
		return stored.ErrAgain
	case fn != nil && !vals.Changed() && s.want.changed == 0:
		s.vals.Take(vals)
		return errNothing
	}
	if err := s.reachable(); err != nil {
		return err
	}
	if s.work.epoch != epoch {
		return errEnded
	}
	if err := fits(vals); err != nil {
		return err
	}
	*t = s.try(vals)
	change := s.change(t)
	return w.Prepare(&s.rec, &change)
}

// create stores a new session, with fn, with what fn makes of its values. If
// that fails, what fn did is undone.
func (s *Session) create(ctx context.Context, fn func(*Values) error) error {
	if s.phase == phaseSent {
		if fn == nil {
			s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
			s.want.changed = 0
		}
		return ErrHeadersSent
	}
	epoch := s.work.epoch
	vals, err := s.apply(fn)
	if err := firstError(err, s.gone(), s.trouble.lost); fn != nil && err != nil {
		return err
	}
	switch {
	case s.work.epoch != epoch:
		return ErrDestroyed // by another goroutine of this request, while fn ran
	case s.rec.Exists: // stored by another one
		err := s.update(ctx, fn)
		if err == errAfresh {
			err = s.create(ctx, fn)
		}
		return err
	case fn != nil && vals.Len() == 0 && s.currentUser() == "": // nothing to store, or not any more
		s.vals.Take(vals)
		return nil
	case s.uninvited():
		return s.turnAway()
	}
	err = s.createRecord(ctx, vals)
	if err == nil && s.work.epoch != epoch {
		return destroyed(fn)
	}
	return err
}

// createRecord stores a new record with vals: those of s, or a copy that
// Update's function has worked on.
func (s *Session) createRecord(ctx context.Context, vals *record.Changes) error {
	var (
		epoch = s.work.epoch
		t     try
		w     stored.Write
		out   stored.Outcome
		err   error
	)
	s.outside(func() {
		out, err = w.Create(ctx, &s.m.store, func() error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err := s.reachable(); err != nil {
				return err
			}
			if s.work.epoch != epoch {
				return errEnded // destroyed before it was there
			}
			if t.vals != nil { // the ID was taken: another one
				s.rec.Known = false
			}
			s.ensureID()
			t = s.try(vals)
			change := s.change(&t)
			return w.Prepare(&s.rec, &change)
		})
	})
	_, err = s.report(&out, &t, epoch, err)
	switch {
	case s.work.epoch != epoch:
		return nil
	case err != nil:
		return err
	}
	return s.trim(ctx, &out, &t)
}

// A try is what one store call was given: by the time that it returns, more
// may have been changed.
type try struct {
	vals    *record.Changes
	next    record.Credentials // of the session once it is stored
	changed changedBits
	to      settings // of those that are changed
}

// try returns what a store call that begins now will have stored.
func (s *Session) try(vals *record.Changes) try {
	t := try{vals: vals, next: s.rec.Cred, changed: s.want.changed}
	if s.rec.Exists && t.changed&changedSecret != 0 {
		t.next = *s.want.next
	}
	if s.want.to != nil {
		t.to = *s.want.to
	}
	return t
}

// change returns what t stores.
func (s *Session) change(t *try) stored.Change {
	set := s.settings()
	c := stored.Change{
		Values:   t.vals,
		Next:     t.next,
		Renew:    t.changed&changedSecret != 0,
		User:     set.user,
		Label:    set.label,
		Idle:     set.idle,
		Absolute: set.absolute,
		Persist:  set.persist,
		Login:    t.changed&changedUser != 0 && set.user != "" && !s.start.candidate,
		Shorten:  t.changed&(changedIdle|changedAbsolute|changedOwner) != 0,
		Still:    s.want.noTouch,
		Confirm:  t.changed&(changedSecret|changedOwner) != 0,
	}
	if !s.rec.Exists {
		c.Confirm = set.user != ""
	}
	if !c.Shorten && t.changed&(changedSecret|changedPersist) == 0 { // with those the cookie goes out
		c.Early = s.early()
	}
	return c
}

// apply returns the values to store: those of this request, or with fn, a
// copy that fn has worked on.
func (s *Session) apply(fn func(*Values) error) (*record.Changes, error) {
	if fn == nil {
		return &s.vals, nil
	}
	vals := &Values{err: s.trouble.err}
	s.vals.Clone(&vals.c)
	s.yield()
	defer func() {
		for s.work.busy { // with calls that end with the store's time-out
			s.await(s.m.patience())
		}
		s.own()
	}()
	var err error
	s.outside(func() { err = fn(vals) })
	if err != nil {
		return nil, err
	}
	return &vals.c, vals.err
}

// rebase puts what this request did on top of the newest record.
func (s *Session) rebase(newest *stored.Copy, values record.Body) {
	s.rec = *newest
	s.vals.Rebase(values, s.want.changed&changedOwner != 0) // then they are the former user's, all of them
}

// remove deletes what Destroy was called on. A request that holds an old
// token cannot: the record goes only if its secret is still the one that this
// request came with, in one atomic step.
func (s *Session) remove(ctx context.Context) error {
	r := s.want.removal // which nobody else changes
	if r == nil {
		return nil
	}
	var out stored.Outcome
	var err error
	s.outside(func() { out, err = s.m.store.Delete(ctx, &r.cred, r.version) })
	r.version = out.Copy.Version
	return s.reportRemoval(&out, r, err)
}

// touch moves the expiry. It is no more than a note: if it fails the request
// goes on, and the next one tries again.
func (s *Session) touch(ctx context.Context) {
	now := stored.Now()
	if !s.touchDue(now) {
		return
	}
	if s.rec.Head.Ends != 0 {
		// The expiry is in the head: this is an update, which fails if the
		// session has changed since it was loaded, and then looks again.
		if err := s.update(ctx, nil); err != nil && err != errAfresh && s.trouble.lost == nil {
			s.notTouched(err)
		}
		return
	}
	expires := s.noted(now)
	epoch, id := s.work.epoch, s.rec.Cred.ID()
	var out stored.Outcome
	var err error
	s.outside(func() { out, err = s.m.store.Touch(ctx, id, expires) })
	switch {
	case s.work.epoch != epoch: // destroyed meanwhile
	case err != nil:
		s.m.stats.add(statErrors, &s.rec.Cred)
		s.notTouched(err)
	case out.Lost != nil:
		s.lose(ErrDestroyed)
	default:
		s.m.stats.add(statTouches, &s.rec.Cred)
		s.rec.Expires = expires
		s.slide()
	}
}

func (s *Session) notTouched(err error) {
	s.log(slog.LevelWarn, "session: activity could not be noted", err)
	s.want.noTouch = true // once a request
}

// report takes in what became of a write: here it is decided what that means for
// the session, its cookie, the counters, Config.On and the log. It reports
// whether the record was lost, and returns err as the caller is to see it. If
// Destroy has made s another session since epoch, what was stored is to go.
func (s *Session) report(out *stored.Outcome, t *try, epoch uint32, err error) (lost bool, _ error) {
	for range out.Loads {
		s.m.stats.add(statLoads, &t.next)
	}
	for range out.Conflicts {
		s.m.stats.add(statConflicts, &t.next)
	}
	wrote := out.Created || out.Updated
	if out.Created && err == nil {
		s.m.stats.add(statCreates, &t.next)
		s.tellCreated(out, t)
	}
	switch {
	case s.work.epoch != epoch:
		if wrote {
			s.want.removal = &removal{t.next, out.Copy.Version, out.Copy.User}
		}
		return false, err
	case err != nil && out.Op != "":
		return false, s.m.failed(out.Op, err)
	case err != nil:
		return false, err
	case out.Lost != nil:
		s.reportLoss(out)
		return true, nil
	}
	s.reply.altered = s.reply.altered || out.Created || t.changed != 0 || t.vals.Changed()
	wasPersistent, was := s.persistent(), s.rec.User
	s.settle(out, t)
	lifetime := t.changed&(changedPersist|changedIdle|changedAbsolute) != 0
	switch {
	case out.Created, out.Renewed, lifetime && s.x.transport.cookie() && (wasPersistent || s.persistent()):
		s.reply.cookie = cookieSet
	case out.Moved:
		s.slide()
	}
	if out.Updated {
		s.m.stats.add(statUpdates, &s.rec.Cred)
	}
	s.tellWrite(out, t, was)
	return false, nil
}

// settle makes s what it is after a successful write. What was changed since t
// is left for the next one.
func (s *Session) settle(out *stored.Outcome, t *try) {
	at := s.rec.At
	s.rec = out.Copy
	s.rec.At = at
	if s.want.changed = s.left(t); s.want.changed == 0 {
		s.want.forget()
	}
	if s.want.changed&changedOwner == 0 { // else another user's since t: all that was stored is to go
		s.vals.Settle(t.vals, out.Values)
	}
}

// reportLoss is report for a record that is no session of s any more.
func (s *Session) reportLoss(out *stored.Outcome) {
	if out.Damage != nil {
		s.m.stats.add(statUnreadable, &s.rec.Cred)
		s.log(slog.LevelWarn, "session: the record became unreadable", out.Damage)
	}
	s.lose(whyLost(out.Lost))
}

func whyLost(lost error) error {
	if errors.Is(lost, stored.ErrSuperseded) {
		return ErrSuperseded
	}
	return ErrDestroyed
}

// reportRemoval is report for what Destroy was called on.
func (s *Session) reportRemoval(out *stored.Outcome, r *removal, err error) error {
	switch {
	case err != nil:
		if !errors.Is(err, backend.ErrNotReplicated) { // which is most often gone at the next try
			s.reply.cookie = s.removalCookie() // the browser shall forget it all the same
		}
		return s.m.failed(out.Op, err)
	case errors.Is(out.Lost, stored.ErrSuperseded):
		return s.removedTooLate(r)
	case out.Lost == nil: // else somebody else ended it: the cookie is theirs to change
		s.reply.cookie = s.removalCookie()
	}
	if out.Removed {
		s.m.stats.add(statDeletes, &r.cred)
		s.tell(&r.cred, Event{Kind: EventEnded, User: r.user, Reason: ReasonDestroyed})
	}
	s.want.removal = nil
	return nil
}

// removedTooLate ends a Destroy of a session that somebody else has renewed. What
// was Set after it would need a cookie that replaces theirs.
func (s *Session) removedTooLate(r *removal) error {
	s.want.removal = nil
	if s.reply.cookie == cookieRemove { // an earlier try failed
		s.reply.cookie = cookieAlone
	}
	if s.want.changed&changedSecret != 0 {
		return nil
	}
	s.rec.Cred, s.rec.Known, s.trouble.lost = r.cred, true, ErrSuperseded
	s.m.stats.add(statSuperseded, &r.cred)
	s.log(slog.LevelInfo, "session: not destroyed", ErrSuperseded)
	s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
	s.want.changed = 0
	return &logoutError{ErrSuperseded}
}

// destroyed is what an update returns whose session this request destroyed
// while it ran: an Update could not do what it had to; to store is not needed
// any more.
func destroyed(fn func(*Values) error) error {
	if fn == nil {
		return nil
	}
	return ErrDestroyed
}

// lose makes s what is left of a session that ended during the request: one
// that keeps nothing, or if this request logs somebody in, a new one.
func (s *Session) lose(why error) {
	if s.want.changed&changedUser != 0 && s.want.to.user != "" {
		s.loginAfresh(why)
		return
	}
	cred := s.rec.Cred
	s.rec = stored.Copy{Cred: cred, Known: true}
	s.vals.Rebase(record.Body{}, false)
	s.trouble.err, s.trouble.lost = nil, why
	s.over()
}

// loginAfresh makes s, whose login has lost its record, a new session. Its
// handler has authenticated the user, and if another request has renewed the
// session, this one held its values by right; those of one that was destroyed
// do not come back.
func (s *Session) loginAfresh(why error) {
	s.log(slog.LevelInfo, "session: a login goes on in a new session", why)
	kept, set, changed := record.Body{}, *s.want.to, s.want.changed
	if why == ErrSuperseded {
		s.m.stats.add(statSuperseded, &s.rec.Cred)
		kept, set, changed = s.vals.Base(), s.settings(), changedUser|changedLabel|changedIdle|changedAbsolute|changedPersist
	}
	s.rec, s.trouble.err = stored.Copy{}, nil
	s.vals.Detach(kept)
	s.want.to, s.want.changed = &set, changed&^changedOwner|changedSecret
}

// lostUpdate ends an update of a session that has ended.
func (s *Session) lostUpdate(out *stored.Outcome, exact bool) error {
	lost := s.trouble.lost
	if out.Unknown {
		return s.m.failed("update", fmt.Errorf("%w: %w", ErrOutcomeUnknown, lost))
	}
	if err := s.dropped(); err != nil || !exact {
		return err
	}
	s.countDropped()
	return lost
}

// dropped forgets the changes of a session that has ended.
func (s *Session) dropped() error {
	lost := s.trouble.lost
	if !s.vals.Changed() && s.want.changed == 0 && !s.trouble.tried {
		return nil
	}
	s.countDropped()
	s.log(slog.LevelInfo, "session: changes dropped", lost)
	s.vals.Drop()
	s.want.changed, s.trouble.tried = 0, false
	return lost
}

// countDropped counts and tells that changes of a session that is lost are
// dropped.
func (s *Session) countDropped() {
	counter := statDropped
	if s.trouble.lost == ErrSuperseded {
		counter = statSuperseded
	}
	s.m.stats.add(counter, &s.rec.Cred)
	s.tell(&s.rec.Cred, Event{Kind: EventLost, Err: s.trouble.lost})
}

// reachable returns an error if what is to be stored needs a new token at the
// client, and the client has gone, or somebody (http.TimeoutHandler) has
// responded to it: the old token would be dead, the new one nobody's.
func (s *Session) reachable() error {
	if s.rec.Exists && s.want.changed&changedSecret == 0 {
		return nil
	}
	var err error
	epoch := s.work.epoch
	s.outside(func() { err = s.x.Context.Err() }) // which may be a method of the program's
	if s.work.epoch == epoch && err != nil {
		return &goneError{err}
	}
	return nil
}

// touchDue reports whether activity at now, in Unix ms, has to be noted in the
// store.
func (s *Session) touchDue(now int64) bool {
	if !s.rec.Exists || s.want.noTouch {
		return false
	}
	moves := s.noted(now) - s.rec.Expires
	return moves > 0 && time.Duration(moves)*time.Millisecond >= s.touchEvery()
}

// touchEvery is how often activity of this session is noted.
func (s *Session) touchEvery() time.Duration {
	every := s.m.cfg.TouchEvery
	if s.rec.Head.Idle != 0 {
		every = touchEvery(s.rec.Head.Idle)
	}
	if fixed := s.m.cookie.Options().MaxAge; fixed > 0 && s.slides() {
		every = min(every, touchEvery(fixed)) // for the cookie must go out that often
	}
	return every
}

// noted returns the expiry to store for activity at now, both in Unix ms.
func (s *Session) noted(now int64) int64 {
	h := &s.rec.Head
	return s.m.store.Expiry(&s.rec.Cred, h.Idle, h.Absolute, now-s.early().Milliseconds())
}

// early is how much too early activity is noted. As long as the browser's cookie
// does not go with it, because a cache may keep the response, say, or because
// that is not known yet, it is one touchEvery: so the next response that can
// bring the cookie has activity to note, and brings it. That the expiry moves and
// that the cookie goes out are two things, but the one must not run away from the
// other.
func (s *Session) early() time.Duration {
	if s.slides() && !s.reply.carries && s.reply.cookie != cookieSet {
		return s.touchEvery()
	}
	return 0
}

// log writes a record when mu is free.
func (s *Session) log(level slog.Level, message string, err error) {
	x, id := s.x, s.rec.Cred.ID().String()
	s.later(func() { x.log(level, message, slog.String("id", id), slog.Any("error", err)) })
}
