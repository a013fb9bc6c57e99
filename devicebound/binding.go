package devicebound

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/guard"
)

const (
	// DefaultLifetime is how long a proof is good for.
	DefaultLifetime = 10 * time.Minute

	// MinLifetime is the shortest one that can be set, for tests: Chromium renews a
	// proof in its last two minutes, so a shorter one would be renewed with each
	// request. Users need five: see [Options].
	MinLifetime = 3 * time.Minute

	// DefaultPath is where the browser binds a session and renews its proof.
	DefaultPath = "/session-device"
)

const (
	// leeway is what the clocks of several servers may differ by, and how long
	// a response may be on its way: a proof is good for so much longer.
	leeway = time.Minute

	// settling is how long a session that has just been bound needs no proof: there
	// may be other requests of the browser beside the one that bound it.
	settling = 10 * time.Second

	// challengeFor is how long a challenge can be signed.
	challengeFor = time.Minute

	// offerFor is how long after its login a session that is not bound is offered
	// to be, with each page: the browser may not have got, or not have been able
	// to use, the offer of the login itself.
	offerFor = 3 * time.Minute

	// bindFor is how long after its login a session can be bound: until the last
	// challenge of an offer is over. There is a limit because of thieves: an offer's
	// challenge is made with the token, as there is no other secret yet, so anyone
	// who has copied a cookie can make one at any time.
	bindFor = offerFor + challengeFor + leeway
)

// Options say how sessions are bound; the zero value is right for most.
type Options struct {
	// Lifetime is how long a proof is good for, and so how long a copied cookie
	// works, plus one minute; default 10 minutes, at least 3. Give users five or
	// more: Chromium signs no more than six times in nine minutes for a site, so with
	// three minutes an active user gets 503 from the eighth until the ninth is over.
	Lifetime time.Duration

	// Path is where the browser binds sessions (Path/bind) and renews proofs
	// (Path/refresh), both by POST; default /session-device, below the path of
	// the session's cookie. The manager's middleware serves them, by the path that
	// it sees: what is in front of it must let them through, and strip nothing off.
	// Where one manager is mounted inside another, each needs a path of its own.
	Path string

	// Cookie is the name of the proof's cookie; default the session cookie's name
	// with _device at the end. Its attributes are those of the session's, but for
	// its lifetime.
	Cookie string

	// Off switches it off without logging anybody out: no request needs a proof,
	// nothing is offered, and browsers are told to forget their keys. When it is
	// on again, sessions that were bound before are asked to log in again.
	Off bool
}

// A Binding binds the sessions of one manager. It is safe for concurrent use. As
// an [http.Handler] it serves what the manager's middleware serves for it: see
// [Binding.ServeHTTP].
type Binding struct {
	m             *session.Manager
	lifetime      time.Duration
	off           bool
	cookie        *cookie.Cookie
	attributes    string // as the browser is to compare them
	bindPath      string
	refreshPath   string
	offer         string       // the registration header, up to the challenge
	bind, refresh http.Handler // the endpoints
}

var _ guard.Guard = (*Binding)(nil)

// New has m bind the sessions of users that log in from now on. It is called once
// for each manager, before that serves anything. The error says which option, or
// which field of m's [session.Config], does not go with it: Cookie.Domain,
// Cookie.Partitioned and Cookie.Insecure do not, nor does a Transport without a
// cookie.
func New(m *session.Manager, o Options) (*Binding, error) {
	b := &Binding{m: m, off: o.Off}
	b.bind, b.refresh = http.HandlerFunc(b.serveBind), http.HandlerFunc(b.serveRefresh)
	err := session.Guard(m, func(of guard.Manager) (guard.Guard, error) {
		look.Store(&of.See)
		return b, b.configure(o, of)
	})
	if err != nil {
		return nil, fmt.Errorf("devicebound: New: %w", err)
	}
	return b, nil
}

// configure fills in the defaults and checks what does not go together.
func (b *Binding) configure(o Options, of guard.Manager) (err error) {
	switch {
	case of.Disabled:
		return fmt.Errorf("sessions are off: Config.Disabled is set")
	case !of.ByCookie:
		return fmt.Errorf("Config.Transport has no cookie: a browser binds cookies only")
	case of.Cookie.Domain != "":
		return fmt.Errorf("Config.Cookie.Domain is %q: a session that several hosts share cannot be bound", of.Cookie.Domain)
	case of.Cookie.Partitioned:
		return fmt.Errorf("Config.Cookie.Partitioned is set: browsers do not bind partitioned cookies")
	case of.Cookie.Insecure:
		return fmt.Errorf("Config.Cookie.Insecure is set: browsers bind cookies over HTTPS only")
	case o.Lifetime != 0 && o.Lifetime < MinLifetime:
		return fmt.Errorf("Options.Lifetime is %v, less than %v: the browser would renew its proof with each request", o.Lifetime, MinLifetime)
	case o.Lifetime > cookie.MaxAge:
		return fmt.Errorf("Options.Lifetime is %v: no browser keeps a cookie for longer than %v", o.Lifetime, cookie.MaxAge)
	}
	if b.lifetime = o.Lifetime; b.lifetime == 0 {
		b.lifetime = DefaultLifetime
	}
	if err := b.setPaths(o.Path, of.Cookie.Path); err != nil {
		return err
	}
	return b.setCookie(o.Cookie, of.Cookie)
}

// setPaths sets where the endpoints are.
func (b *Binding) setPaths(at, of string) error {
	if at == "" {
		at = strings.TrimSuffix(of, "/") + DefaultPath
	}
	below := strings.HasPrefix(at, strings.TrimSuffix(of, "/")+"/")
	if !below || at == "/" || path.Clean(at) != at || strings.ContainsFunc(at, notInPath) {
		return fmt.Errorf("Options.Path is %q: give a path below that of the session's cookie, %q, of letters, digits and -._~/, without a slash at its end", at, of)
	}
	b.bindPath, b.refreshPath = at+"/bind", at+"/refresh"
	b.offer = `(ES256 RS256);path="` + b.bindPath + `";challenge="`
	return nil
}

// notInPath tells what would have to be escaped, in a header or in a URL.
func notInPath(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._~/", r)
}

// setCookie makes the proof's cookie, which is like the session's.
func (b *Binding) setCookie(name string, like cookie.Options) (err error) {
	if name == "" {
		name = like.Name + "_device"
	}
	if name == like.Name {
		return fmt.Errorf("Options.Cookie is %q, as is the session's own cookie: give it another name", name)
	}
	like.Name, like.ScriptReadable, like.Persistent, like.MaxAge = name, false, false, 0
	if b.cookie, err = cookie.New(like); err != nil {
		return fmt.Errorf("Options.Cookie: %w", err)
	}
	_, b.attributes, _ = strings.Cut(b.cookie.Set("", 0), "; ")
	return nil
}

// ServeHTTP serves what devicebound itself responds to, which is what the manager's
// middleware does for it already: it needs no route where that middleware is around
// the whole program. Where it is around single routes only, route POST Path/bind and
// POST Path/refresh to it, and where [session.Manager.Start] is used without the
// middleware, everything that Start returns [session.ErrUnproven] for, too.
// Other requests are not found.
func (b *Binding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.m.Middleware(http.NotFoundHandler()).ServeHTTP(w, r)
}

// Bound reports whether the session of r is bound to the device that r comes from:
// its cookie alone opens it nowhere else. Ask for the password once more where it
// is not, before what matters. It is false where there is no session, without a
// Binding, and with Options.Off. Where several managers share a request it tells of
// the session that [session.FromContext] returns, [Binding.Bound] of the one of its
// manager.
func Bound(r *http.Request) bool {
	s, ok := session.Lookup(r.Context())
	return ok && isBound(s)
}

// Bound is the function [Bound] for the session of b's manager, where several share
// a request.
func (b *Binding) Bound(r *http.Request) bool {
	s := b.m.FromContext(r)
	return !errors.Is(s.Err(), session.ErrNoMiddleware) && isBound(s)
}

func isBound(s *session.Session) bool {
	seen := see(s)
	if seen == nil || seen.Kept == nil {
		return false
	}
	b, ok := seen.Guard.(*Binding)
	return ok && !b.off
}

// see returns s as a guard sees it, nil if it is not stored.
func see(s *session.Session) *guard.Session {
	if look := look.Load(); look != nil {
		return (*look)(s)
	}
	return nil // no manager's sessions are bound
}

// look is the guard.Manager.See of all managers, once one has a Binding.
var look atomic.Pointer[func(any) *guard.Session]
