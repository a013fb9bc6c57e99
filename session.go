package session

import (
	"context"
	"crypto/cipher"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/requestmethod"
)

// The errors that a caller may want to tell apart, with errors.Is.
var (
	// ErrNoMiddleware says that the request did not pass the middleware.
	ErrNoMiddleware = errors.New("session: no session in this context: mount session.Middleware on the router, before this handler")

	// ErrDisabled says that sessions are switched off by configuration.
	ErrDisabled = errors.New("session: sessions are off: Config.Disabled is set (sessionon is not true in the configuration file)")

	// ErrSkipped says that Config.Skip kept sessions out of this request.
	ErrSkipped = errors.New("session: Config.Skip returned true for this request")

	// ErrReleased says that the session was used after its handler returned.
	ErrReleased = errors.New("session: used after it was released: its handler has returned")

	// ErrHeadersSent says that a change needs a new cookie, which cannot be
	// sent any more, or that the client has got the error response already.
	// Nothing was stored.
	ErrHeadersSent = errors.New("session: the response's header is sent already: change the session before the first byte of the body")

	// ErrDestroyed says that the session ended while this request ran: by a
	// logout, a revocation, or its expiry. What this request did is dropped.
	ErrDestroyed = errors.New("session: it was destroyed, or expired, during this request")

	// ErrSuperseded says that another request renewed the session, so this
	// one holds an old token. What it did is dropped.
	ErrSuperseded = errors.New("session: its token was replaced by another request")

	// ErrUnavailable says that the session could not be loaded, and that
	// Config.OnOutage let the handler run all the same.
	ErrUnavailable = errors.New("session: the store did not answer, so this session keeps nothing")

	// ErrNested says that a session was to be changed or stored from below:
	// an Update by the function of an Update, any change by what runs while
	// it is loaded, a Save, Reload or Update by what runs while it is stored
	// (a store, its driver, a tracer, a logger). It also says that one of
	// these waited for another of the same session for too long. Nothing was
	// stored; changes made before are kept for the next try.
	ErrNested = errors.New("session: called from within an Update, a load or a store call of the same session, or waited too long for one")

	// ErrOutcomeUnknown says that the store's reply to an Update was lost
	// and that others have written since: it may have been stored or not.
	ErrOutcomeUnknown = errors.New("session: the store's reply was lost, the update may be stored or not")

	// ErrClosed says that the manager was closed.
	ErrClosed = errors.New("session: the manager is closed")
)

// A Session is one browser's values during one request. All methods may be
// called by any number of goroutines, until the handler returns; after that
// they do nothing but say so in the log.
//
// What a handler does is kept here and stored in one go before the first byte
// of the answer leaves, and merged with what other requests stored meanwhile.
// A new session is stored when it has a value or a user: a label, a timeout or
// SetPersistent alone do not store it.
type Session struct {
	m *Manager
	x *exchange

	// mu guards all below. It is held for moments only; see turn.go.
	mu sync.Mutex

	busy    bool          // somebody makes store calls for this session
	freed   chan struct{} // closed when that ends; nil if nobody waits for it
	loading bool          // it is not known yet who it is
	epoch   uint          // Destroy begins a new one: what is being stored then is no longer this session

	cred    record.Credentials
	next    record.Credentials // what cred will be: after Renew, or once it is verified
	known   bool               // cred is set
	exists  bool               // the store has the record, as far as known
	version uint64
	expires int64       // Unix ms, as stored
	at      int64       // Unix ms, when it was loaded
	loaded  record.Head // as stored
	seal    cipher.AEAD // of cred; nil until it is needed
	user    string

	vals    record.Changes
	want    settings // what this request changed of the head
	changed changedBits
	doomed  *doomed             // what Destroy has to remove
	absent  *record.Credentials // what the store did not find, if it is a backend.Confirmer
	cookie  cookieState
	err     error // the first change that cannot be stored: nothing is
	over    error // the client got the error response: nothing more is stored
	refused error // a change that was refused; the others are stored
	lost    error // ErrDestroyed or ErrSuperseded: changes are dropped
	late    bool  // lost since it was loaded: its token was replaced moments before
	tried   bool  // ...and a change was asked for, be it to take away what it does not see

	used     bool // by the handler: the answer varies with the cookie
	released bool
	sent     bool // the response's header has left
	noTouch  bool
	carries  bool  // the response that is about to leave may bring the cookie again
	live     bool  // the request came with its token
	altered  bool  // the request has changed something, or taken it
	outage   bool  // it could not be loaded: Config.OnOutage is OutageAnonymous
	broken   bool  // Save failed: no cookie goes out for what could not be stored
	reason   error // why there is no session here at all: see detached

	// The header of a response whose session was made by Manager.Start: cookies
	// go there at once. Only methods that change the session touch it.
	started http.Header

	locals   map[any]any   // of this request, never stored
	after    []func()      // to run once neither mu nor busy is held
	updating chan struct{} // held by the one Update that runs

	nested    bool // started again before it was released
	candidate bool // of an adoption, which ends no session of the user before it is certain
	changing  bool // by the method that has mu now

	complaining bool // complain is logging
	quiet       bool // reading it is no reason for it
}

// settings are the parts of the head that a handler can change.
type settings struct {
	user           string
	label          string
	idle, absolute time.Duration
	persist        byte // record.FlagPersist, record.FlagTransient or neither
}

type changedBits uint8

const (
	changedUser changedBits = 1 << iota
	changedLabel
	changedIdle
	changedAbsolute
	changedPersist
	changedSecret // Renew
	changedOwner  // SetUser took it from another user: nothing from before is kept
)

// doomed is a stored session that Destroy was called on.
type doomed struct {
	cred    record.Credentials
	version uint64 // 0: the store did not find it, and is to confirm that
}

type cookieState uint8

const (
	cookieAlone cookieState = iota
	cookieSet
	cookieRemove
	cookieSlide // the same token again, for a longer time
)

// detached returns a session for where there is none. It says why.
func detached(reason error) *Session { return &Session{reason: reason} }

// begin locks s for a method that may be called at any time, from above and
// from below. It reports false, after saying so in the log, if there is no
// session to work on.
func (s *Session) begin(method string) bool {
	s.mu.Lock()
	s.used = true
	if err := s.gone(); err != nil {
		if !s.quiet {
			s.complain(method, err)
		}
		s.unlock()
		return false
	}
	return true
}

// beginChange is begin for a method that changes something. That it cannot is
// told even where nobody has to be told that there is nothing to read.
func (s *Session) beginChange(method string) bool {
	s.mu.Lock()
	s.used = true
	if err := s.gone(); err != nil {
		s.complain(method, err)
		s.unlock()
		return false
	}
	s.changing = true
	if s.loading { // what is changed here would be lost, or belong to another session
		s.refused = ErrNested
		s.complain(method, ErrNested)
		s.unlock()
		return false
	}
	return true
}

// gone returns why there is no session here, if there is none.
func (s *Session) gone() error {
	if s.reason != nil {
		return s.reason
	}
	if s.released {
		return ErrReleased
	}
	return nil
}

// complain logs that method was called in vain. A logger that calls it again,
// to add the user to its lines, say, is not answered with another line.
func (s *Session) complain(method string, err error) {
	if s.complaining {
		return
	}
	s.complaining = true
	logger := slog.Default()
	if s.m != nil {
		logger = s.m.cfg.Logger
	}
	ctx := context.WithValue(context.Background(), sessionKey{}, quiet)
	if s.x != nil {
		ctx = context.WithoutCancel(s.x)
	}
	s.later(func() {
		defer func() {
			s.mu.Lock()
			s.complaining = false
			s.mu.Unlock()
		}()
		logger.LogAttrs(ctx, slog.LevelError, "session: unusable session used", slog.String("call", method), slog.Any("error", err))
	})
}

// quiet is the session that a logger finds in the context of a complaint.
var quiet = &Session{reason: ErrNoMiddleware, quiet: true}

// unlock ends a method: it frees mu and then runs what must not run under it.
// While somebody makes store calls for s, that is left to them.
func (s *Session) unlock() {
	if s.changing {
		s.changing = false
		s.announce()
	}
	if s.busy || s.after == nil {
		s.mu.Unlock()
		return
	}
	after := s.after
	s.after = nil
	s.mu.Unlock()
	for _, f := range after {
		f()
	}
}

// later runs f when mu is free.
func (s *Session) later(f func()) { s.after = append(s.after, f) }

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
	s.m.cfg.Logger.LogAttrs(context.WithoutCancel(s.x), slog.LevelWarn, "session: a value cannot be decoded, it reads as absent",
		slog.String("id", s.ID()), slog.String("key", shortKey(key)), slog.Any("error", err))
}

// Set stores value under key. It is encoded now, so changing it afterwards has
// no effect. Built-in types keep their exact type, everything else becomes
// JSON, as encoding/json does it: unexported fields are not kept. A value that
// cannot be stored, or makes the session larger than MaxBytes, fails the
// request when the session is stored: with an answer of status 500, a log line
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
		s.keepError(valueError(key, value, err))
	}
}

// refuses reports whether a change has no place to go, and says so.
func (s *Session) refuses(method string) bool {
	switch {
	case s.refusesAll():
		return true
	case s.lost != nil:
		return false // it is taken, dropped when stored, and counted there
	case s.sent && !s.exists:
		s.refuse(method)
		return true
	}
	return false
}

// refusesAll reports whether no change has a place to go, be it only to take
// something away.
func (s *Session) refusesAll() bool {
	if s.outage {
		s.keepError(ErrUnavailable) // the response must not say that it was stored
		return true
	}
	s.tried = s.late
	return s.over != nil // which was logged, and which Err and Save return
}

// refuse turns down a change that needs a cookie when it is too late for one.
func (s *Session) refuse(method string) {
	s.refused = ErrHeadersSent
	s.m.stats.add(statErrors, &s.cred)
	s.complain(method, ErrHeadersSent)
}

// Delete removes key; that there is none is no error.
func (s *Session) Delete(key string) {
	if !s.beginChange("Delete") {
		return
	}
	defer s.unlock()
	if !s.refusesAll() {
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
	if !s.refusesAll() {
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

// Pop returns the value of key and removes it: what several requests pop at
// once, each may see; where exactly one must, use Update.
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
	if s.refusesAll() {
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
	if s.locals == nil {
		s.locals = make(map[any]any)
	}
	s.locals[key] = value
}

// Local returns what SetLocal kept under key, or nil.
func (s *Session) Local(key any) any {
	if !s.begin("Local") {
		return nil
	}
	defer s.unlock()
	if _, ok := key.(requestmethod.Key); ok && s.x != nil {
		return s.x.request.Method
	}
	return s.locals[key]
}
