package devicebound

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/internal/guard"
)

// The statuses of the endpoints are for browsers, which have their own idea of
// them: 403 with a challenge asks for another try, and any other status from 300 to
// 499 ends the key for good. So these are for sessions that are over, and all that
// may pass is a 503: see ended.

// serveBind registers a device's key.
func (b *Binding) serveBind(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	s := session.FromContext(r)
	seen, ok := b.session(w, s)
	if !ok {
		return
	}
	now := time.Now()
	if !b.bindable(seen, now) {
		fail(w, http.StatusForbidden)
		return
	}
	bond, ok := b.registered(r, seen, now)
	if !ok {
		fail(w, http.StatusForbidden)
		return
	}
	switch kept, err := seen.Keep(bond); {
	case errors.Is(err, session.ErrDestroyed):
		fail(w, http.StatusForbidden)
	case err != nil:
		later.ServeHTTP(w, r)
	case string(kept) != string(bond): // another one was first, just now
		fail(w, http.StatusForbidden)
	default:
		b.prove(w, bond, seen.Cred.ID(), now)
	}
}

// bindable reports whether s, nil if there is no session, can be bound now. The first
// key is the session's for good.
func (b *Binding) bindable(s *guard.Session, now time.Time) bool {
	return !b.off && s != nil && s.Cookie && s.User != "" && s.Kept == nil && now.Sub(s.Since) < bindFor
}

// registered returns the bond with the key that r registers, if r does so in
// response to an offer of the session's.
func (b *Binding) registered(r *http.Request, s *guard.Session, now time.Time) (bond, bool) {
	t, err := parseToken(unquoted(r.Header.Get(responseHeader)))
	if err != nil || t.key == nil {
		return nil, false
	}
	if !fresh(t.challenge, []byte(s.Cred.Token()), forOffer, s.Cred.ID(), now, challengeFor) {
		return nil, false
	}
	key, err := t.key.public()
	if err != nil || !verify(key, t.alg, t.signed, t.signature) {
		return nil, false
	}
	bond, err := newBond(key, now)
	return bond, err == nil
}

// serveRefresh gives a device that has signed a challenge a new proof, and any other
// a challenge. It writes nothing.
func (b *Binding) serveRefresh(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	seen, ok := b.session(w, session.FromContext(r))
	if !ok {
		return
	}
	if b.ended(r, seen) {
		fail(w, http.StatusNotFound)
		return
	}
	bond, now := bond(seen.Kept), time.Now()
	if !bond.readable() {
		later.ServeHTTP(w, r)
		return
	}
	id := seen.Cred.ID()
	if !signed(r, bond, id, now) {
		w.Header().Set(challengeHeader, `"`+stamp(bond.secret(), forChallenge, id, now)+`";id="`+id.String()+`"`)
		fail(w, http.StatusForbidden)
		return
	}
	b.prove(w, bond, id, now)
}

// session returns the request's session, nil if there is none. If that is not known
// for now, as the store is out of reach or the session has just got another token,
// the response is a 503, and ok is false.
func (b *Binding) session(w http.ResponseWriter, s *session.Session) (seen *guard.Session, ok bool) {
	if s.Unavailable() || errors.Is(s.Err(), session.ErrSuperseded) {
		later.ServeHTTP(w, nil)
		return nil, false
	}
	return see(s), true
}

// ended reports whether the session that the browser wants a new proof for is over:
// it is not the one of its cookie, or that is not bound.
func (b *Binding) ended(r *http.Request, s *guard.Session) bool {
	return b.off || s == nil || s.Kept == nil || unquoted(r.Header.Get(idHeader)) != s.Cred.ID().String()
}

// signed reports whether r has a challenge of the session's, signed by its device.
func signed(r *http.Request, bond bond, id uuid.UUID, now time.Time) bool {
	t, err := parseToken(unquoted(r.Header.Get(responseHeader)))
	if err != nil || !fresh(t.challenge, bond.secret(), forChallenge, id, now, challengeFor) {
		return false
	}
	key, err := bond.key()
	return err == nil && verify(key, t.alg, t.signed, t.signature)
}

// instructions are what a browser is told of a bound session. The attributes are
// exactly those of Set-Cookie: where they differ, Chromium renews the proof with
// each request.
type instructions struct {
	ID         string       `json:"session_identifier"`
	RefreshURL string       `json:"refresh_url"`
	Scope      scope        `json:"scope"`
	Cookies    []credential `json:"credentials"`
}

// A scope is the origin that a session is of; which one that is the browser knows.
type scope struct {
	IncludeSite bool `json:"include_site"`
}

type credential struct {
	Type       string `json:"type"`
	Name       string `json:"name"`
	Attributes string `json:"attributes"`
}

// prove sends a new proof. The ID of a session is its public one, which is another
// for each login: a late "not found" for an old one ends no key but its own.
func (b *Binding) prove(w http.ResponseWriter, bond bond, id uuid.UUID, now time.Time) {
	text, err := json.Marshal(instructions{
		ID: id.String(), RefreshURL: b.refreshPath,
		Cookies: []credential{{"cookie", b.cookie.Name(), b.attributes}},
	})
	if err != nil { // of strings: it cannot be
		fail(w, http.StatusInternalServerError)
		return
	}
	w.Header().Add("Set-Cookie", b.cookie.Set(stamp(bond.secret(), forProof, id, now), b.lifetime))
	w.Header().Set("Content-Type", "application/json")
	w.Write(text) // if the browser has gone, it comes again
}

func fail(w http.ResponseWriter, code int) { http.Error(w, http.StatusText(code), code) }
