package session

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/chisession/session/internal/response"
)

// sessionKey is the context key of the innermost session, cookieKey that of
// the one under a cookie's name: two managers in one chain do not mix.
type (
	sessionKey  struct{}
	identityKey struct{} // as sessionKey, but of no session where nobody asked for one yet
	requestKey  struct{} // of the request that the session's middleware got
	cookieKey   string
)

// An exchange is what the middleware keeps for one request: the context that
// the session travels in, and the wrapped writer. It is never used again for
// another request, nor is its session.
type exchange struct {
	context.Context
	m         *Manager
	session   atomic.Pointer[Session] // made when somebody asks for it
	sent      atomic.Bool             // the header left before anybody did
	handed    atomic.Bool             // somebody has it, who may use it at any time
	writer    response.Writer
	returned  bool // the handler has
	request   *http.Request
	transport *Transport   // that the request belongs to
	before    http.Header  // the response's header before the handler; nil if it was empty
	inner     http.Request // what the handler gets: request with x as its context
}

// A visit is an exchange whose session is likely to be needed, in one
// allocation with it.
type visit struct {
	exchange
	own Session
}

// newExchange returns an exchange for r. A request that brings nothing that
// could be a token does not pay for a session until its handler asks for one.
func (m *Manager) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	transport := m.choose(r.Header)
	var x *exchange
	if r.Header[transport.carrier()] == nil {
		x = &exchange{}
	} else {
		v := &visit{}
		x = &v.exchange
		v.own.bind(m, x)
		x.session.Store(&v.own)
	}
	x.Context, x.m, x.request, x.transport = r.Context(), m, r, transport
	x.writer.Wrap(w, (*gate)(x))
	if h := w.Header(); len(h) > 0 {
		x.before = maps.Clone(h)
	}
	return x
}

// get returns the session, and makes an empty one if there is none yet.
func (x *exchange) get() *Session {
	if s := x.session.Load(); s != nil {
		return s
	}
	s := &Session{}
	s.bind(x.m, x)
	if !x.session.CompareAndSwap(nil, s) {
		return x.session.Load()
	}
	if x.sent.Load() {
		s.mu.Lock()
		s.phase = phaseSent
		s.mu.Unlock()
	}
	return s
}

// Value finds the session; other keys are the request's own context's.
func (x *exchange) Value(key any) any {
	switch key := key.(type) {
	case sessionKey:
		return x.get()
	case identityKey:
		if s := x.session.Load(); s != nil {
			return s
		}
		return nil
	case requestKey:
		return x.request
	case *cookieKey:
		if *key == x.m.key || key.shares(x.m.key) {
			return x.get()
		}
	}
	return x.Context.Value(key)
}

// A callContext is an exchange as the context of store calls: it goes on when the
// client has gone, and has no deadline.
type callContext exchange

// String names the context as package context does; it tells nothing of the
// session.
func (x *exchange) String() string { return contextName(x.Context) + ".WithValue(session)" }

// String is that of the request's context, which goes on.
func (c *callContext) String() string { return (*exchange)(c).String() + ".WithoutCancel" }

// Format prints String whatever the verb: the fields have the token in them,
// and may be changing.
func (x *exchange) Format(f fmt.State, _ rune) { fmt.Fprint(f, x.String()) }

// Format prints String whatever the verb.
func (c *callContext) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// String names the context as package context does.
func (c instead) String() string { return contextName(c.Context) + ".WithValue(session)" }

// Format prints String whatever the verb.
func (c instead) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

func contextName(ctx context.Context) string {
	if s, ok := ctx.(fmt.Stringer); ok {
		return s.String()
	}
	return fmt.Sprintf("%T", ctx)
}

func (c *callContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *callContext) Done() <-chan struct{}       { return nil }
func (c *callContext) Err() error                  { return nil }
func (c *callContext) Value(key any) any           { return (*exchange)(c).Value(key) }

// instead is the context of a request whose session failed, with another one
// in its place that says so.
type instead struct {
	context.Context
	m *Manager
	s *Session
}

func (c instead) Value(key any) any {
	switch key := key.(type) {
	case sessionKey:
		return c.s
	case identityKey:
		return nil
	case *cookieKey:
		if *key == c.m.key {
			return c.s
		}
	}
	return c.Context.Value(key)
}

// FromContext returns the request's session. It is never nil: where no
// middleware put one, it is an empty session that keeps nothing, and says why
// in the log and in the errors of its methods.
func FromContext(r *http.Request) *Session {
	if r == nil {
		return detached(ErrNoMiddleware)
	}
	return FromCtx(r.Context())
}

// FromCtx is FromContext for code that has no request.
func FromCtx(ctx context.Context) *Session {
	if ctx != nil {
		if s, ok := ctx.Value(sessionKey{}).(*Session); ok {
			return s.handOut()
		}
	}
	return detached(ErrNoMiddleware)
}

// handOut notes that the application has s: a response that begins before it
// uses s may depend on it all the same.
func (s *Session) handOut() *Session {
	if s.x != nil && !s.x.handed.Load() {
		s.x.handed.Store(true)
	}
	return s
}

// Lookup returns the session in ctx, and whether a middleware put one there.
func Lookup(ctx context.Context) (*Session, bool) {
	s, ok := lookup(ctx)
	if ok {
		s.handOut()
	}
	return s, ok
}

// lookup is Lookup for who does not look into the session.
func lookup(ctx context.Context) (*Session, bool) {
	if ctx == nil {
		return nil, false
	}
	s, ok := ctx.Value(sessionKey{}).(*Session)
	return s, ok && s.none == nil
}

// FromContext returns the session that this manager's middleware put into the
// request, where several managers, with different cookies, share one. Where it
// did not, that is an empty session that keeps nothing, as of FromContext the
// function where there is no middleware; never another manager's session.
func (m *Manager) FromContext(r *http.Request) *Session {
	if s, err := m.outer(r); s != nil && err == nil {
		return s.handOut()
	}
	return detached(ErrNoMiddleware)
}

// Identity returns the session's public ID and its user, for log lines, spans
// and metrics: a logger, a tracer or a driver may call it at any time, with any
// context of the request, also after the request is over. It never waits for a
// store call, never logs, does not make a session where there is none, and does
// not count as using it (see "Caches and CDNs" in docs/deployment.md). Both are
// empty where there is no session; the ID is empty, too, before the session is
// loaded, and in a new one before it has an ID.
func Identity(ctx context.Context) (id, user string) {
	if ctx == nil {
		return "", ""
	}
	s, ok := ctx.Value(identityKey{}).(*Session)
	if !ok {
		return "", ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rec.Known && s.phase != phaseLoading {
		id = s.rec.Cred.ID().String()
	}
	return id, s.currentUser()
}
