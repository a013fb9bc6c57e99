package session

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/stored"
)

// An Event is something that happened to a session, as Config.On is told of it.
// It never has a token or a value. New kinds and fields come in any version, so
// ignore a Kind that you do not know.
type Event struct {
	Kind EventKind `json:"kind"`

	// ID is the session's public ID. That of a rejected token may be invented.
	ID string `json:"id"`

	// User is whose session it is, as it was stored (of an EventFailed and an
	// EventRefused, as it was to be stored); empty for an anonymous one, and where
	// nobody knows: a rejected token (but for ReasonUnproven), changes that were lost, and
	// Manager.Revoke, which ends a session by its ID without loading it.
	User string `json:"user,omitempty"`

	// PreviousUser is, at a login or a logout by SetUser, whose session it was
	// before. At a login it is User where the same user has proven again who it
	// is.
	PreviousUser string `json:"previous_user,omitempty"`

	// Reason is why a session ended, a login was refused, or a token was rejected.
	Reason Reason `json:"reason,omitempty"`

	// Err is what went wrong: see EventFailed, EventUnavailable and EventLost.
	Err error `json:"-"`

	// Method, Path and RemoteAddr are those of the request that it happened in, as
	// the middleware got it: behind a proxy, RemoteAddr is the proxy's, unless a
	// middleware outside of the session's has replaced it. They are empty where
	// there is no such request, as with Manager.Revoke and a context of your own.
	Method     string `json:"method,omitempty"`
	Path       string `json:"path,omitempty"`
	RemoteAddr string `json:"remote_addr,omitempty"`
}

// An EventKind is what happened.
type EventKind string

// The kinds of events. A login of a new visitor is two: EventCreated, EventLogin;
// that of a visitor who had a session EventRenewed, EventLogin.
const (
	// EventCreated: a session was stored for the first time.
	EventCreated EventKind = "created"

	// EventAdopted is EventCreated for a session that package migrate took over
	// from another library, logged in or not. If the old store then refuses to
	// give its session up, the new one is removed again.
	EventAdopted EventKind = "adopted"

	// EventLogin: a SetUser with a name was stored.
	EventLogin EventKind = "login"

	// EventRefused: a SetUser with a name was not stored, as Config.OnMaxPerUser
	// refused it; Reason is ReasonMaxPerUser. User is who was to be logged in.
	EventRefused EventKind = "refused"

	// EventLogout: a SetUser with the empty name was stored. The logout by
	// Destroy is an EventEnded.
	EventLogout EventKind = "logout"

	// EventRenewed: a session got a new token, by Renew or by SetUser.
	EventRenewed EventKind = "renewed"

	// EventEnded: a session was ended, for the Reason ReasonDestroyed,
	// ReasonRevoked, ReasonMaxPerUser or ReasonAbsolute. One that was idle for
	// too long is not reported: it ends in the store, by itself.
	EventEnded EventKind = "ended"

	// EventRejected: a request's token is not that of a session; Reason says why.
	EventRejected EventKind = "rejected"

	// EventLost: a session ended while a request changed it, so the changes are
	// dropped. Err is ErrDestroyed or ErrSuperseded.
	EventLost EventKind = "lost"

	// EventUnavailable: a session could not be loaded, with the store's Err.
	EventUnavailable EventKind = "unavailable"

	// EventFailed: a session could not be stored, with the Err that the
	// response, or the log line, was made from. A refused login is none, but
	// an EventRefused.
	EventFailed EventKind = "failed"
)

// tell tells the program of e, which happened in the request of ctx. It is called
// with no lock held, and ctx goes on when the client has gone.
func (m *Manager) tell(ctx context.Context, e Event) {
	if m.cfg.On == nil {
		return
	}
	if r, ok := ctx.Value(requestKey{}).(*http.Request); ok {
		e.Method, e.RemoteAddr = r.Method, r.RemoteAddr
		if r.URL != nil { // made by hand
			e.Path = r.URL.Path
		}
	}
	m.cfg.On(ctx, e)
}

// tellOf is Manager.tell of something that happened to the session of cred.
func (m *Manager) tellOf(cred *record.Credentials, x *exchange, e Event) {
	if m.cfg.On != nil {
		e.ID = cred.ID().String()
		m.tell((*callContext)(x), e)
	}
}

// tell is Manager.tellOf once mu is free.
func (s *Session) tell(cred *record.Credentials, e Event) {
	if s.m.cfg.On != nil {
		s.tellLater(*cred, e)
	}
}

// tellLater is apart from tell, and not inlined, as its closure moves e to the heap:
// a program without Config.On does not pay for that.
//
//go:noinline
func (s *Session) tellLater(of record.Credentials, e Event) {
	m, x := s.m, s.x
	s.later(func() { m.tellOf(&of, x, e) })
}

// tellCreated tells that a session was stored for the first time.
func (s *Session) tellCreated(out *stored.Outcome, t *try) {
	e := Event{Kind: EventCreated, User: out.Copy.User}
	if s.start.candidate {
		e.Kind = EventAdopted
	}
	s.tell(&t.next, e)
}

// tellWrite counts and tells what else a write was that is done. was is whose
// session it was before.
func (s *Session) tellWrite(out *stored.Outcome, t *try, was string) {
	user := out.Copy.User
	if out.Renewed {
		s.m.stats.add(statRenewals, &t.next)
		s.tell(&t.next, Event{Kind: EventRenewed, User: user})
	}
	switch {
	case t.changed&changedUser == 0 || s.start.candidate:
	case user != "":
		s.m.stats.add(statLogins, &t.next)
		s.tell(&t.next, Event{Kind: EventLogin, User: user, PreviousUser: was})
	case was != "":
		s.tell(&t.next, Event{Kind: EventLogout, PreviousUser: was})
	}
}

// A Reason tells why a session ended, a login was refused, or a token was rejected.
type Reason string

// The reasons.
const (
	ReasonDestroyed  Reason = "destroyed"    // Session.Destroy: logout
	ReasonRevoked    Reason = "revoked"      // Manager.Revoke, RevokeUser
	ReasonMaxPerUser Reason = "max-per-user" // the user has more than MaxPerUser: ended by a newer login, or this login was refused
	ReasonAbsolute   Reason = "absolute"     // the absolute timeout passed
	ReasonUnknown    Reason = "unknown"      // no such record: expired, ended, or invented
	ReasonSecret     Reason = "secret"       // the record is there, the secret is not its secret
	ReasonSuperseded Reason = "superseded"   // the secret was replaced by a renewal moments ago
	ReasonUnreadable Reason = "unreadable"   // the record is damaged, or from another version
	ReasonTossed     Reason = "tossed"       // one request brought several well-formed tokens
	ReasonUnproven   Reason = "unproven"     // the session is bound to a device, the request is not from it: package devicebound
)

// Stats counts what a manager did since it was made.
type Stats struct {
	Loads       uint64 `json:"loads"`       // records asked for
	Hits        uint64 `json:"hits"`        // ...and found to be live sessions
	Creates     uint64 `json:"creates"`     // new sessions stored
	Updates     uint64 `json:"updates"`     // sessions stored again
	Touches     uint64 `json:"touches"`     // expiries moved without a write
	Deletes     uint64 `json:"deletes"`     // sessions destroyed or revoked
	Logins      uint64 `json:"logins"`      // SetUser with a name, of new and of old sessions, and of the same user again
	Renewals    uint64 `json:"renewals"`    // tokens of stored sessions replaced
	Conflicts   uint64 `json:"conflicts"`   // writes merged with another request's
	Dropped     uint64 `json:"dropped"`     // requests whose changes came after their session's end
	Superseded  uint64 `json:"superseded"`  // requests that held a token replaced meanwhile
	Rejected    uint64 `json:"rejected"`    // tokens that were no session's
	Tossed      uint64 `json:"tossed"`      // requests with several tokens
	Unreadable  uint64 `json:"unreadable"`  // records and values that could not be decoded
	Unavailable uint64 `json:"unavailable"` // requests served without their session in an outage
	Errors      uint64 `json:"errors"`      // store calls that failed, those of Count and Sessions too, and changes that came too late
	Swept       uint64 `json:"swept"`       // expired records removed
}

type stat int

const (
	statLoads stat = iota
	statHits
	statCreates
	statUpdates
	statTouches
	statDeletes
	statLogins
	statRenewals
	statConflicts
	statDropped
	statSuperseded
	statRejected
	statTossed
	statUnreadable
	statUnavailable
	statErrors
	statSwept
	statCount
)

// counters are spread over cache lines by session, so that requests on
// several cores do not wait for one another to count.
type counters [8]struct {
	n [statCount]atomic.Uint64
	_ [64]byte
}

func (c *counters) add(what stat, of *record.Credentials) {
	shard := 0
	if of != nil {
		shard = int(of[15] & 7)
	}
	c[shard].n[what].Add(1)
}

func (c *counters) addN(what stat, n int) { c[0].n[what].Add(uint64(n)) }

func (c *counters) sum(what stat) (n uint64) {
	for i := range c {
		n += c[i].n[what].Load()
	}
	return n
}

// Stats returns the counts so far. Each is exact; together they are no
// snapshot of one instant.
func (m *Manager) Stats() Stats {
	c := &m.stats
	return Stats{
		Loads: c.sum(statLoads), Hits: c.sum(statHits),
		Creates: c.sum(statCreates), Updates: c.sum(statUpdates),
		Touches: c.sum(statTouches), Deletes: c.sum(statDeletes),
		Logins: c.sum(statLogins), Renewals: c.sum(statRenewals),
		Conflicts: c.sum(statConflicts), Dropped: c.sum(statDropped),
		Superseded: c.sum(statSuperseded),
		Rejected:   c.sum(statRejected), Tossed: c.sum(statTossed),
		Unreadable: c.sum(statUnreadable), Unavailable: c.sum(statUnavailable),
		Errors: c.sum(statErrors), Swept: c.sum(statSwept),
	}
}
