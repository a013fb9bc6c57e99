package session

import (
	"sync/atomic"

	"github.com/chisession/session/internal/record"
)

// Hooks are called after the fact, in the caller's goroutine, outside of all
// locks. Each may be nil. They get public IDs, never tokens.
type Hooks struct {
	// Created is called when a session has been stored for the first time.
	Created func(id, user string)

	// Renewed is called when a session got a new token.
	Renewed func(id, user string)

	// Destroyed is called when a session has been ended, with the reason. A
	// session that was idle for too long is not reported: it ends in the
	// store, by itself.
	Destroyed func(id string, reason Reason)

	// Failed is called when a session could not be stored, with the error
	// that the response, or the log line, was made from.
	Failed func(id string, err error)

	// Rejected is called when a request's token is not that of a session:
	// id is its public half, which may be invented.
	Rejected func(id string, reason Reason)
}

// A Reason tells why a session ended or a token was rejected.
type Reason string

// The reasons.
const (
	ReasonDestroyed  Reason = "destroyed"    // Session.Destroy: logout
	ReasonRevoked    Reason = "revoked"      // Manager.Revoke, RevokeUser
	ReasonMaxPerUser Reason = "max-per-user" // trimmed by a newer login
	ReasonAbsolute   Reason = "absolute"     // the absolute timeout passed
	ReasonUnknown    Reason = "unknown"      // no such record: expired, ended, or invented
	ReasonSecret     Reason = "secret"       // the record is there, the secret is not its secret
	ReasonSuperseded Reason = "superseded"   // the secret was replaced by a renewal moments ago
	ReasonUnreadable Reason = "unreadable"   // the record is damaged, or from another version
	ReasonTossed     Reason = "tossed"       // one request brought several well-formed tokens
)

// Stats counts what a manager did since it was made.
type Stats struct {
	Loads       uint64 `json:"loads"`       // records asked for
	Hits        uint64 `json:"hits"`        // ...and found to be live sessions
	Creates     uint64 `json:"creates"`     // new sessions stored
	Updates     uint64 `json:"updates"`     // sessions stored again
	Touches     uint64 `json:"touches"`     // expiries moved without a write
	Deletes     uint64 `json:"deletes"`     // sessions destroyed or revoked
	Renewals    uint64 `json:"renewals"`    // tokens replaced
	Conflicts   uint64 `json:"conflicts"`   // writes merged with another request's
	Dropped     uint64 `json:"dropped"`     // requests whose changes came after their session's end
	Superseded  uint64 `json:"superseded"`  // requests that held a token replaced meanwhile
	Rejected    uint64 `json:"rejected"`    // tokens that were no session's
	Tossed      uint64 `json:"tossed"`      // requests with several tokens
	Unreadable  uint64 `json:"unreadable"`  // records and values that could not be decoded
	Unavailable uint64 `json:"unavailable"` // requests served without their session in an outage
	Errors      uint64 `json:"errors"`      // store calls that failed, those of Count and Sessions too, and refused changes
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
		Renewals: c.sum(statRenewals), Conflicts: c.sum(statConflicts),
		Dropped: c.sum(statDropped), Superseded: c.sum(statSuperseded),
		Rejected: c.sum(statRejected), Tossed: c.sum(statTossed),
		Unreadable: c.sum(statUnreadable), Unavailable: c.sum(statUnavailable),
		Errors: c.sum(statErrors), Swept: c.sum(statSwept),
	}
}
