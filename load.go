package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/guard"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/response"
	"github.com/chisession/session/internal/stored"
)

// load finds the session that the request's tokens name. Of several cookies
// of the name the first that is a live session counts: a stale one that some
// other path or sub-domain set must not hide it.
//
// While it runs, s is handed out in the context of the store calls: it is
// empty, can be read, and refuses to be changed.
//
// With an error, tried is the public ID that could not be loaded.
func (m *Manager) load(s *Session, h http.Header) (tried string, err error) {
	const most = 4
	var seen [most]record.Credentials
	n := 0
	s.work.busy, s.phase = true, phaseLoading // nobody else has s before the first store call
	m.tokens(s.x.transport, h, func(value string) bool {
		cred, ok := record.ParseToken(value)
		if !ok || slices.Contains(seen[:n], cred) {
			return true
		}
		if n == 1 {
			m.stats.add(statTossed, &cred)
			m.tellRejected(s, &cred, ReasonTossed)
		}
		if s.rec.Exists {
			return false
		}
		seen[n] = cred
		n++
		err = m.loadOne(s, &seen[n-1])
		return err == nil && n < most
	})
	s.mu.Lock()
	s.phase = phaseOpen
	s.free()
	if err != nil {
		tried = seen[n-1].ID().String()
	}
	return tried, err
}

// loadOne makes s the session of cred if there is one.
func (m *Manager) loadOne(s *Session, cred *record.Credentials) error {
	ctx, cancel := m.loadContext(s.x)
	var got stored.Copy
	values, err := m.store.Load(ctx, cred, &got)
	cancel()
	m.stats.add(statLoads, cred)
	if err != nil {
		return m.notLoaded(s, cred, got.Version, got.User, err)
	}
	m.stats.add(statHits, cred)
	s.mu.Lock()
	s.rec, s.reply.live = got, true
	s.trouble.lost, s.trouble.late = nil, false
	s.vals.Reset(values, m.cfg.MaxBytes)
	s.mu.Unlock()
	if m.admit != nil {
		return m.admit(s, nil)
	}
	return nil
}

// notLoaded tells why cred is no session's, or returns the store's error.
func (m *Manager) notLoaded(s *Session, cred *record.Credentials, version uint64, user string, err error) error {
	switch {
	case errors.Is(err, backend.ErrCorrupt), errors.Is(err, stored.ErrDamaged):
		m.unreadable(s, cred, err)
	case errors.Is(err, stored.ErrSuperseded):
		s.cameLate()
		m.reject(s, cred, ReasonSuperseded)
	case errors.Is(err, stored.ErrSecret):
		m.reject(s, cred, ReasonSecret)
	case errors.Is(err, stored.ErrAbsolute):
		m.expire(s, cred, version, user)
		m.reject(s, cred, ReasonAbsolute)
	case errors.Is(err, backend.ErrNotFound):
		if m.store.Can.Confirms {
			gone := *cred
			s.want.absent = &gone
		}
		m.reject(s, cred, ReasonUnknown)
	case s.x.Err() != nil && errors.Is(err, s.x.Err()):
		return &StoreError{Op: "load", Err: err} // the client has gone: no fault of the store's
	default:
		err = m.failed("load", err)
		m.tellOf(cred, s.x, Event{Kind: EventUnavailable, Err: err})
		return err
	}
	return nil
}

// cameLate notes that a token was replaced moments ago.
func (s *Session) cameLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble.lost, s.trouble.late = ErrSuperseded, true
}

// loadContext is a storeContext that also ends with the client, where the
// store wants a deadline at all.
func (m *Manager) loadContext(x *exchange) (context.Context, context.CancelFunc) {
	if m.bounded {
		return (*callContext)(x), func() {}
	}
	return context.WithTimeout(x.Context, m.cfg.StoreTimeout)
}

func (m *Manager) reject(s *Session, cred *record.Credentials, reason Reason) {
	m.stats.add(statRejected, cred)
	m.tellRejected(s, cred, reason)
}

// unreadable tells of a damaged record. The request gets a new session.
func (m *Manager) unreadable(s *Session, cred *record.Credentials, err error) {
	m.stats.add(statUnreadable, cred)
	s.x.log(slog.LevelWarn, "session: unreadable record, the request gets a new session",
		slog.String("id", cred.ID().String()), slog.Any("error", err))
	m.reject(s, cred, ReasonUnreadable)
}

func (m *Manager) tellRejected(s *Session, cred *record.Credentials, reason Reason) {
	m.tellOf(cred, s.x, Event{Kind: EventRejected, Reason: reason})
}

// expire removes a session whose absolute timeout has passed. If that fails
// the session is over all the same; the sweep will find the record. If another
// request has renewed or prolonged it at this very moment, this one came late.
func (m *Manager) expire(s *Session, cred *record.Credentials, version uint64, user string) {
	ctx, cancel := m.storeContext(s.x)
	defer cancel()
	err := m.store.DeleteVersion(ctx, cred.ID(), version)
	switch {
	case err == nil:
		m.stats.add(statDeletes, cred)
		m.tellOf(cred, s.x, Event{Kind: EventEnded, User: user, Reason: ReasonAbsolute})
	case errors.Is(err, backend.ErrNotFound):
	case errors.Is(err, backend.ErrConflict):
		s.cameLate()
	default:
		s.x.log(slog.LevelWarn, "session: expired, but not removed",
			slog.String("id", cred.ID().String()), slog.Any("error", m.failed("delete", err)))
	}
}

// Reload drops what this request changed since it was last stored, and reads
// the session anew, with what other requests have stored. If the session has
// ended it is ErrDestroyed, or ErrSuperseded, and the session is empty.
func (s *Session) Reload() error {
	if err := s.claim(nestedAfter); err != nil {
		return err
	}
	defer s.free()
	s.reply.used = true
	if err := s.gone(); err != nil {
		return err
	}
	if s.trouble.outage {
		return ErrUnavailable
	}
	if err := firstError(s.trouble.over, s.trouble.lost); err != nil {
		return err
	}
	s.trouble.err, s.trouble.refused = nil, nil
	s.want.forget()
	if !s.rec.Exists {
		s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
		return nil
	}
	return s.reload()
}

// reload is Reload for a session that was stored. If Destroy is called meanwhile,
// what the store returns means nothing.
func (s *Session) reload() error {
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	var (
		epoch, cred = s.work.epoch, s.rec.Cred
		newest      stored.Copy
		values      record.Body
		err         error
	)
	s.outside(func() { values, err = s.m.store.Load(ctx, &cred, &newest) })
	s.m.stats.add(statLoads, &cred)
	if s.work.epoch != epoch {
		return nil
	}
	if err == nil {
		s.rec = newest
		s.vals.Reset(values, s.m.cfg.MaxBytes)
		return nil
	}
	lost := stored.LostBy(err)
	if lost == nil {
		return s.m.failed("load", err)
	}
	out := stored.Outcome{Lost: lost}
	if errors.Is(err, stored.ErrDamaged) {
		out.Damage = err
	}
	s.reportLoss(&out)
	return s.trouble.lost
}

// Guard has a guard look after all sessions of m from now on; where makes it,
// from what it has to know of m. It is for packages of this module, and called
// before m serves anything: see package devicebound.
func Guard(m *Manager, where func(guard.Manager) (guard.Guard, error)) error {
	if m.guard != nil {
		return errors.New("session: this manager's sessions are bound already")
	}
	byCookie := m.cfg.Transport.cookie()
	for i := range m.cfg.Transport.first {
		byCookie = byCookie || m.cfg.Transport.first[i].cookie()
	}
	g, err := where(guard.Manager{Cookie: m.cookie.Options(), ByCookie: byCookie, Disabled: m.cfg.Disabled, See: see})
	if err != nil {
		return err
	}
	by := &guarded{g}
	m.guard, m.admit, m.complete = by, by.admit, by.complete
	// Its sessions need another cookie, too. A manager that does not know of that has
	// other rules, and around this one it would be a way past the guard.
	m.key += ";" + cookieKey(g.Cookie()) + ";"
	m.cfg.ErrorHandler = by.errorHandler(m.cfg.ErrorHandler)
	return nil
}

// A hook is what a guard does to a session, or to the header of its response. Both are
// of one type, which is all that a program without a guard has of them.
type hook = func(*Session, http.Header) error

// guarded is what a manager with a guard does besides.
type guarded struct{ guard guard.Guard }

// insteadKey is the key of the local that responds instead of the program.
type insteadKey struct{}

// admit is the hook for a session that has been loaded, or that Manager.Start is about
// to load. If the request is refused, s is empty again. The error is for Start.
func (g *guarded) admit(s *Session, _ http.Header) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.guard.Endpoint(s.x.request) == nil {
		if !s.rec.Exists {
			return nil
		}
		c, values := &s.rec, s.vals.Base()
		verdict := g.guard.Admit(s.x.request, &guard.Session{Cred: &c.Cred, User: c.User, Since: since(c),
			At: time.UnixMilli(c.At), Kept: record.Kept(&values)})
		s.reply.foreign = verdict.Foreign
		if verdict.Refused {
			s.refused()
		}
		if verdict.Instead == nil {
			return nil
		}
		s.keepLocal(insteadKey{}, verdict.Instead)
	}
	s.want.noTouch = true
	if s.start.header != nil {
		return ErrUnproven
	}
	return nil
}

// refused makes s, whose token the guard refuses, an empty session.
func (s *Session) refused() {
	s.m.stats.add(statRejected, &s.rec.Cred)
	if !s.reply.foreign {
		s.tell(&s.rec.Cred, Event{Kind: EventRejected, User: s.rec.User, Reason: ReasonUnproven})
	}
	s.startOver()
	s.reply.live = false
}

// ServeHTTP serves a request in place of the program, if it is the guard's to serve.
// Then the exchange says that its handler has returned.
func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := r.Context().(*exchange)
	handler := g.guard.Endpoint(r)
	if s := x.session.Load(); s != nil && handler == nil {
		s.mu.Lock()
		handler, _ = s.locals[insteadKey{}].(http.Handler)
		s.mu.Unlock()
	}
	if handler != nil {
		handler.ServeHTTP(w, r)
		x.returned = true
	}
}

// complete is the hook for the header h of a response that is about to leave, mu
// held. The session's own lines are not in it yet. It never fails.
func (g *guarded) complete(s *Session, h http.Header) error {
	state, cred := s.token(h)
	values := s.vals.Base()
	kept := record.Kept(&values)
	user := s.currentUser()
	switch {
	case state == cookieRemove:
	case state != cookieSet && (!s.rec.Exists || !s.reply.live || response.Shareable(h)):
		if s.start.header == nil {
			return nil
		}
		user = "" // what an earlier call did for a login is undone
	case kept != nil: // it goes on as it is
		return nil
	}
	view := &guard.Session{Cred: cred, User: user, Since: since(&s.rec), Cookie: s.x.transport.cookie(),
		New: state == cookieSet, Gone: state == cookieRemove, Kept: kept}
	if view.New {
		view.Since = time.Now()
	}
	g.guard.Header(h, s.x.request, view)
	return nil
}

// errorHandler returns what responds to errors: at an endpoint no handler of the
// program's, as any status but a 503 may mean something to the browser.
func (g *guarded) errorHandler(program func(http.ResponseWriter, *http.Request, error)) func(http.ResponseWriter, *http.Request, error) {
	if program == nil {
		return nil
	}
	return func(w http.ResponseWriter, r *http.Request, err error) {
		if g.guard.Endpoint(r) == nil {
			program(w, r, err)
			return
		}
		w.Header().Set("Retry-After", "1")
		http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	}
}

// see returns what a guard's own handler sees of a *Session; nil if that is not
// stored, or its manager has no guard.
func see(session any) *guard.Session {
	s := session.(*Session)
	if !s.begin("Bound") {
		return nil
	}
	defer s.unlock()
	g, ok := s.m.guard.(*guarded)
	if !ok || !s.rec.Exists {
		return nil
	}
	cred, values := s.rec.Cred, s.vals.Base()
	return &guard.Session{Cred: &cred, User: s.currentUser(), Since: since(&s.rec), Cookie: s.x.transport.cookie(),
		Kept: record.Kept(&values), Guard: g.guard, Keep: s.keep}
}

// keep has value kept in the record if nothing is yet, and returns what is kept
// then.
func (s *Session) keep(value []byte) (kept []byte, err error) {
	err = s.Update(func(v *Values) error {
		values := v.c.Base()
		if kept = record.Kept(&values); kept != nil {
			return nil
		}
		kept = value
		record.Keep(&v.c, value)
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && s.want.changed&changedOwner != 0 { // a login meanwhile is to be stored without what was there before
		record.Keep(&s.vals, kept)
	}
	return kept, err
}

// since returns when the session of c got its secret.
func since(c *stored.Copy) time.Time {
	created := record.CreatedAt(c.Cred.ID())
	if renewed := time.UnixMicro(c.Head.Renewed); renewed.After(created) {
		return renewed
	}
	return created
}
