package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/cookie"
)

// Middleware returns a middleware with a manager of its own. It panics if cfg
// is wrong, with the error that [New] would return: at start, not later. The
// manager lives as long as the process; where it must be closed, use New and
// [Manager.Middleware].
func Middleware(cfg Config) func(http.Handler) http.Handler {
	m, err := New(cfg)
	if err != nil {
		panic(err)
	}
	return m.Middleware
}

// Middleware loads the request's session, hands it to next in the context,
// stores it before the first byte of the answer leaves, and releases it when
// next returns or panics.
//
// A request without a cookie costs no store call, or one if it stores a new
// session; one whose session is only read costs one; one that changes it, two. If the session cannot be loaded,
// next does not run and the answer is 503 (see Config.OnOutage); if it cannot
// be stored, the answer is 503 in place of the handler's. After a panic, what
// the handler Set is dropped and what it Destroyed is destroyed.
//
// A middleware that recovers from panics belongs outside of this one: inside,
// it hides the panic, and what the handler Set before is stored.
//
// Mounted twice under one cookie name, the inner one does nothing.
func (m *Manager) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case m.cfg.Disabled:
			m.aside(next, w, r, m.off)
		case m.cfg.Skip != nil && m.cfg.Skip(r):
			m.aside(next, w, r, m.skipped)
		case r.Context().Value(&m.key) != nil:
			next.ServeHTTP(w, r)
		default:
			m.serve(next, w, r)
		}
	})
}

// aside lets a request pass without a session of this manager.
func (m *Manager) aside(next http.Handler, w http.ResponseWriter, r *http.Request, why *Session) {
	if _, other := Lookup(r.Context()); other {
		next.ServeHTTP(w, r)
		return
	}
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, why)))
}

func (m *Manager) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if m.closed.Load() {
		m.answer(w, r, "", ErrClosed)
		return
	}
	x := m.newExchange(w, r)
	if s := x.session.Load(); s != nil {
		if err := m.load(s, r.Header); err != nil && !m.outage(s, err) {
			m.answer(w, r, s.triedID(), err)
			return
		}
	}
	returned := false
	defer func() {
		if !returned {
			x.writer.panicked()
		}
		x.release()
	}()
	next.ServeHTTP(x.writer.as(), r.WithContext(x))
	returned = true
	x.writer.finish()
}

// begun makes s an empty session of this request.
func (s *Session) begun(m *Manager, x *exchange) {
	s.m, s.x = m, x
	s.vals.reset(body{}, m.cfg.MaxBytes)
}

// outage decides whether a request whose session could not be loaded goes on.
func (m *Manager) outage(s *Session, err error) bool {
	if m.cfg.OnOutage != Anonymous {
		return false
	}
	m.stats.add(statUnavailable, nil)
	m.cfg.Logger.LogAttrs(s.x, slog.LevelError, "session: not loaded, the request goes on without",
		slog.String("id", s.triedID()), slog.Any("error", err))
	s.startOver()
	s.outage, s.lost, s.late = true, nil, false
	return true
}

// answer sends the error answer and logs why, with the session's public ID, if
// it is known. Nothing has been sent yet.
func (m *Manager) answer(w http.ResponseWriter, r *http.Request, id string, err error) {
	ctx := r.Context()
	level := slog.LevelError
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		level = slog.LevelInfo // the client has gone; nobody reads the answer
	}
	m.cfg.Logger.LogAttrs(ctx, level, "session: request failed", slog.String("id", id), slog.Any("error", err),
		slog.String("method", r.Method), slog.Int("status", status(err)))
	if m.cfg.ErrorHandler != nil {
		m.cfg.ErrorHandler(w, r, err)
		return
	}
	code := status(err)
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(code), code)
}

// status returns the status of the error answer: the store's fault, a race of
// two logins, or the handler's own fault.
func status(err error) int {
	switch {
	case isA[*lostLogin](err):
		return http.StatusConflict
	case errors.Is(err, backend.ErrTooLarge), errors.Is(err, backend.ErrUser):
		return http.StatusInternalServerError
	case isA[*StoreError](err), errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// isA reports whether err is an E, or wraps one.
func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// release ends the session's life. Who asks for one from now on gets none.
func (x *exchange) release() {
	if x.session.CompareAndSwap(nil, x.m.released) {
		return
	}
	s := x.session.Load()
	s.mu.Lock()
	s.released = true
	s.unlock()
}

// warnPlainHTTP says once why logins will not stick.
func (m *Manager) warnPlainHTTP(r *http.Request) {
	if !m.cookie.Secure(r) || !cookie.PlainHTTP(r) || m.warned.Load() || m.warned.Swap(true) {
		return
	}
	m.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "session: a Secure cookie goes out over what looks like plain HTTP; browsers drop it, so logins will not stick: "+
		"serve HTTPS, let the proxy send X-Forwarded-Proto: https, or set Config.Cookie.Insecure", slog.String("host", r.Host))
}
