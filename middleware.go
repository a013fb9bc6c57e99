package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/adoption"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/response"
	"github.com/chisession/session/internal/standin"
	"github.com/chisession/session/internal/stored"
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
// stores it before the first byte of the response leaves, and releases it when
// next returns or panics.
//
// A request without a cookie costs no store call, or one if it stores a new
// session; one whose session is only read costs one; one that changes it, two. If the session cannot be loaded,
// next does not run and the response is 503 (see Config.OnOutage); if it cannot
// be stored, the response is 503 in place of the handler's. After a panic, what
// the handler Set is dropped and what it Destroyed is destroyed; what was stored
// before it, by Save, by Update or because the first byte left, stays.
//
// A middleware that recovers from panics belongs outside of this one: inside,
// it hides the panic, and what the handler Set before is stored.
//
// Mounted twice, the inner one does nothing. Where another manager is mounted
// inside this one, it needs a cookie name (or header) of its own. If it has
// the same one and other rules (a shorter IdleTimeout, say), which would be
// ignored, each request that meets both gets status 500, and the log names the
// rules.
func (m *Manager) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case m.cfg.Disabled:
			m.aside(next, w, r, m.off)
		case m.cfg.Skip != nil && m.cfg.Skip(r):
			m.aside(next, w, r, m.skipped)
		default:
			outer, err := m.outer(r)
			switch {
			case err != nil:
				m.sendError(r.Context(), w, r, "", err)
			case outer.inUse():
				m.pass(next, w, r, outer.within(r))
			default:
				m.serve(next, w, r)
			}
		}
	})
}

// outer returns the session that a manager with m's cookie or header has put
// into r already. If that one has other rules it is an error: they would hold,
// and those of m be ignored.
func (m *Manager) outer(r *http.Request) (*Session, error) {
	s, ok := r.Context().Value(&m.key).(*Session)
	if !ok {
		return nil, nil
	}
	if s.m != m && !standin.Marked(r.Context()) {
		if rules := m.contradicts(s.m); rules != "" {
			return nil, fmt.Errorf("session: two managers share %q in one request, and the outer one has its way: %s: "+
				"give the inner one another Config.Cookie.Name, or mount only one of them", m.key, rules)
		}
	}
	return s, nil
}

// contradicts returns in which rules m differs from outer. Functions are not
// compared, nor are opened stores, which may be wrapped.
func (m *Manager) contradicts(outer *Manager) string {
	out, in := &outer.cfg, &m.cfg
	var differ []string
	for _, rule := range []struct {
		name      string
		out, in   any
		unfitting bool // for a log
	}{
		{"IdleTimeout", out.IdleTimeout, in.IdleTimeout, false},
		{"AbsoluteTimeout", out.AbsoluteTimeout, in.AbsoluteTimeout, false},
		{"TouchEvery", out.TouchEvery, in.TouchEvery, false},
		{"MaxBytes", out.MaxBytes, in.MaxBytes, false},
		{"MaxPerUser", out.MaxPerUser, in.MaxPerUser, false},
		{"OnMaxPerUser", out.OnMaxPerUser, in.OnMaxPerUser, false},
		{"NoSeal", out.NoSeal, in.NoSeal, false},
		{"OnOutage", out.OnOutage, in.OnOutage, false},
		{"Transport", outer.key, m.key, false},
		{"Cookie", outer.cookie.Options(), m.cookie.Options(), false},
		{"Provider", out.Provider, in.Provider, false},
		{"SavePath", out.SavePath, in.SavePath, true},
	} {
		opened := (out.Store != nil || in.Store != nil) && (rule.name == "Provider" || rule.name == "SavePath")
		switch {
		case rule.out == rule.in || opened:
		case rule.unfitting:
			differ = append(differ, rule.name+" is another")
		default:
			differ = append(differ, fmt.Sprintf("%s is %v outside and %v inside", rule.name, rule.out, rule.in))
		}
	}
	return strings.Join(differ, ", ")
}

// aside lets a request pass without a session of this manager.
func (m *Manager) aside(next http.Handler, w http.ResponseWriter, r *http.Request, why *Session) {
	if _, other := lookup(r.Context()); other {
		next.ServeHTTP(w, r)
		return
	}
	m.pass(next, w, r, r.WithContext(context.WithValue(r.Context(), sessionKey{}, why)))
}

// pass has next serve inner, which is r, or a copy of it with another context.
func (m *Manager) pass(next http.Handler, w http.ResponseWriter, r, inner *http.Request) {
	if inner != r {
		defer m.removeUploads(inner)
	}
	next.ServeHTTP(w, inner)
}

func (m *Manager) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if m.closed.Load() {
		m.sendError(r.Context(), w, r, "", ErrClosed)
		return
	}
	x := m.newExchange(w, r)
	defer x.release() // of a session that could not be loaded, too: a hook may have asked for its Done
	if s := x.session.Load(); s != nil {
		tried, err := m.load(s, r.Header)
		if err != nil && !m.outage(s, tried, err) {
			m.sendError(x, w, r, tried, err)
			return
		}
	}
	x.inner = *r.WithContext(x) // the copy in between is not allocated
	r = &x.inner
	returned := false
	defer func() {
		if !returned {
			x.panicked()
		}
		m.removeUploads(r)
	}()
	w = x.writer.As()
	if m.guard != nil {
		m.guard.ServeHTTP(w, r)
	}
	if !x.returned {
		next.ServeHTTP(w, r)
	}
	returned = true
	x.finish()
}

// A gate is an exchange as what its response's header passes.
type gate exchange

// Open has the session stored before the header goes out.
func (g *gate) Open() (instead func()) {
	x := (*exchange)(g)
	s := x.session.Load()
	if s == nil {
		x.sent.Store(true)
		if s = x.session.Load(); s == nil {
			return nil // nobody asked for the session
		}
	}
	if err := x.store(s); err != nil {
		return func() { x.refuse(s, err) }
	}
	return nil
}

// refuse sends the error response in place of the handler's.
func (x *exchange) refuse(s *Session, err error) {
	if !errors.Is(err, ErrTooManySessions) { // which Config.On was told of already, and is no failure
		s.failed(err)
	}
	s.m.sendError(x, x.writer.Unwrap(), x.request, s.ID(), err)
}

// store has the session stored and its lines in the header. If it fails, the
// header is what it was before the handler, but for other cookies.
func (x *exchange) store(s *Session) error {
	h := x.writer.Unwrap().Header()
	if err := s.claim(s.m.patience()); err != nil {
		x.resetHeader(h)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.trouble.over = &unsentError{err}
		s.headerSent()
		return err
	}
	defer s.free()  // also when the store panics
	now := s.rec.At // the clock has a price; what is due since then, finish notes
	if s.persistent() {
		now = stored.Now() // but only here can a cookie slide
		s.reply.carries = !response.Shareable(h)
		defer func() { s.reply.carries = false }()
	}
	s.reply.altered = s.reply.altered || s.unstored()
	err := s.commitAll(now, (*Session).pending)
	if isOver(err) || errors.Is(err, ErrCrossSite) && safe(x.request.Method) {
		err = nil // dropped, counted and logged; the response goes on
	}
	if err == nil && s.reply.carries && s.outrun(now) {
		s.slide()
	}
	s.trouble.broken = err != nil
	if err != nil {
		s.trouble.over = &unsentError{err}
		x.resetHeader(h)
	}
	s.header(h, err, !x.returned)
	s.headerSent()
	return err
}

// isOver reports whether err says that the session has ended, by no Destroy of
// this request's: what it did is dropped, and that is no failure.
func isOver(err error) bool {
	return (errors.Is(err, ErrDestroyed) || errors.Is(err, ErrSuperseded)) && !isA[*logoutError](err)
}

// headerSent notes that the response's header has left.
func (s *Session) headerSent() {
	if s.phase != phaseReleased {
		s.phase = phaseSent
	}
}

// finish ends the exchange after the handler returned: it stores what was not
// stored yet, and what was changed after the header went out.
func (x *exchange) finish() {
	x.returned = true
	s := x.session.Load()
	if !x.writer.Sent() {
		if s != nil {
			s.mu.Lock()
			s.rec.At = stored.Now()
			s.mu.Unlock()
		}
		x.writer.Open()
		return
	}
	if s == nil || x.writer.Refused() {
		return
	}
	cred, err := s.commitLate()
	if err != nil && !isOver(err) {
		s.failed(err)
		x.log(slog.LevelError, "session: changes made after the header was sent are lost",
			slog.String("id", cred.ID().String()), slog.Any("error", err))
	}
}

// commitLate is commit after the header went out.
func (s *Session) commitLate() (record.Credentials, error) {
	if err := s.claim(s.m.patience()); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.rec.Cred, err
	}
	defer s.free()
	err := s.commitAll(stored.Now(), (*Session).unstored)
	return s.rec.Cred, err
}

// failed tells that a session could not be stored.
func (s *Session) failed(err error) {
	if s.m.cfg.On == nil {
		return
	}
	e := Event{Kind: EventFailed, ID: s.ID(), Err: err}
	s.mu.Lock()
	e.User = s.currentUser()
	s.mu.Unlock()
	s.m.tell((*callContext)(s.x), e)
}

// panicked ends the exchange of a handler that panicked: what it Set is
// dropped, what it Destroyed is destroyed. The panic goes on.
func (x *exchange) panicked() {
	s := x.session.Load()
	if s == nil {
		return
	}
	h := x.writer.Unwrap().Header()
	if err := s.claim(s.m.patience()); err != nil {
		s.failed(err)
		x.log(slog.LevelError, "session: what the handler destroyed before its panic may still be there",
			slog.String("id", s.ID()), slog.Any("error", err))
		return
	}
	defer s.free()
	r := s.want.removal
	if r == nil {
		return
	}
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
	s.want.changed = 0
	err := s.remove(ctx)
	if s.trouble.broken = err != nil; err != nil {
		s.log(slog.LevelError, "session: not destroyed after a panic", err)
		s.tell(&r.cred, Event{Kind: EventFailed, User: r.user, Err: err})
	}
	if !x.writer.Sent() {
		s.header(h, nil, false)
	}
}

// removeUploads removes the temporary files of a form that the handler parsed.
// net/http does so for its own request, and does not see the form of this copy.
func (m *Manager) removeUploads(r *http.Request) {
	if r.MultipartForm == nil {
		return
	}
	if err := r.MultipartForm.RemoveAll(); err != nil {
		m.log(r.Context(), r, slog.LevelWarn, "session: temporary files of an upload stay", slog.Any("error", err))
	}
}

// bind makes s an empty session of this request.
func (s *Session) bind(m *Manager, x *exchange) {
	s.m, s.x = m, x
	s.vals.Reset(record.Body{}, m.cfg.MaxBytes)
}

// outage decides whether a request goes on whose session, the one with the public
// ID tried, could not be loaded.
func (m *Manager) outage(s *Session, tried string, err error) bool {
	if m.cfg.OnOutage != OutageAnonymous {
		return false
	}
	m.stats.add(statUnavailable, nil)
	s.x.log(slog.LevelError, "session: not loaded, the request goes on without",
		slog.String("id", tried), slog.Any("error", err))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.startOver()
	s.trouble.outage, s.trouble.lost, s.trouble.late = true, nil, false
	return true
}

// sendError sends the error response and logs why, with the session's public ID,
// if it is known. Nothing has been sent yet. ctx is for the log.
func (m *Manager) sendError(ctx context.Context, w http.ResponseWriter, r *http.Request, id string, err error) {
	level := slog.LevelError
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		level = slog.LevelInfo // the client has gone; nobody reads the response
	}
	if isA[*logoutError](err) {
		level = slog.LevelInfo // two requests of one browser met; it tries again
	}
	if errors.Is(err, ErrTooManySessions) {
		level = slog.LevelInfo // as it is meant to be
	}
	if errors.Is(err, ErrCrossSite) {
		level = slog.LevelWarn // any page of any site can have this logged
	}
	attrs := []slog.Attr{slog.String("id", id), slog.Any("error", err), slog.Int("status", status(err))}
	if of, ok := errors.AsType[*callError](err); ok {
		attrs = append(attrs, of.attrs()...)
	}
	m.log(ctx, r, level, "session: request failed", attrs...)
	w.Header().Set("Cache-Control", "no-store")
	if m.cfg.ErrorHandler != nil {
		none := detached(fmt.Errorf("session: there is none for an ErrorHandler: %w", err))
		none.m, none.none.quiet = m, true
		told := r.WithContext(instead{r.Context(), m, none})
		defer m.removeUploads(told)
		m.cfg.ErrorHandler(w, told, err)
		return
	}
	code := status(err)
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, http.StatusText(code), code)
}

// log logs what happened in the request r, with its path and method, and attrs
// before.
func (m *Manager) log(ctx context.Context, r *http.Request, level slog.Level, message string, attrs ...slog.Attr) {
	m.cfg.Logger.LogAttrs(ctx, level, message, append(attrs, requestAttrs(r)...)...)
}

// log is Manager.log for the request of x, whether its client is there or not.
func (x *exchange) log(level slog.Level, message string, attrs ...slog.Attr) {
	x.m.log((*callContext)(x), x.request, level, message, attrs...)
}

// requestAttrs are what the log says of a request: never its query, or a header.
func requestAttrs(r *http.Request) []slog.Attr {
	path := ""
	if r.URL != nil { // made by hand
		path = shortKey(r.URL.Path)
	}
	return []slog.Attr{slog.String("path", path), slog.String("method", r.Method)}
}

// status returns the status of the error response: the store's fault, or the
// handler's own.
func status(err error) int {
	switch {
	case errors.Is(err, ErrCrossSite), errors.Is(err, ErrTooManySessions):
		return http.StatusForbidden
	case errors.Is(err, backend.ErrTooLarge), errors.Is(err, backend.ErrUser):
		return http.StatusInternalServerError
	case isA[*StoreError](err), isA[*goneError](err), isA[*logoutError](err), errors.Is(err, ErrUnavailable), errors.Is(err, ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// release ends the session's life. Who asks for one from now on gets none.
func (x *exchange) release() {
	if x.session.CompareAndSwap(nil, x.m.released) {
		return
	}
	s := x.session.Load()
	s.mu.Lock()
	s.unwatch()
	s.phase = phaseReleased
	s.unlock()
}

// Start returns the session of r for code that is not behind the middleware,
// as Beego's StartSession does. The caller must [Session.Release] it, which
// stores it:
//
//	s, err := manager.Start(w, r)
//	if err != nil { … }
//	defer s.Release()
//
// The cookie goes into w's header as soon as it is known that one is needed:
// at the first Set of a new session, at Renew, at Destroy. So make changes
// before the first byte of the response, and call [Session.Save] there to have
// the error while a response can still say so; this library cannot see w's header
// leave, and cannot hold it back, as the middleware does. A deferred Release
// also stores what a handler Set before it panicked, which the middleware would
// drop.
//
// The response depends on the cookie, so Start adds it to Vary (add to that, do
// not Set it), and where it finds a live session, it keeps the response out of
// shared caches, unless there is a Cache-Control already: with "private", and
// once the session is changed with "no-store". After that only methods that
// change the session write to the header; all others may run beside whatever does.
//
// Behind this manager's middleware, Start returns the session that is there;
// behind that of another one with the same cookie name and other rules it is an
// error. All Starts of one request return the same session, for which r gets
// another context: so handlers and middleware that r is passed to find it. If
// Start is called again before Release, the inner Release only stores.
//
// A persistent cookie is sent again by Start itself, with a Touch of the store,
// when that is due: with those, [Session.NoTouch] comes too late.
//
// A session that cannot be loaded is an error, whatever Config.OnOutage says. So
// is one that package devicebound wants to respond for: see ErrUnproven.
func (m *Manager) Start(w http.ResponseWriter, r *http.Request) (*Session, error) {
	if m.cfg.Disabled {
		return nil, ErrDisabled
	}
	if m.closed.Load() {
		return nil, ErrClosed
	}
	if s, err := m.outer(r); s != nil || err != nil {
		s.startAgain()
		return s, err
	}
	s := m.newExchange(w, r).get()
	if a := adoption.Of(r.Context()); a != nil {
		m.lend(a)
		a.Lines = func() []string { return s.cookieLines(w.Header()) }
		s.start.candidate = true
	}
	h := w.Header()
	s.setVary(h)
	loaded := false
	defer func() {
		if !loaded {
			s.x.release()
		}
	}()
	s.start.header = h
	if m.admit != nil { // at an endpoint of the guard's, whatever the token is
		if err := m.admit(s, nil); err != nil {
			return nil, err
		}
	}
	if _, err := m.load(s, r.Header); err != nil {
		return nil, err
	}
	loaded = true
	s.mu.Lock()
	s.reply.used = true
	slides := s.rec.Exists && s.slides() && !response.Shareable(h) && !standin.Marked(r.Context())
	s.mu.Unlock()
	if slides {
		s.slideNow()
	}
	*r = *r.WithContext(&startedIn{s.x.Context, s.x}) // as package gorilla/sessions does
	return s, nil
}

// slideNow notes that the user is active and sends the cookie again, if that is
// due: when Release does, the header may have left long ago.
func (s *Session) slideNow() {
	if err := s.claim(nestedAfter); err != nil {
		return // the next request is as good
	}
	defer s.free()
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	s.reply.carries = true
	defer func() { s.reply.carries = false }()
	s.touch(ctx)
	if s.outrun(stored.Now()) {
		s.slide()
	}
}

// startAgain makes a session that was started and released one in use.
func (s *Session) startAgain() {
	if s == nil || s.start.header == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start.nested = s.start.nested || s.phase != phaseReleased
	s.phase = phaseOpen
}

// inUse reports whether s is there, and not released.
func (s *Session) inUse() bool {
	if s == nil || s.start.header == nil {
		return s != nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase != phaseReleased
}

// within returns r for handlers that use s.
func (s *Session) within(r *http.Request) *http.Request {
	if s.start.header == nil || r.Context().Value(sessionKey{}) == s {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
}

// startedIn is the context of a request after Start. Its session is found by
// the cookie, and without that where no other is.
type startedIn struct {
	context.Context
	x *exchange
}

// Value finds the session; other keys are the request's own context's.
func (c *startedIn) Value(key any) any {
	switch key := key.(type) {
	case sessionKey, identityKey, requestKey:
		if other := c.Context.Value(key); other != nil {
			return other
		}
		return c.x.Value(key)
	case *cookieKey:
		if *key == c.x.m.key || key.shares(c.x.m.key) {
			return c.x.Value(key)
		}
	}
	return c.Context.Value(key)
}

// String names the context as package context does.
func (c *startedIn) String() string { return c.x.String() }

// Format prints String whatever the verb.
func (c *startedIn) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// Release stores the session and ends its use: what [Manager.Start] began. The
// error is that of Save. Releasing again does nothing. Behind the middleware,
// which releases by itself, it only stores.
func (s *Session) Release() error {
	if s.start.header == nil {
		return s.Save()
	}
	if err := s.claim(s.m.patience()); err != nil {
		s.mu.Lock()
		defer s.unlock()
		s.endStart()
		return err
	}
	defer s.free()
	if s.phase == phaseReleased {
		return nil
	}
	if s.trouble.broken && s.trouble.over == nil && (!s.rec.Exists && s.dirty() || s.want.changed&changedSecret != 0) {
		// The caller has had the error, and most likely responded with it.
		s.trouble.over = &unsentError{errors.New("session: Save failed, and what it did not store needs a new token at the client")}
	}
	err := s.commitAll(stored.Now(), (*Session).unstored)
	s.trouble.broken = err != nil
	if err == nil {
		err = s.trouble.refused
	}
	s.announce()
	s.endStart()
	return err
}

// endStart ends the use of a session of Manager.Start, unless somebody who has
// started it before still uses it.
func (s *Session) endStart() {
	if !s.start.nested {
		s.phase = phaseReleased
		s.unwatch()
	}
}
