package session

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/chisession/session/internal/caller"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/stored"
	"github.com/chisession/session/internal/watch"
)

// A Session is one browser's values during one request. All methods may be
// called by any number of goroutines, until the handler returns; after that
// they do nothing but say so in the log.
//
// What a handler does is kept here and stored in one go before the first byte
// of the response leaves, and merged with what other requests stored meanwhile.
// A new session is stored when it has a value or a user: a label, a timeout or
// SetPersistent alone do not store it.
type Session struct {
	m    *Manager
	x    *exchange
	none *absence // if there is no session here at all: see detached

	// mu guards all below. It is held for moments only; see claim.
	mu sync.Mutex

	rec     stored.Copy    // its record, as far as this request knows it
	vals    record.Changes // the values in it, with what this request did to them
	want    wish           // what else it is to become
	trouble trouble        // why that cannot be, or cannot all be
	phase   phase          // how far the request has come
	reply   reply          // what its response has to say of the session
	lines   lines          // which of the header's lines say it
	work    work           // who makes store calls for it
	start   byStart        // what Manager.Start adds
	locals  map[any]any    // of this request, never stored
	watch   *watch.Watch   // for who waits for its end; nil if nobody does: see Done
}

// A phase is how far a request has come.
type phase uint8

const (
	phaseOpen     phase = iota
	phaseLoading        // it is not known yet who it is
	phaseSent           // the response's header has left
	phaseReleased       // the handler has returned
)

// An absence is why there is no session.
type absence struct {
	reason error
	quiet  bool // reading it is no reason for a line in the log
}

// A wish is what a request wants of its session, besides values.
type wish struct {
	changed changedBits // which settings, and other changes
	noTouch bool

	to      *settings           // those that are changed; nil if none is
	next    *record.Credentials // after Renew
	removal *removal            // what Destroy has to remove
	absent  *record.Credentials // what the store did not find, if it is a backend.Confirmer
}

// set returns where the setting of bit is to be put.
func (w *wish) set(bit changedBits) *settings {
	if w.to == nil {
		w.to = &settings{}
	}
	w.changed |= bit
	return w.to
}

// forget drops all changes.
func (w *wish) forget() { w.to, w.changed = nil, 0 }

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

// A removal is a stored session that Destroy was called on.
type removal struct {
	cred    record.Credentials
	version uint64 // 0: the store did not find it, and is to confirm that
	user    string
}

// Trouble is why something that a request wants does not happen.
type trouble struct {
	err     error // the first change that cannot be stored: nothing is
	over    error // the client got the error response: nothing more is stored
	refused error // a change that was refused; the others are stored
	lost    error // ErrDestroyed or ErrSuperseded: changes are dropped
	late    bool  // lost since it was loaded: its token was replaced moments before
	tried   bool  // ...and a change was asked for, be it to take away what it does not see
	outage  bool  // it could not be loaded: Config.OnOutage is OutageAnonymous
	broken  bool  // the last commit failed: no cookie goes out for what could not be stored
}

// A reply is what a response has to say of the session.
type reply struct {
	cookie  cookieState
	used    bool // by the handler: the response varies with the cookie
	live    bool // the request came with its token
	foreign bool // ...but another origin's page sent it, unproven: see guard.Verdict
	altered bool // the request has changed something, or taken it
	carries bool // the response that is about to leave may bring the cookie again
	token   bool // its header has a token, or takes one away
}

// Lines are what a session has put into the header of its response: memory for
// lines that are the only ones of their name.
type lines struct {
	vary    [1]string
	caching [1]string // Cache-Control
	cookie  [1]string // the token, or the line that has it
}

type cookieState uint8

const (
	cookieAlone cookieState = iota
	cookieSet
	cookieRemove
	cookieSlide // the same token again, for a longer time
)

// Work is who makes store calls for a session, and who waits.
type work struct {
	busy        bool          // somebody makes them
	changing    bool          // by the method that has mu now
	complaining bool          // complain is logging
	epoch       uint32        // Destroy begins a new one: what is being stored then is no longer this session
	freed       chan struct{} // closed when busy ends; nil if nobody waits for it
	updating    chan struct{} // held by the one Update that runs
	after       func()        // to run once neither mu nor busy is held; nil if there is nothing
}

// A byStart is what is different with a session of Manager.Start.
type byStart struct {
	// Its token goes into this header at once; nil behind the middleware. Only
	// methods that change the session touch it.
	header    http.Header
	nested    bool // started again before it was released
	candidate bool // of an adoption, which ends no session of the user before it is certain
}

// detached returns a session for where there is none. It says why.
func detached(reason error) *Session { return &Session{none: &absence{reason: reason}} }

// begin locks s for a method that may be called at any time, from above and
// from below. It reports false, after saying so in the log, if there is no
// session to work on.
func (s *Session) begin(method string) bool {
	s.mu.Lock()
	s.reply.used = true
	if err := s.gone(); err != nil {
		if s.none == nil || !s.none.quiet {
			message := "session: read without a session"
			if method == "SetLocal" {
				message = ignored
			}
			s.complain(message, method, err)
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
	s.reply.used = true
	if err := s.gone(); err != nil {
		s.complain(ignored, method, err)
		s.unlock()
		return false
	}
	s.work.changing = true
	if s.phase == phaseLoading { // what is changed here would be lost, or belong to another session
		s.trouble.refused = ErrNested
		s.complain(ignored, method, ErrNested)
		s.unlock()
		return false
	}
	return true
}

// gone returns why there is no session here, if there is none.
func (s *Session) gone() error {
	if s.none != nil {
		return s.none.reason
	}
	if s.phase == phaseReleased {
		return ErrReleased
	}
	return nil
}

// ignored is the message for changes that go nowhere.
const ignored = "session: change ignored"

// complain logs that method was called in vain, and by whom. A logger that calls
// it again, to add the user to its lines, say, does not get another line.
func (s *Session) complain(message, method string, err error) {
	if s.work.complaining {
		return
	}
	s.work.complaining = true
	logger := slog.Default()
	if s.m != nil {
		logger = s.m.cfg.Logger
	}
	ctx := context.WithValue(context.Background(), sessionKey{}, quiet)
	attrs := (&callError{err, method, caller.Here()}).attrs()
	if s.x != nil {
		ctx = (*callContext)(s.x)
		attrs = append(attrs, requestAttrs(s.x.request)...)
	}
	s.later(func() {
		defer func() {
			s.mu.Lock()
			s.work.complaining = false
			s.mu.Unlock()
		}()
		logger.LogAttrs(ctx, slog.LevelError, message, append(attrs, slog.Any("error", err))...)
	})
}

// quiet is the session that a logger finds in the context of a complaint.
var quiet = &Session{none: &absence{ErrNoMiddleware, true}}

// unlock ends a method: it frees mu and then runs what must not run under it.
// While somebody makes store calls for s, that is left to them.
func (s *Session) unlock() {
	if s.work.changing {
		s.work.changing = false
		s.announce()
	}
	if s.work.busy || s.work.after == nil {
		s.mu.Unlock()
		return
	}
	after := s.work.after
	s.work.after = nil
	s.mu.Unlock()
	after()
}

// later runs f when mu is free, after what was to run then already.
func (s *Session) later(f func()) {
	if before := s.work.after; before != nil {
		s.work.after = func() { before(); f() }
		return
	}
	s.work.after = f
}

// ID returns the session's public ID: fit for logs and lists, it opens
// nothing. It stays the same across Renew.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.unlock()
	s.reply.used = true
	if s.none != nil || s.phase == phaseLoading {
		return ""
	}
	if s.phase != phaseReleased {
		s.ensureID()
	}
	if !s.rec.Known {
		return ""
	}
	return s.rec.Cred.ID().String()
}

func (s *Session) ensureID() {
	if !s.rec.Known {
		s.rec.Cred, s.rec.Known = record.NewCredentials(time.Now()), true
	}
}

// Token returns the secret that the browser holds, empty if the session is
// not stored. After Renew and SetUser it is still the old one until the session
// is stored: call Save first. It is for transports of your own; whoever has it
// has the session, so never log it.
func (s *Session) Token() string {
	if !s.begin("Token") {
		return ""
	}
	defer s.unlock()
	if !s.rec.Exists {
		return ""
	}
	return s.rec.Cred.Token()
}

// IsNew reports whether the session has not been stored yet.
func (s *Session) IsNew() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply.used = true
	return !s.rec.Exists
}

// CreatedAt returns when the session was created, to the millisecond; the
// zero time if it is not stored yet.
func (s *Session) CreatedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply.used = true
	if !s.rec.Exists {
		return time.Time{}
	}
	return record.CreatedAt(s.rec.Cred.ID())
}

// ExpiresAt returns when the session ends if nothing more happens, as stored;
// the zero time if it is not stored yet.
func (s *Session) ExpiresAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply.used = true
	if !s.rec.Exists {
		return time.Time{}
	}
	return time.UnixMilli(s.rec.Expires)
}

// Unavailable reports whether the session could not be loaded and
// Config.OnOutage is OutageAnonymous.
func (s *Session) Unavailable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply.used = true
	return s.trouble.outage
}

// Err returns the error of the first change of this request that cannot be stored,
// or nil.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.gone(); err != nil {
		return err
	}
	return cmp.Or(s.trouble.err, s.trouble.refused, s.trouble.over, s.trouble.lost)
}

// Format prints the session's public ID and nothing else, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) {
	if s == nil || s.none != nil {
		fmt.Fprint(f, "session(none)")
		return
	}
	fmt.Fprintf(f, "session(%s)", s.ID())
}

// LogValue is what a log shows of s: its public ID.
func (s *Session) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// MarshalJSON encodes the session's public ID.
func (s *Session) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", fmt.Sprint(s)), nil }

// A session is used from above and from below. From above by the handler, in
// any number of goroutines; from below by whatever runs while the session is
// loaded or stored and gets its context: the store, its driver, a tracer, a
// logger. Two things keep them apart:
//
//   - mu guards the fields, and is held for moments only: no store call, no
//     log line, no Config.On and no method of the application's types runs under
//     it. So every method that only reads works at any time, wherever from.
//   - busy says that somebody makes store calls for this session, and that
//     others who want to have to wait. They wait for a while, not for ever:
//     from below it would never end.
//
// What is changed while the session is being stored is kept, and stored the
// next time: by another Save, when the response begins, or when the handler
// returns.

// nestedAfter is how long Save, Reload and Update wait for store calls of the
// same session that are under way, before they take it that these are waiting
// for them.
const nestedAfter = 900 * time.Millisecond

// claim waits until nobody makes store calls for s, and makes them the
// caller's to make, with mu held. free ends it. If it takes longer than
// patience it is ErrNested, and nothing is held.
func (s *Session) claim(patience time.Duration) error {
	s.mu.Lock()
	if s.work.busy && !s.await(patience) {
		s.unlock()
		return ErrNested
	}
	s.own()
	return nil
}

// own makes the store calls the caller's to make.
func (s *Session) own() {
	s.work.busy = true
	s.vals.Freeze()
}

// await waits with mu released, and reports whether s is free.
func (s *Session) await(patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for s.work.busy {
		if s.work.freed == nil {
			s.work.freed = make(chan struct{})
		}
		freed, timeout := s.work.freed, false
		s.outside(func() {
			select {
			case <-freed:
			case <-timer.C:
				timeout = true
			}
		})
		if timeout {
			return !s.work.busy
		}
	}
	return true
}

// yield gives up what claim got, mu stays held.
func (s *Session) yield() {
	s.work.busy = false
	s.vals.Thaw()
	if s.work.freed != nil {
		close(s.work.freed)
		s.work.freed = nil
	}
}

// free ends what claim began.
func (s *Session) free() {
	s.announce()
	s.yield()
	s.unlock()
}

// outside runs f without mu: all that may take time or call back. The fields
// may be others afterwards, but for rec, which only the owner of busy writes:
// and Destroy, which then has made s another session; see epoch.
func (s *Session) outside(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

// patience is how long the middleware waits for a Save or Update that a
// goroutine of the handler left behind. Those end with the store's time-out.
func (m *Manager) patience() time.Duration { return m.cfg.StoreTimeout + nestedAfter }
