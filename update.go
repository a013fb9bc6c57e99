package session

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/record"
)

// Update runs fn on the newest values in the store, with what this request
// has done so far, and stores the result, as one atomic step. Where it meets
// another request's write it begins again, so fn may run several times: it
// should do nothing but work on the values. It runs outside of all locks. An
// error of fn is returned, and nothing is stored now.
//
// It costs one store call, two more for each conflict. ErrDestroyed and
// ErrSuperseded say that the session ended meanwhile; ErrHeadersSent that it
// would be a new one, too late for its cookie; ErrNested that fn itself called
// Update.
func (s *Session) Update(fn func(*Values) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.claim(nestedAfter); err != nil {
		return err
	}
	defer s.free()
	s.used = true
	if err := s.gone(); err != nil {
		return err
	}
	if s.refusesAll() {
		return firstError(s.over, ErrUnavailable)
	}
	if err := firstError(s.err, s.lost); err != nil {
		return err
	}
	if s.m.closed.Load() {
		return s.m.failed("update", ErrClosed)
	}
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	if err := firstError(s.remove(ctx), s.lost); err != nil {
		return err
	}
	if s.exists {
		err := s.update(ctx, fn)
		if err != errAfresh {
			return err
		}
	}
	return s.createWith(ctx, fn)
}

// Update replaces the value of key by what fn makes of it, atomically, and
// returns what was stored. fn gets the zero T if there is no value, or nil. A
// value that is no T (an int64 where T is int, or JSON that no longer decodes
// into T) is an error that names both types, and stays as it is: Update with its
// own type, or Delete it first. See [Session.Update].
func Update[T any](s *Session, key string, fn func(T) T) (T, error) {
	var stored T
	err := s.Update(func(v *Values) error {
		old, err := updatable[T](v, key)
		if err != nil {
			return err
		}
		stored = fn(old)
		v.Set(key, stored)
		return nil
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return stored, nil
}

// updatable returns the value of key as a T, the zero T if there is none.
func updatable[T any](v *Values, key string) (T, error) {
	encoded := v.lookup(key)
	if encoded == nil || record.IsNil(encoded) {
		var zero T
		return zero, nil
	}
	old, err := record.DecodeTo[T](encoded)
	if err != nil { // not wrapped: it may quote the value
		return old, notA[T](key, encoded)
	}
	return old, nil
}

// maxUncertain is how often an update is tried again after a store error that
// may hide a success.
const maxUncertain = 2

// enter waits for the turn of an Update.
func (s *Session) enter() error {
	s.mu.Lock()
	if s.updating == nil {
		s.updating = make(chan struct{}, 1)
	}
	turn := s.updating
	s.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(nestedAfter)
	defer timer.Stop()
	select {
	case turn <- struct{}{}:
		return nil
	case <-timer.C:
		return ErrNested
	}
}

func (s *Session) leave() { <-s.updating }

// createWith stores a new session with what fn makes of it. If that fails,
// what fn did is undone.
func (s *Session) createWith(ctx context.Context, fn func(*Values) error) error {
	if s.sent {
		return ErrHeadersSent
	}
	epoch := s.epoch
	vals, err := s.apply(fn)
	if err := firstError(err, s.gone(), s.lost); err != nil {
		return err
	}
	if s.epoch != epoch {
		return ErrDestroyed // by another goroutine of this request, while fn ran
	}
	if s.exists { // stored by another one
		err := s.update(ctx, fn)
		if err == errAfresh {
			err = s.createWith(ctx, fn)
		}
		return err
	}
	if vals.Len() == 0 && s.currentUser() == "" { // nothing to store, or not any more
		s.vals.Take(vals)
		return nil
	}
	err = s.create(ctx, vals)
	if err == nil && s.epoch != epoch {
		return ErrDestroyed
	}
	return err
}

// update stores an existing session: what this request did, on top of what
// the store has, by compare-and-swap. With fn, fn works on the values in
// between, outside of mu and busy, each time that the store has moved on.
func (s *Session) update(ctx context.Context, fn func(*Values) error) error {
	epoch := s.epoch
	var turn turn
	if fn == nil {
		id := s.cred.ID()
		s.outside(func() { turn = s.m.queues.enter(ctx, id) })
		defer turn.leave()
		s.moveOn(turn.stored)
	}
	tries := attempt{exact: fn != nil, patience: s.m.cfg.StoreTimeout}
	for {
		version := s.version
		vals, err := s.apply(fn)
		if err := firstError(err, s.gone(), s.lost); err != nil {
			return err
		}
		if s.epoch != epoch || !s.exists {
			return destroyed(fn) // by another goroutine of this request, meanwhile
		}
		if s.version == version {
			if fn != nil && !vals.Changed() && s.changed == 0 {
				s.vals.Take(vals)
				return nil // nothing to store, or not any more
			}
			done, err := s.swap(ctx, vals, &tries, &turn)
			if s.epoch != epoch {
				return destroyed(fn)
			}
			if done || err != nil {
				return err
			}
		}
		tries.begin(nowMillis()) // if another goroutine stored while fn ran
		if tries.late(ctx) {
			return s.m.failed("update", fmt.Errorf("gave up after %d conflicts: %w", tries.conflicts, backend.ErrConflict))
		}
		s.outside(func() { err = tries.pause(ctx) })
		if err != nil {
			return s.m.failed("update", err)
		}
	}
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

// swap tries once to put vals in the place of the version that s is on.
// Without done or an error, s is on a newer one, and it can be tried again.
func (s *Session) swap(ctx context.Context, vals *record.Changes, tries *attempt, turn *turn) (done bool, _ error) {
	epoch := s.epoch
	if err := s.reachable(); err != nil || s.epoch != epoch {
		return true, err
	}
	if err := fits(vals); err != nil {
		return true, err
	}
	t := s.try()
	now := nowMillis()
	tries.begin(now)
	rec, plain, h, err := s.encode(&t, vals, tries, now)
	if err != nil {
		return true, err
	}
	past := rec.Expires.UnixMilli() <= now && !s.noTouch || s.loaded.Ended(now)
	s.outside(func() { err = s.m.update(ctx, rec, past) })
	if s.epoch != t.epoch {
		if err == nil && !past && s.doomed != nil { // it is this one that has to go
			s.doomed.cred, s.doomed.version = t.next, rec.Version+1
		}
		return true, nil
	}
	if err != nil {
		return s.again(ctx, err, tries, &t, rec.Version, vals)
	}
	rec.Version++
	turn.stored = rec
	s.updated(&t, rec, h, plain, vals)
	if t.changed&changedUser != 0 {
		err = s.trim(ctx, rec.User)
	}
	return true, err
}

// moveOn puts s on rec, which another request of this process has just stored,
// as if it had been loaded: the update to come would only meet a conflict. If
// it is not the session of this request any more, the conflict will tell.
func (s *Session) moveOn(rec backend.Record) {
	if rec.Version <= s.version || !s.exists {
		return
	}
	newest := loaded{rec: rec}
	if reason, _ := s.m.verify(&newest, &s.cred); reason != "" {
		return
	}
	s.take(&newest)
}

// take puts s on a newer record, with what this request did on top of it.
func (s *Session) take(newest *loaded) {
	s.adopt(newest)
	if s.changed&changedOwner != 0 {
		newest.values = record.Body{} // the former user's, all of them
	}
	s.vals.Rebase(newest.values)
}

// update replaces a record, or deletes it if its time has passed.
func (m *Manager) update(ctx context.Context, rec backend.Record, past bool) error {
	if !past {
		return m.store.Update(ctx, rec)
	}
	// Its time has passed meanwhile, unless another request has prolonged the
	// session: then this is a conflict.
	if err := m.deleteVersion(ctx, rec.ID, rec.Version); err != nil {
		return err
	}
	return backend.ErrNotFound
}
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// apply returns the values to store: those of this request, or with fn, a
// copy that fn has worked on.
func (s *Session) apply(fn func(*Values) error) (*record.Changes, error) {
	if fn == nil {
		return &s.vals, nil
	}
	vals := &Values{err: s.err}
	s.vals.Clone(&vals.c)
	s.yield()
	defer func() {
		for s.busy { // with calls that end with the store's time-out
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

// encode makes the record to store. All tries of one commit have its ID, so
// that a retry recognises what an earlier one has done.
func (s *Session) encode(t *try, vals *record.Changes, tries *attempt, now int64) (backend.Record, record.Body, record.Head, error) {
	set := s.settings()
	expires, shorten, inHead := s.expiryOf(set, now)
	h := s.newHead(set, t)
	if inHead {
		h.Ends = expires
	}
	if tries.commit != 0 {
		h.Commit = tries.commit
	}
	tries.commit = h.Commit
	key, err := s.keyFor(&t.next)
	if err != nil {
		return backend.Record{}, record.Body{}, h, err
	}
	data, plain, err := record.Encode(t.next.ID(), set.user, &h, vals, s.m.protect, key)
	rec := backend.Record{
		ID: s.cred.ID(), Version: s.version, User: set.user, Data: data,
		Expires: time.UnixMilli(expires), Shorten: shorten,
		Confirm: s.changed&(changedSecret|changedOwner) != 0,
	}
	tries.confirm = rec.Confirm
	return rec, plain, h, err
}

// expiryOf returns when the session expires, in Unix ms, if it is stored with
// set at now; whether that may be earlier than before; and whether the head is
// to say so, see record.Head.Ends.
func (s *Session) expiryOf(set settings, now int64) (expires int64, shorten, inHead bool) {
	shorten = s.changed&(changedIdle|changedAbsolute|changedOwner) != 0
	expires = s.m.expiry(&s.cred, set.idle, set.absolute, now)
	if !shorten && s.changed&(changedSecret|changedPersist) == 0 { // with those the cookie goes out
		expires = s.noted(set.idle, set.absolute, now)
	}
	if s.noTouch && !shorten {
		expires = s.expires
	}
	if !shorten {
		expires = max(expires, s.expires)
	}
	was, _ := s.m.timeouts(s.loaded.Idle, s.loaded.Absolute)
	is, _ := s.m.timeouts(set.idle, set.absolute)
	inHead = s.loaded.Ends != 0 || is < was
	return expires, shorten || inHead, inHead
}

// keyFor returns what a record is sealed or tagged with, if it is: the key that
// loading made, unless the secret is another.
func (s *Session) keyFor(next *record.Credentials) (cipher.AEAD, error) {
	switch {
	case s.m.protect == record.Plain:
		return nil, nil
	case s.seal != nil && *next == s.cred:
		return s.seal, nil
	}
	return next.Key()
}

// updated takes in a successful update.
func (s *Session) updated(t *try, rec backend.Record, h record.Head, plain record.Body, vals *record.Changes) {
	s.m.stats.add(statUpdates, &s.cred)
	renewed := t.changed&changedSecret != 0
	s.altered = s.altered || t.changed != 0 || vals.Changed()
	moved := rec.Expires.UnixMilli() > s.expires
	lifetime := t.changed&(changedPersist|changedIdle|changedAbsolute) != 0
	wasPersistent := s.persistent()
	if renewed {
		s.cred, s.seal = t.next, nil
	}
	s.stored(t, rec, h, plain, vals)
	switch {
	case renewed, lifetime && s.x.transport.cookie() && (wasPersistent || s.persistent()):
		s.cookie = cookieSet
	case moved:
		s.slide()
	}
	if renewed {
		s.m.stats.add(statRenewals, &s.cred)
		s.hook(s.m.cfg.Hooks.Renewed, &s.cred, rec.User)
	}
}

// again decides what to do about an update of version that failed: done means
// that it is stored after all, or never will be; without, s is on the newest
// record and the update can be tried again.
func (s *Session) again(ctx context.Context, err error, tries *attempt, t *try, version uint64, vals *record.Changes) (done bool, _ error) {
	switch {
	case errors.Is(err, backend.ErrConflict):
		s.m.stats.add(statConflicts, &s.cred)
		tries.conflicts++
	case errors.Is(err, backend.ErrNotFound):
		s.lose(ErrDestroyed)
		if s.lost == nil {
			return true, errAfresh
		}
		return true, s.lostUpdate(tries)
	case definite(err), tries.uncertain == maxUncertain, tries.hung(ctx):
		return true, s.m.failed("update", err)
	default:
		tries.doubted(err)
		tries.doubt = version
	}
	newest, fetchErr := s.fetch(ctx, t.next, tries.commit)
	switch {
	case s.epoch != t.epoch:
		return true, nil
	case !s.exists && s.lost == nil:
		return true, errAfresh
	case s.lost != nil && tries.exact && tries.doubt != 0:
		return true, s.m.failed("update", fmt.Errorf("%w: %w", ErrOutcomeUnknown, s.lost))
	case s.lost != nil:
		return true, s.lostUpdate(tries)
	case fetchErr != nil && errors.Is(err, backend.ErrConflict):
		return true, fetchErr
	case fetchErr != nil:
		return true, s.m.failed("update", err)
	case newest.head.Commit == tries.commit: // an earlier try was done, its reply lost
		s.outside(func() { newest.rec, err = s.m.complete(ctx, newest.rec, tries) })
		if s.epoch != t.epoch {
			s.doomed = &doomed{cred: t.next, version: newest.rec.Version}
			return true, nil
		}
		if err != nil {
			return true, s.m.failed("update", err)
		}
		s.updated(t, newest.rec, newest.head, newest.values, vals)
		if t.changed&changedUser != 0 {
			err = s.trim(ctx, newest.rec.User)
			return true, err
		}
		return true, nil
	}
	if tries.doubt != 0 && newest.rec.Version > tries.doubt {
		// Others have written since. The version after the doubtful one is
		// not ours if it is the newest; if it is not, nobody can tell any more,
		// and to do it again might undo what others did about it: show a flash
		// message once more, bring back a key that they deleted.
		if newest.rec.Version > tries.doubt+1 {
			return true, s.m.failed("update", fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
		}
		tries.doubt = 0
	}
	s.take(&newest)
	return false, nil
}

// complete makes sure of rec, a session of a user, after a write that failed
// and whose record is there all the same. A store that has several things to do
// for a write may have done that one alone: a session that is missing from the
// index by user would outlive "log out everywhere". So the index is asked, and
// if it does not know the session, the store writes it once more as it is.
// A write that a failover must not undo, and that no reply has confirmed, is
// written once more, too. complete returns rec with the version that the store
// has.
func (m *Manager) complete(ctx context.Context, rec backend.Record, tries *attempt) (backend.Record, error) {
	rec.Confirm = tries.confirm && m.can.Confirms
	if !rec.Confirm && (rec.User == "" || m.indexed(ctx, rec)) {
		return rec, nil
	}
	for uncertain := 0; ; {
		err := m.store.Update(ctx, rec)
		switch {
		case err == nil:
			rec.Version++
			return rec, nil
		case errors.Is(err, backend.ErrNotFound):
			return rec, nil // it was stored, and has ended since
		case errors.Is(err, backend.ErrConflict) && !tries.late(ctx):
		case definite(err), uncertain == maxUncertain, tries.hung(ctx):
			return rec, err
		default:
			uncertain++
		}
		there, loadErr := m.store.Load(ctx, rec.ID)
		if errors.Is(loadErr, backend.ErrNotFound) {
			return rec, nil
		}
		if loadErr != nil {
			return rec, loadErr
		}
		if h, headErr := record.ParseHead(there.Data); headErr != nil || h.Commit != tries.commit {
			return rec, m.confirmOther(ctx, there, rec.Confirm) // others have written since, and all that a write is
		}
		there.Confirm = rec.Confirm
		rec = there
	}
}

// confirmOther makes sure, if it has to, of the write of others that came after
// one that no reply has confirmed. It changes nothing but the version.
func (m *Manager) confirmOther(ctx context.Context, there backend.Record, has bool) error {
	if !has {
		return nil
	}
	there.Confirm = true
	err := m.store.Update(ctx, there)
	if errors.Is(err, backend.ErrNotFound) {
		return nil // ended, and not by us
	}
	return err
}

// indexed reports whether the store's index by user, if it has one, has rec.
func (m *Manager) indexed(ctx context.Context, rec backend.Record) bool {
	if m.can.UserIndex == nil {
		return true
	}
	listed, err := m.can.UserIndex.ByUser(ctx, rec.User)
	return err == nil && slices.ContainsFunc(listed, func(r backend.Record) bool { return r.ID == rec.ID })
}

// lostUpdate ends an update of a session that has ended.
func (s *Session) lostUpdate(tries *attempt) error {
	lost := s.lost
	if err := s.dropped(); err != nil || !tries.exact {
		return err
	}
	s.m.stats.add(droppedAs(lost), &s.cred)
	return lost
}

// An attempt is what one commit has been through.
type attempt struct {
	exact     bool   // it must not be done twice: it is a read-modify-write
	commit    uint64 // its ID
	conflicts int
	uncertain int    // errors that may hide a success
	doubt     uint64 // the version named by the last of those; 0 when it is settled
	confirm   bool   // a failover must not undo it: see complete
	began     int64  // Unix ms
	patience  time.Duration
}

// doubted notes an error that may hide a success.
func (a *attempt) doubted(err error) {
	a.uncertain++
	a.confirm = a.confirm || errors.Is(err, backend.ErrNotReplicated)
}

// begin notes when the first try was made.
func (a *attempt) begin(now int64) {
	if a.began == 0 {
		a.began = now
	}
}

// late reports whether there is no time for another try.
func (a *attempt) late(ctx context.Context) bool {
	return ctx.Err() != nil || nowMillis()-a.began >= a.patience.Milliseconds()
}

// hung reports whether the store took so long to fail that it was a time-out,
// and a look at what it did would end in another.
func (a *attempt) hung(ctx context.Context) bool {
	return ctx.Err() != nil || nowMillis()-a.began >= a.patience.Milliseconds()/2
}

// pause waits a moment that grows with the number of conflicts, at random, so
// that those who collided do not collide again.
func (a *attempt) pause(ctx context.Context) error {
	if a.conflicts < 2 {
		return nil
	}
	most := min(time.Duration(a.conflicts)*time.Millisecond, 20*time.Millisecond)
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
