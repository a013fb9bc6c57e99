package devicebound

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/internal/guard"
)

// The headers of the draft.
const (
	registrationHeader = "Secure-Session-Registration"
	challengeHeader    = "Secure-Session-Challenge"
	responseHeader     = "Secure-Session-Response"
	skippedHeader      = "Secure-Session-Skipped"
	idHeader           = "Sec-Secure-Session-Id"
)

// Endpoint implements [guard.Guard].
func (b *Binding) Endpoint(r *http.Request) http.Handler {
	switch {
	case r.Method != http.MethodPost, r.URL == nil: // a request made by hand has none
	case r.URL.Path == b.refreshPath:
		return b.refresh
	case r.URL.Path == b.bindPath:
		return b.bind
	}
	return nil
}

// Cookie implements [guard.Guard].
func (b *Binding) Cookie() string { return b.cookie.Name() }

// Admit implements [guard.Guard]: it looks for a proof.
func (b *Binding) Admit(r *http.Request, s *guard.Session) guard.Verdict {
	if s.Kept == nil || b.off {
		return guard.Verdict{}
	}
	bond := bond(s.Kept)
	if !bond.readable() { // of a newer version of this program, while that is rolled out
		return guard.Verdict{Instead: later}
	}
	proven, stale := b.proven(r, bond, s.Cred.ID(), s.At)
	if proven || bond.settles(s.At) {
		return guard.Verdict{}
	}
	return b.unproven(r, stale)
}

// proven reports whether r brings a proof, and whether it brings one that is none.
// Of several cookies of the name one is enough: any sub-domain can add others.
func (b *Binding) proven(r *http.Request, bond bond, id uuid.UUID, now time.Time) (proven, stale bool) {
	const most = 4
	n := 0
	b.cookie.Values(r.Header, func(value string) bool {
		n++
		proven = fresh(value, bond.secret(), forProof, id, now, b.lifetime)
		return !proven && n < most
	})
	return proven, n > 0 && !proven
}

// unproven decides about a request without a proof. What is no thief's must not
// lose its cookie, nor what is a thief's get anything.
func (b *Binding) unproven(r *http.Request, stale bool) guard.Verdict {
	foreign := isForeign(r)
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch page := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate"; {
	case r.Header[skippedHeader] != nil: // the browser could not get one, and tries again
		return guard.Verdict{Instead: later}
	case page && stale: // a browser renews what it does not have
		return guard.Verdict{Instead: http.HandlerFunc(b.removeAndReload)}
	case page && foreign: // the browser waits for no proof then
		return guard.Verdict{Instead: http.HandlerFunc(reload)}
	case read && foreign: // likewise; an image, say: nobody logs in by it, as they do by a POST
		return guard.Verdict{Instead: unauthorized}
	}
	return guard.Verdict{Refused: true, Foreign: foreign}
}

// isForeign reports whether another origin's page has had the browser send r.
func isForeign(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// What responds in place of the program.
var (
	later        = respond(http.StatusServiceUnavailable)
	unauthorized = respond(http.StatusUnauthorized)
)

// respond returns a handler that sends a status. A 503 can be tried again soon.
func respond(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if code == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, http.StatusText(code), code)
	})
}

// reloading is a page that loads itself once more: from where it is, which is here,
// so that the browser gets a proof before. It does so without a script, which a
// content security policy would forbid.
const reloading = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="0">
<title>One moment</title><p>One moment, please …</p></html>
`

// reload sends the page. Its status says that this is not what was asked for; 307 to
// the same place, or a Refresh header without a page, would end in a loop.
func reload(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	io.WriteString(w, reloading) // if the client has gone, nobody misses it
}

// removeAndReload sends the page, and has the browser forget its proof.
func (b *Binding) removeAndReload(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Set-Cookie", b.cookie.Remove())
	reload(w, r)
}

// Header implements [guard.Guard]: with the session's cookie goes the proof's, also
// where another session takes its place, and who is logged in and not bound is
// offered to be.
func (b *Binding) Header(h http.Header, r *http.Request, s *guard.Session) {
	if s.Gone || s.New && s.Kept == nil {
		b.removeProof(h, r)
	}
	b.removeOffer(h) // of a login that the program has undone
	if !s.Gone && b.offers(r, s) {
		challenge := stamp([]byte(s.Cred.Token()), forOffer, s.Cred.ID(), time.Now())
		h[registrationHeader] = append(slices.Clip(h[registrationHeader]), b.offer+challenge+`"`)
	}
}

// removeOffer removes the offer of an earlier call. Those of other managers' bindings
// stay.
func (b *Binding) removeOffer(h http.Header) {
	lines := slices.DeleteFunc(slices.Clone(h[registrationHeader]), func(line string) bool { return strings.HasPrefix(line, b.offer) })
	if len(lines) > 0 {
		h[registrationHeader] = lines
		return
	}
	delete(h, registrationHeader)
}

// removeProof has the browser forget the proof that it brought.
func (b *Binding) removeProof(h http.Header, r *http.Request) {
	brought := false
	b.cookie.Values(r.Header, func(string) bool {
		brought = true
		return false
	})
	if line := b.cookie.Remove(); brought && !slices.Contains(h["Set-Cookie"], line) {
		h["Set-Cookie"] = append(slices.Clip(h["Set-Cookie"]), line)
	}
}

// offers reports whether the response to r offers to bind s. With the response to a
// page of another site, such as the end of an OAuth login, the browser would
// register without the session's cookie (SameSite=Lax); the user's next click will
// do. Each offer costs one of the few signatures that a browser makes.
func (b *Binding) offers(r *http.Request, s *guard.Session) bool {
	switch {
	case b.off || !s.Cookie || s.User == "" || s.Kept != nil:
		return false
	case s.New:
		return !isForeign(r)
	}
	page := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	return page && r.Header.Get("Sec-Fetch-Site") == "same-origin" && time.Since(s.Since) < offerFor
}
