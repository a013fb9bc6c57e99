// Package guard is the door between packages session and devicebound. A guard
// has a say in whether a token that opens a session is enough. It is asked by
// the manager itself, so that there is no way round it: by the middleware, by
// Manager.Start, and for every transport. What it takes is nothing that a
// program should do by itself.
package guard

import (
	"net/http"
	"time"

	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/record"
)

// A Guard looks after the sessions of one manager. Its methods are called by
// any number of goroutines.
type Guard interface {
	// Endpoint returns who serves r in place of the program, nil for the
	// program. It finds the request's session as a handler does, without Admit.
	// What it does is no activity of the user.
	Endpoint(r *http.Request) http.Handler

	// Cookie returns the name of the cookie that the guard sets beside the session's.
	Cookie() string

	// Admit decides about a request whose token is that of s.
	Admit(r *http.Request, s *Session) Verdict

	// Header completes the header of a response that is about to leave, before the
	// session's own lines are in it, and may be called more than once. s is what the
	// response brings or belongs to. It must not call the session.
	Header(h http.Header, r *http.Request, s *Session)
}

// A Verdict is what becomes of a request. The zero Verdict lets it in.
type Verdict struct {
	// Refused has the token rejected: the request gets a new, empty session,
	// as if it had brought none, and the log of events says why.
	Refused bool

	// Foreign, of Refused, says that another origin's page may have had the user's
	// own browser send the request. It is no alarm then, so that the log of events
	// says nothing, and nothing but a login (SetUser with a name, Renew) takes the
	// place of the session that the browser has.
	Foreign bool

	// Instead responds in place of the program. The session stays as it is,
	// and so does its cookie.
	Instead http.Handler
}

// A Session is what a guard sees of one.
type Session struct {
	Cred *record.Credentials // as they are from this response on; to be read, not kept
	User string              // empty if nobody is logged in

	// Since is when it got its secret: by the login, in most cases.
	Since time.Time

	// At is when the request loaded it. Only the session that Admit is given has it.
	At time.Time

	// Cookie says that the token travels in the cookie. New says that this
	// response brings it, Gone that this response takes it away.
	Cookie, New, Gone bool

	// Kept is what Keep has stored in its record, nil if it has not. It stays
	// for as long as the record does, whoever logs in and out, and the program
	// neither sees nor changes it.
	Kept []byte

	// Guard is the one of its manager. Only the session that See returns has it.
	Guard Guard

	// Keep stores value in the session's record, if nothing is kept there yet,
	// in one atomic step, and returns what is kept then. Only the session that
	// See returns has it.
	Keep func(value []byte) (kept []byte, err error)
}

// A Manager is what a guard has to know of the one that it is for.
type Manager struct {
	Cookie   cookie.Options
	ByCookie bool // tokens can travel in the cookie
	Disabled bool

	// See returns what a guard sees of a *session.Session, nil if that is not stored,
	// or its manager has no guard. It is the same function for all managers.
	See func(session any) *Session
}
