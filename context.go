package session

import (
	"context"
	"net/http"
	"time"
)

// sessionKey is the context key of the innermost session, cookieKey that of
// the one under a cookie's name: two managers in one chain do not mix.
type (
	sessionKey struct{}
	cookieKey  string
)

// An exchange is all that the middleware keeps for one request: the session,
// the context it travels in and the wrapped writer, in one allocation. It is
// never used again for another request.
type exchange struct {
	context.Context
	session   Session
	writer    writer
	request   *http.Request
	transport *Transport // that the request belongs to
	vary      [1]string
	cookie    [1]string
}

// Value finds the session; other keys are the request's own context's.
func (x *exchange) Value(key any) any {
	switch key := key.(type) {
	case sessionKey:
		return &x.session
	case *cookieKey:
		if *key == x.session.m.key {
			return &x.session
		}
	}
	return x.Context.Value(key)
}

// lasting is an exchange as a context that goes on when the client has gone,
// and has no deadline.
type lasting exchange

func (l *lasting) Deadline() (time.Time, bool) { return time.Time{}, false }
func (l *lasting) Done() <-chan struct{}       { return nil }
func (l *lasting) Err() error                  { return nil }
func (l *lasting) Value(key any) any           { return (*exchange)(l).Value(key) }

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
			return s
		}
	}
	return detached(ErrNoMiddleware)
}

// Lookup returns the session in ctx, and whether a middleware put one there.
func Lookup(ctx context.Context) (*Session, bool) {
	s, ok := ctx.Value(sessionKey{}).(*Session)
	return s, ok && s.reason == nil
}

// FromContext returns the session that this manager's middleware put into the
// request, where several managers, with different cookies, share one.
func (m *Manager) FromContext(r *http.Request) *Session {
	if s, ok := r.Context().Value(&m.key).(*Session); ok {
		return s
	}
	return detached(ErrNoMiddleware)
}
