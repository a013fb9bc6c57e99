package session

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/chisession/session/backend"
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
	s.mu.Lock()
	defer s.unlock()
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
// returns what was stored. fn gets the zero T if there is none, or one of
// another type. See [Session.Update].
func Update[T any](s *Session, key string, fn func(T) T) (T, error) {
	var stored T
	err := s.Update(func(v *Values) error {
		old, _ := ValueOf[T](v, key)
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

// maxUncertain is how often an update is tried again after a store error that
// may hide a success.
const maxUncertain = 2

// nestedAfter is how long an Update waits for another one of its session.
const nestedAfter = 900 * time.Millisecond

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
	vals, err := s.apply(fn)
	if err := firstError(err, s.gone(), s.lost); err != nil {
		return err
	}
	if s.exists { // stored by another goroutine of this request, while fn ran
		return s.update(ctx, fn)
	}
	before, size := s.vals.changes, s.vals.size
	s.vals.take(vals)
	if !s.dirty() {
		return nil
	}
	err = s.create(ctx)
	if err != nil && !s.exists {
		s.vals.changes, s.vals.size = before, size
	}
	return err
}

// update stores an existing session: what this request did, on top of what
// the store has, by compare-and-swap. With fn, fn works on the values in
// between, outside of mu, each time that the store has moved on.
func (s *Session) update(ctx context.Context, fn func(*Values) error) error {
	if fn == nil {
		turn, err := s.m.queue(ctx, &s.cred)
		if err != nil {
			return s.m.failed("update", err)
		}
		defer turn.leave()
	}
	tries := attempt{exact: fn != nil, patience: s.m.cfg.StoreTimeout}
	for {
		version := s.version
		vals, err := s.apply(fn)
		if err := firstError(err, s.gone(), s.lost); err != nil {
			return err
		}
		if !s.exists {
			return ErrDestroyed // by another goroutine of this request, while fn ran
		}
		if s.version == version {
			if fn != nil && len(vals.changes) == 0 && s.changed == 0 {
				s.vals.take(vals)
				return nil // nothing to store, or not any more
			}
			done, err := s.swap(ctx, vals, &tries)
			if done || err != nil {
				return err
			}
		}
		tries.begin(nowMillis()) // if another goroutine stored while fn ran
		if tries.late(ctx) {
			return s.m.failed("update", fmt.Errorf("gave up after %d conflicts: %w", tries.conflicts, backend.ErrConflict))
		}
		if err := tries.pause(ctx); err != nil {
			return s.m.failed("update", err)
		}
	}
}

// swap tries once to put vals in the place of the version that s is on.
// Without done or an error, s is on a newer one, and it can be tried again.
func (s *Session) swap(ctx context.Context, vals *Values, tries *attempt) (done bool, _ error) {
	if err := firstError(vals.fits(), s.reachable()); err != nil {
		return true, err
	}
	if s.changed&changedSecret == 0 {
		s.next = s.cred
	}
	now := nowMillis()
	tries.begin(now)
	rec, plain, h, err := s.encode(&s.next, vals, tries, now)
	if err != nil {
		return true, err
	}
	if rec.Expires.UnixMilli() <= now && !s.noTouch || s.loaded.ended(now) {
		// Its time has passed meanwhile, unless another request has prolonged
		// the session: then this is a conflict.
		err = s.m.deleteVersion(ctx, s.cred.id(), s.version)
		if err == nil {
			err = backend.ErrNotFound
		}
	} else {
		err = s.m.store.Update(ctx, rec)
	}
	if err != nil {
		return s.again(ctx, err, tries, rec.Version, vals)
	}
	login := s.changed&changedUser != 0
	rec.Version++
	s.updated(rec, h, plain, vals)
	if login {
		err = s.trim(ctx, rec.User)
	}
	return true, err
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
func (s *Session) apply(fn func(*Values) error) (*Values, error) {
	if fn == nil {
		return &s.vals, nil
	}
	vals := s.vals.clone()
	s.mu.Unlock()
	defer s.mu.Lock()
	if err := fn(vals); err != nil {
		return nil, err
	}
	return vals, vals.err
}

// encode makes the record to store. All tries of one commit have its ID, so
// that a retry recognises what an earlier one has done.
func (s *Session) encode(next *credentials, vals *Values, tries *attempt, now int64) (backend.Record, body, head, error) {
	set := s.settings()
	expires, shorten, inHead := s.expiryOf(set, now)
	h := s.newHead(set, next)
	if inHead {
		h.flags, h.ends = h.flags|flagEnds, expires
	}
	if tries.commit != 0 {
		h.commit = tries.commit
	}
	tries.commit = h.commit
	key, err := s.keyFor(next)
	if err != nil {
		return backend.Record{}, body{}, h, err
	}
	data, plain, err := encodeRecord(next.id(), set.user, &h, &vals.base, vals.changes, s.m.protect, key)
	rec := backend.Record{
		ID: s.cred.id(), Version: s.version, User: set.user, Data: data,
		Expires: time.UnixMilli(expires), Shorten: shorten,
	}
	return rec, plain, h, err
}

// expiryOf returns when the session expires, in Unix ms, if it is stored with
// set at now; whether that may be earlier than before; and whether the head is
// to say so, see head.ends.
func (s *Session) expiryOf(set settings, now int64) (expires int64, shorten, inHead bool) {
	shorten = s.changed&(changedIdle|changedAbsolute|changedOwner) != 0
	expires = s.m.expiry(&s.cred, set.idle, set.absolute, now)
	if s.noTouch && !shorten {
		expires = s.expires
	}
	if !shorten {
		expires = max(expires, s.expires)
	}
	was, _ := s.m.timeouts(s.loaded.idle, s.loaded.absolute)
	is, _ := s.m.timeouts(set.idle, set.absolute)
	inHead = s.loaded.ends != 0 || is < was
	return expires, shorten || inHead, inHead
}

// keyFor returns what a record is sealed or tagged with, if it is: the key that
// loading made, unless the secret is another.
func (s *Session) keyFor(next *credentials) (cipher.AEAD, error) {
	switch {
	case s.m.protect == protectNothing:
		return nil, nil
	case s.seal != nil && *next == s.cred:
		return s.seal, nil
	}
	return sealer(next.secret())
}

// updated takes in a successful update.
func (s *Session) updated(rec backend.Record, h head, plain body, vals *Values) {
	s.m.stats.add(statUpdates, &s.cred)
	renewed := s.changed&changedSecret != 0
	moved := rec.Expires.UnixMilli() > s.expires
	lifetime := s.changed&(changedPersist|changedIdle|changedAbsolute) != 0
	wasPersistent := s.persistent()
	if s.cred != s.next {
		s.cred, s.seal = s.next, nil
	}
	// What other goroutines of this request changed while fn ran is kept.
	var since []change
	if vals != &s.vals {
		since = s.vals.since(vals)
	}
	s.stored(rec, h, plain)
	s.vals.replay(since)
	switch {
	case renewed, lifetime && s.x.transport.cookie() && (wasPersistent || s.persistent()):
		s.cookie = cookieSet
	case moved:
		s.slide()
	}
	if renewed {
		s.m.stats.add(statRenewals, &s.cred)
		s.hook(s.m.cfg.Hooks.Renewed, rec.User)
	}
}

// again decides what to do about an update of version that failed: done means
// that it is stored after all, or never will be; without, s is on the newest
// record and the update can be tried again.
func (s *Session) again(ctx context.Context, err error, tries *attempt, version uint64, vals *Values) (done bool, _ error) {
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
		tries.uncertain++
		tries.doubt = version
	}
	newest, fetchErr := s.fetch(ctx, &s.next, tries.commit)
	switch {
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
	case newest.head.commit == tries.commit: // an earlier try was done, its reply lost
		if newest.rec, err = s.complete(ctx, newest.rec, tries); err != nil {
			return true, s.m.failed("update", err)
		}
		login := s.changed&changedUser != 0
		s.updated(newest.rec, newest.head, newest.values, vals)
		if login {
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
	s.adopt(&newest)
	if s.changed&changedOwner != 0 {
		newest.values = body{} // the former user's, all of them
	}
	s.vals.rebase(newest.values)
	return false, nil
}

// complete has the store write rec, a session of a user, once more as it is,
// after a write that failed and whose record is there all the same. A store
// that has several things to do for a write may have done that one alone: a
// session that is missing from the index by user would outlive "log out
// everywhere". It returns rec with the version that the store has.
func (s *Session) complete(ctx context.Context, rec backend.Record, tries *attempt) (backend.Record, error) {
	for uncertain := 0; rec.User != ""; {
		err := s.m.store.Update(ctx, rec)
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
		there, loadErr := s.m.store.Load(ctx, rec.ID)
		if errors.Is(loadErr, backend.ErrNotFound) {
			return rec, nil
		}
		if loadErr != nil {
			return rec, loadErr
		}
		if h, headErr := parseHead(there.Data); headErr != nil || h.commit != tries.commit {
			return rec, nil // others have written since, and all that a write is
		}
		rec = there
	}
	return rec, nil
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
	began     int64  // Unix ms
	patience  time.Duration
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
