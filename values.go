package session

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/chisession/session/internal/caller"
	"github.com/chisession/session/internal/local"
	"github.com/chisession/session/internal/record"
)

// Get returns the value of key, nil if there is none. Built-in types, time.Time
// and time.Duration come back exactly as they were Set; so do the usual slices
// and maps of these ([]string, []int, map[string]string, map[int]int64),
// map[string]any and []any with all that is in them, and types that were
// [Register]ed. Others, structs
// and types of your own such as type Role string, come in the generic form of
// JSON, for which [Get] with a type parameter is better. What it returns is a copy.
func (s *Session) Get(key string) any {
	encoded := s.lookup(key)
	if encoded == nil {
		return nil
	}
	value, err := record.Decode(encoded)
	if err != nil {
		s.unreadable(key, err)
		return nil
	}
	if record.IsGeneric(encoded) {
		s.warnGeneric(key)
	}
	return value
}

// A Getter is what [Get] reads from: a *[Session], or the *[Values] that an
// Update works on.
type Getter interface {
	// Get returns the value of key in the Go type it was Set with.
	Get(key string) any

	lookup(key string) []byte
	unreadable(key string, err error)
}

// Get returns the value of key as a T, structs included, and whether there is
// one that is a T. It needs no registration. A built-in type comes back only
// as itself, or as a type defined from it (type Role string); what was stored
// as JSON, and slices and maps, as any T that encoding/json can decode it into. If it cannot, after
// a deploy that changed the type, say, that is logged and counted, and the
// value reads as absent.
func Get[T any](from Getter, key string) (T, bool) {
	encoded := from.lookup(key)
	if encoded == nil {
		var zero T
		return zero, false
	}
	value, err := record.DecodeTo[T](encoded)
	if err != nil {
		if record.IsText(encoded) {
			from.unreadable(key, err)
		}
		var zero T
		return zero, false
	}
	return value, true
}

// lookup returns the encoded value of key. Encoded values are never changed,
// so it can be read without the lock.
func (s *Session) lookup(key string) []byte {
	if !s.begin("Get") {
		return nil
	}
	encoded := s.vals.Find(key)
	s.mu.Unlock()
	return encoded
}

func (s *Session) unreadable(key string, err error) {
	s.m.stats.add(statUnreadable, nil)
	s.x.log(slog.LevelWarn, "session: a value cannot be decoded, it reads as absent",
		slog.String("id", s.ID()), slog.String("key", shortKey(key)), slog.Any("caller", caller.Here()), slog.Any("error", err))
}

// Set stores value under key. It is encoded now, so changing it afterwards has
// no effect. Built-in types keep their exact type, everything else becomes
// JSON, as encoding/json does it: unexported fields are not kept. A value that
// cannot be stored, or makes the session larger than MaxBytes, fails the
// request when the session is stored: with a response of status 500, a log line
// that names key and type, and nothing stored. [Session.Err] tells at once.
func (s *Session) Set(key string, value any) {
	text, err := record.Marshal(value) // may call methods of value's type, which may use s
	if !s.beginChange("Set") {
		return
	}
	defer s.unlock()
	if s.refuses("Set") {
		return
	}
	if err == nil {
		err = s.vals.Set(key, value, text)
	}
	if err != nil {
		s.keepError("Set", valueError(key, value, err))
	}
}

// refuses reports whether a change has no place to go, and says so.
func (s *Session) refuses(method string) bool {
	switch {
	case s.refusesAll(method):
		return true
	case s.trouble.lost != nil:
		return false // it is taken, dropped when stored, and counted there
	case s.phase == phaseSent && !s.rec.Exists:
		s.refuse(method)
		return true
	}
	return false
}

// refusesAll reports whether no change has a place to go, be it only to take
// something away.
func (s *Session) refusesAll(method string) bool {
	if s.trouble.outage {
		s.keepError(method, ErrUnavailable) // the response must not say that it was stored
		return true
	}
	s.trouble.tried = s.trouble.late
	return s.trouble.over != nil // which was logged, and which Err and Save return
}

// refuse turns down a change that needs a cookie when it is too late for one.
func (s *Session) refuse(method string) {
	s.trouble.refused = ErrHeadersSent
	s.m.stats.add(statErrors, &s.rec.Cred)
	s.complain(ignored, method, ErrHeadersSent)
}

// Delete removes key; that there is none is no error.
func (s *Session) Delete(key string) {
	if !s.beginChange("Delete") {
		return
	}
	defer s.unlock()
	if !s.refusesAll("Delete") {
		s.vals.Delete(key)
	}
}

// Clear removes all keys that this request can see. One that another request
// sets at the same time stays.
func (s *Session) Clear() {
	if !s.beginChange("Clear") {
		return
	}
	defer s.unlock()
	if !s.refusesAll("Clear") {
		s.vals.Clear()
	}
}

// Has reports whether key is there, even if its value is nil.
func (s *Session) Has(key string) bool {
	if !s.begin("Has") {
		return false
	}
	defer s.unlock()
	return s.vals.Find(key) != nil
}

// Keys returns all keys, sorted.
func (s *Session) Keys() []string {
	if !s.begin("Keys") {
		return nil
	}
	defer s.unlock()
	return s.vals.Keys()
}

// Len returns the number of keys.
func (s *Session) Len() int {
	if !s.begin("Len") {
		return 0
	}
	defer s.unlock()
	return s.vals.Len()
}

// Pop returns the value of key and removes it. Several requests that pop at once
// may each get the value; where only one may, use Update.
func (s *Session) Pop(key string) any {
	encoded := s.pop(key)
	if encoded == nil {
		return nil
	}
	value, err := record.Decode(encoded) // may call methods of the value's type
	switch {
	case err != nil:
		s.unreadable(key, err)
	case record.IsGeneric(encoded):
		s.warnGeneric(key)
	}
	return value
}

// pop removes key and returns its encoded value, nil if there is none.
func (s *Session) pop(key string) []byte {
	if !s.beginChange("Pop") {
		return nil
	}
	defer s.unlock()
	if s.refusesAll("Pop") {
		return nil
	}
	encoded := s.vals.Find(key)
	s.vals.Delete(key)
	return encoded
}

// SetLocal keeps value for the rest of this request: it is never stored, costs
// nothing, and stays when the session is destroyed. Package flash keeps its
// messages for the current request there. Keys are compared as those of a
// context are: use a type of your own.
func (s *Session) SetLocal(key, value any) {
	if !s.begin("SetLocal") {
		return
	}
	defer s.unlock()
	s.keepLocal(key, value)
}

func (s *Session) keepLocal(key, value any) {
	if s.locals == nil {
		s.locals = make(map[any]any)
	}
	s.locals[key] = value
}

// localOnce returns what is kept under once.Key, and keeps it if nothing is.
func (s *Session) localOnce(once local.Once) any {
	value, ok := s.locals[once.Key]
	if !ok {
		value = once.New()
		s.keepLocal(once.Key, value)
	}
	return value
}

// Local returns what SetLocal kept under key, or nil.
func (s *Session) Local(key any) any {
	if !s.begin("Local") {
		return nil
	}
	defer s.unlock()
	switch key := key.(type) {
	case local.Method:
		return s.x.request.Method
	case local.Once:
		return s.localOnce(key)
	}
	return s.locals[key]
}

// Values are the values of one session while [Session.Update] works on them.
// They are valid until its function returns, and not safe for concurrent use.
type Values struct {
	c   record.Changes
	err error // the first value that could not be stored
}

// Format prints the number of values, whatever the verb; never a value.
func (v Values) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "session.Values(%d)", v.Len()) }

// Get returns the value of key in the Go type it was Set with (see
// [Session.Get]), nil if there is none or it cannot be decoded.
func (v *Values) Get(key string) any {
	value, err := record.Decode(v.c.Find(key))
	if err != nil {
		return nil
	}
	return value
}

// lookup and unreadable make Values a [Getter].
func (v *Values) lookup(key string) []byte { return v.c.Find(key) }

func (v *Values) unreadable(string, error) {} // the function of Update decides what to do about it

// Has reports whether key is there, even if its value is nil.
func (v *Values) Has(key string) bool { return v.c.Find(key) != nil }

// Set stores value under key. A value that cannot be stored makes Update fail.
func (v *Values) Set(key string, value any) {
	text, err := record.Marshal(value)
	if err == nil {
		err = v.c.Set(key, value, text)
	}
	if err != nil {
		v.fail(valueError(key, value, err))
	}
}

// fail makes Update return err, unless it has failed before.
func (v *Values) fail(err error) {
	if v.err == nil {
		v.err = err
	}
}

// Delete removes key; that there is none is no error.
func (v *Values) Delete(key string) { v.c.Delete(key) }

// Clear removes all keys.
func (v *Values) Clear() { v.c.Clear() }

// Keys returns all keys, sorted.
func (v *Values) Keys() []string { return v.c.Keys() }

// Len returns the number of keys.
func (v *Values) Len() int { return v.c.Len() }

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
	s.reply.used = true
	if err := s.gone(); err != nil {
		return err
	}
	if s.refusesAll("Update") {
		return firstError(s.trouble.over, ErrUnavailable)
	}
	if err := firstError(s.trouble.err, s.trouble.lost); err != nil {
		return err
	}
	if s.m.closed.Load() {
		return s.m.failed("update", ErrClosed)
	}
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	if err := firstError(s.remove(ctx), s.trouble.lost); err != nil {
		return err
	}
	if again, err := s.admit(ctx); err != nil || again {
		return firstError(err, ErrDestroyed)
	}
	if s.rec.Exists {
		err := s.update(ctx, fn)
		if err != errAfresh {
			return err
		}
	}
	return s.create(ctx, fn)
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

// enter waits for the turn of an Update.
func (s *Session) enter() error {
	s.mu.Lock()
	if s.work.updating == nil {
		s.work.updating = make(chan struct{}, 1)
	}
	turn := s.work.updating
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

func (s *Session) leave() { <-s.work.updating }

// valueError says why value cannot be stored under key.
func valueError(key string, value any, err error) error {
	return &ValueError{Key: key, Type: fmt.Sprintf("%T", value), Err: tooLarge(err)}
}

// tooLarge makes the size error of package record an [ErrTooLarge].
func tooLarge(err error) error {
	if size, ok := errors.AsType[*record.SizeError](err); ok {
		return fmt.Errorf("%w: %w", ErrTooLarge, size)
	}
	return err
}

// fits returns an error if what is to be stored has become too large.
func fits(vals *record.Changes) error {
	key, kind, err := vals.Fits()
	if err != nil {
		return &ValueError{Key: key, Type: kind, Err: tooLarge(err)}
	}
	return nil
}

// Register makes Get return values of value's type as that type, where it
// would return the generic form of JSON (maps, slices, float64). Get[T] needs
// no registration. Call it from an init function, once for each type, with a
// value of exactly the type that is Set; a pointer type is another type.
//
// The type's name is stored with its values. A program that does not know the
// name gets the generic form and keeps the value intact. It panics if value
// is nil, of a built-in type, which needs none, or of one that cannot be stored.
func Register(value any) { record.Register(value) }
