package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/chisession/session/backend"
)

const (
	// supersededFor is how long after a renewal a request that comes with
	// the old token may not start a session of its own: its cookie would
	// replace the one that the renewal just sent.
	supersededFor = 10 * time.Second

	maxCollisions = 3 // IDs tried for a new session; one collision is a miracle, or a broken store
	maxUncertain  = 2 // retries after a store error that may hide a success
)

// Save stores now what would be stored when the answer begins, so that its
// error can be handled here: nothing will be stored twice. A second Save
// without a change in between costs nothing. ErrDestroyed and ErrSuperseded
// say that the session ended meanwhile; the handler may go on.
func (s *Session) Save() error {
	s.mu.Lock()
	defer s.unlock()
	s.used = true
	if err := s.gone(); err != nil {
		return err
	}
	err := s.commit()
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
	s.mu.Lock()
	defer s.unlock()
	s.used = true
	if err := s.gone(); err != nil {
		return err
	}
	if s.lost != nil {
		return s.lost
	}
	s.err, s.refused, s.want, s.changed = nil, nil, settings{}, 0
	if !s.exists {
		s.vals.reset(body{}, s.m.cfg.MaxBytes)
		return nil
	}
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	newest, err := s.fetch(ctx, &s.cred, 0)
	if err != nil {
		return err
	}
	s.adopt(newest)
	s.vals.reset(newest.values, s.m.cfg.MaxBytes)
	return nil
}

// Update runs fn on the newest values in the store, with what this request
// has done so far, and stores the result, as one atomic step. Where it meets
// another request's write it begins again, so fn may run several times: it
// should do nothing but work on the values. It runs outside of all locks. An
// error of fn is returned, and nothing is stored.
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
	if err := firstError(s.gone(), s.err, s.lost); err != nil {
		return err
	}
	if s.outage {
		return ErrUnavailable
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
		return s.update(ctx, fn)
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

// commit stores what this request did. It is called with mu held, any number
// of times: before the header goes out, at the end, and by Save.
func (s *Session) commit() error {
	if s.doomed == nil && s.err == nil && s.lost == nil && !s.dirty() && !s.touchDue() {
		return nil // most requests
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
	case s.err != nil:
		return s.err
	case s.lost != nil:
		return s.dropped()
	case !s.dirty():
		s.touch(ctx)
		return nil
	case !s.exists:
		return s.create(ctx)
	}
	return s.update(ctx, nil)
}

// dirty reports whether there is something to store. A new session needs a
// value or a user: it is not stored for a label alone.
func (s *Session) dirty() bool {
	if s.exists {
		return s.changed != 0 || len(s.vals.changes) > 0
	}
	return len(s.vals.changes) > 0 || s.currentUser() != ""
}

// dropped forgets the changes of a session that has ended.
func (s *Session) dropped() error {
	lost := s.lost
	if s.changed&changedUser != 0 && s.want.user != "" {
		// A login that got lost must not be answered with "welcome".
		s.changed = 0
		return &lostLogin{lost}
	}
	if len(s.vals.changes) > 0 || s.changed != 0 {
		what := statDropped
		if lost == ErrSuperseded {
			what = statSuperseded
		}
		s.m.stats.add(what, &s.cred)
		s.log(slog.LevelInfo, "session: changes dropped", lost)
		s.vals.reset(s.vals.base, s.m.cfg.MaxBytes)
		s.changed = 0
		return lost
	}
	return nil
}

// lostLogin is a SetUser that was dropped.
type lostLogin struct{ why error }

func (e *lostLogin) Error() string { return "session: SetUser was not stored: " + e.why.Error() }
func (e *lostLogin) Unwrap() error { return e.why }

// log writes a record when mu is free.
func (s *Session) log(level slog.Level, message string, err error) {
	m, ctx, id := s.m, context.WithoutCancel(s.x), s.cred.id().String()
	s.later(func() { m.cfg.Logger.LogAttrs(ctx, level, message, slog.String("id", id), slog.Any("error", err)) })
}

// settings returns what this session's head says, with the changes.
func (s *Session) settings() settings {
	now := settings{
		user:     s.user,
		label:    string(s.loaded.label),
		idle:     s.loaded.idle,
		absolute: s.loaded.absolute,
		persist:  s.loaded.flags & (flagPersist | flagTransient),
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

// expiry returns when a session that is active now expires, in Unix ms.
func (m *Manager) expiry(cred *credentials, idle, absolute time.Duration) int64 {
	idle, absolute = m.timeouts(idle, absolute)
	return min(
		time.Now().Add(idle).UnixMilli(),
		createdAt(cred.id()).Add(absolute).UnixMilli(),
	)
}

// touchDue reports whether activity has to be noted in the store.
func (s *Session) touchDue() bool {
	if !s.exists || s.noTouch {
		return false
	}
	every := s.m.cfg.TouchEvery
	if s.loaded.idle != 0 {
		every = touchEvery(s.loaded.idle)
	}
	moves := s.m.expiry(&s.cred, s.loaded.idle, s.loaded.absolute) - s.expires
	return moves > 0 && time.Duration(moves)*time.Millisecond >= every
}

// touch moves the expiry. It is no more than a note: if it fails the request
// goes on, and the next one tries again.
func (s *Session) touch(ctx context.Context) {
	if !s.touchDue() {
		return
	}
	expires := s.m.expiry(&s.cred, s.loaded.idle, s.loaded.absolute)
	switch err := s.m.store.Touch(ctx, s.cred.id(), time.UnixMilli(expires)); {
	case err == nil:
		s.m.stats.add(statTouches, &s.cred)
		s.expires = expires
		s.slide()
	case errors.Is(err, backend.ErrNotFound):
		s.lose(ErrDestroyed)
	default:
		s.m.stats.add(statErrors, &s.cred)
		s.log(slog.LevelWarn, "session: activity could not be noted", err)
		s.noTouch = true // once a request
	}
}

// slide sends a persistent cookie again when the expiry has moved.
func (s *Session) slide() {
	if s.cookie == cookieAlone && s.x.transport.cookie() && s.persistent() {
		s.cookie = cookieSet
	}
}

// persistent reports whether the browser is to keep the cookie when it is
// closed.
func (s *Session) persistent() bool {
	switch {
	case s.loaded.flags&flagPersist != 0:
		return true
	case s.loaded.flags&flagTransient != 0:
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

// lose makes s what is left of a session that ended during the request.
func (s *Session) lose(why error) {
	changes, changed, want := s.vals.changes, s.changed, s.want
	cred := s.cred
	s.startOver()
	s.cred, s.known = cred, true
	s.vals.changes, s.changed, s.want = changes, changed, want
	s.lost = why
}

// newHead returns the head to store, with a new commit ID.
func (s *Session) newHead(now settings, cred *credentials) head {
	h := head{
		hash:     cred.hash(),
		commit:   newCommit(),
		renewed:  s.loaded.renewed,
		idle:     now.idle,
		absolute: now.absolute,
		label:    []byte(now.label),
	}
	h.flags = now.persist
	if s.changed&changedSecret != 0 {
		h.renewed = max(time.Now().UnixMilli(), s.loaded.renewed)
	}
	return h
}

// create stores a new session.
func (s *Session) create(ctx context.Context) error {
	if s.sent {
		s.vals.reset(body{}, s.m.cfg.MaxBytes)
		s.changed = 0
		return ErrHeadersSent
	}
	tries := attempt{deadline: time.Now().Add(s.m.cfg.StoreTimeout)}
	for collisions := 0; ; collisions++ {
		s.ensureID()
		now := s.settings()
		h := s.newHead(now, &s.cred)
		data, plain, err := encodeRecord(&s.cred, now.user, &h, &s.vals.base, s.vals.changes, s.m.seal)
		if err != nil {
			return err
		}
		rec := backend.Record{ID: s.cred.id(), User: now.user, Data: data}
		expires := s.m.expiry(&s.cred, now.idle, now.absolute)
		rec.Expires = time.UnixMilli(expires)
		rec.Version = 1
		err = s.m.store.Create(ctx, rec)
		if err != nil && !errors.Is(err, backend.ErrExists) {
			if definite(err) || tries.late(ctx) {
				return s.m.failed("create", err)
			}
			err = s.createdAfterAll(ctx, err, rec, &h)
		}
		if errors.Is(err, backend.ErrExists) && collisions < maxCollisions {
			s.known = false // another ID; whoever has this one keeps it
			continue
		}
		if err != nil {
			return s.m.failed("create", err)
		}
		s.m.stats.add(statCreates, &s.cred)
		s.exists = true
		s.stored(rec, h, plain)
		s.cookie = cookieSet
		s.hook(s.m.cfg.Hooks.Created, now.user)
		return s.trim(ctx, now.user)
	}
}

// createdAfterAll finds out whether a Create that failed was done all the
// same, its reply lost; if it was not, it is tried once more.
func (s *Session) createdAfterAll(ctx context.Context, failure error, rec backend.Record, h *head) error {
	there, err := s.m.store.Load(ctx, rec.ID)
	if errors.Is(err, backend.ErrNotFound) {
		err = s.m.store.Create(ctx, rec)
		if !errors.Is(err, backend.ErrExists) {
			return err
		}
		there, err = s.m.store.Load(ctx, rec.ID) // the first one was on its way
	}
	if err != nil {
		return failure
	}
	if got, err := parseHead(there.Data); err == nil && got.commit == h.commit && got.hash == h.hash {
		return nil
	}
	return backend.ErrExists
}

// definite reports whether a store's error says for sure that nothing was
// written.
func definite(err error) bool {
	return errors.Is(err, backend.ErrTooLarge) || errors.Is(err, backend.ErrUser) || errors.Is(err, backend.ErrClosed)
}

// stored makes s what it is after a successful write.
func (s *Session) stored(rec backend.Record, h head, plain body) {
	s.version, s.user, s.loaded = rec.Version, rec.User, h
	s.expires = rec.Expires.UnixMilli()
	s.vals.reset(plain, s.m.cfg.MaxBytes)
	s.changed, s.want = 0, settings{}
}

// hook calls a hook with the session's ID when mu is free.
func (s *Session) hook(f func(id, user string), user string) {
	if f != nil {
		id := s.cred.id().String()
		s.later(func() { f(id, user) })
	}
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
	tries := attempt{exact: fn != nil, deadline: time.Now().Add(s.m.cfg.StoreTimeout)}
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
	if err := vals.fits(); err != nil {
		return true, err
	}
	if s.changed&changedSecret == 0 {
		s.next = s.cred
	}
	rec, plain, h, err := s.encode(&s.next, vals, tries)
	if err != nil {
		return true, err
	}
	if rec.Expires.UnixMilli() <= time.Now().UnixMilli() && !s.noTouch {
		// The absolute timeout has passed meanwhile, unless another request
		// has prolonged the session: then this is a conflict.
		err = s.m.deleteVersion(ctx, &doomed{s.cred, s.version})
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
func (s *Session) encode(next *credentials, vals *Values, tries *attempt) (backend.Record, body, head, error) {
	now := s.settings()
	h := s.newHead(now, next)
	if tries.commit != 0 {
		h.commit = tries.commit
	}
	tries.commit = h.commit
	data, plain, err := encodeRecord(next, now.user, &h, &vals.base, vals.changes, s.m.seal)
	expires := s.m.expiry(&s.cred, now.idle, now.absolute)
	shorten := s.changed&(changedIdle|changedAbsolute) != 0
	if s.noTouch && !shorten {
		expires = s.expires
	}
	if !shorten {
		expires = max(expires, s.expires)
	}
	rec := backend.Record{
		ID: s.cred.id(), Version: s.version, User: now.user, Data: data,
		Expires: time.UnixMilli(expires), Shorten: shorten,
	}
	return rec, plain, h, err
}

// updated takes in a successful update.
func (s *Session) updated(rec backend.Record, h head, plain body, vals *Values) {
	s.m.stats.add(statUpdates, &s.cred)
	renewed := s.changed&changedSecret != 0
	moved := rec.Expires.UnixMilli() > s.expires
	lifetime := s.changed&(changedPersist|changedIdle|changedAbsolute) != 0
	wasPersistent := s.persistent()
	s.cred = s.next
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
		return true, s.lostUpdate(tries)
	case definite(err), tries.uncertain == maxUncertain, tries.late(ctx):
		return true, s.m.failed("update", err)
	default:
		tries.uncertain++
		tries.doubt = version
	}
	newest, fetchErr := s.fetch(ctx, &s.next, tries.commit)
	switch {
	case s.lost != nil:
		return true, s.lostUpdate(tries)
	case fetchErr != nil && errors.Is(err, backend.ErrConflict):
		return true, fetchErr
	case fetchErr != nil:
		return true, s.m.failed("update", err)
	case newest.head.commit == tries.commit: // an earlier try was done, its reply lost
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
		// not ours if it is the newest; if it is not, nobody can tell any more.
		if tries.exact && newest.rec.Version > tries.doubt+1 {
			return true, s.m.failed("update", fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
		}
		tries.doubt = 0
	}
	s.adopt(newest)
	s.vals.rebase(newest.values)
	return false, nil
}

// lostUpdate ends an update of a session that has ended.
func (s *Session) lostUpdate(tries *attempt) error {
	lost := s.lost
	if err := s.dropped(); err != nil || !tries.exact {
		return err
	}
	s.m.stats.add(statDropped, &s.cred)
	return lost
}

// An attempt is what one commit has been through.
type attempt struct {
	exact     bool   // it must not be done twice: it is a read-modify-write
	commit    uint64 // its ID
	conflicts int
	uncertain int    // errors that may hide a success
	doubt     uint64 // the version named by the last of those; 0 when it is settled
	deadline  time.Time
}

// late reports whether there is no time for another try.
func (a *attempt) late(ctx context.Context) bool {
	return ctx.Err() != nil || !time.Now().Before(a.deadline)
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

// remove deletes what Destroy was called on. A request that holds an old
// token cannot: the record goes only if its secret is still the one that this
// request came with, in one atomic step.
func (s *Session) remove(ctx context.Context) error {
	if s.doomed == nil {
		return nil
	}
	err := s.m.removeVersion(ctx, s.doomed)
	switch {
	case err == nil:
		s.m.stats.add(statDeletes, &s.doomed.cred)
		if f := s.m.cfg.Hooks.Destroyed; f != nil {
			id := s.doomed.cred.id().String()
			s.later(func() { f(id, ReasonDestroyed) })
		}
		s.cookie = cookieRemove
	case errors.Is(err, backend.ErrNotFound):
		// Somebody else ended it: the cookie is theirs to change.
	case errors.Is(err, ErrSuperseded):
		// Somebody else renewed it. What was Set after Destroy would need a
		// cookie that replaces theirs.
		if s.changed&changedSecret == 0 {
			s.cred, s.known, s.lost = s.doomed.cred, true, ErrSuperseded
		}
	default:
		s.cookie = cookieRemove // the browser shall forget it all the same
		return s.m.failed("destroy", err)
	}
	s.doomed = nil
	return nil
}
