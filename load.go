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
// If the manager has a guard, that may want to respond itself: instead of the
// program, which then must not see the session. With an error, tried is the
// public ID that could not be loaded.
func (m *Manager) load(s *Session, h http.Header) (instead http.Handler, tried string, err error) {
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
		instead, err = m.loadOne(s, &seen[n-1])
		return err == nil && n < most
	})
	s.mu.Lock()
	s.phase = phaseOpen
	s.want.noTouch = s.want.noTouch || instead != nil
	s.free()
	if err != nil {
		tried = seen[n-1].ID().String()
	}
	return instead, tried, err
}

// loadOne makes s the session of cred if there is one.
func (m *Manager) loadOne(s *Session, cred *record.Credentials) (instead http.Handler, err error) {
	ctx, cancel := m.loadContext(s.x)
	var got stored.Copy
	values, err := m.store.Load(ctx, cred, &got)
	cancel()
	m.stats.add(statLoads, cred)
	if err != nil {
		return nil, m.notLoaded(s, cred, got.Version, got.User, err)
	}
	m.stats.add(statHits, cred)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rec, s.reply.live = got, true
	s.trouble.lost, s.trouble.late = nil, false
	s.vals.Reset(values, m.cfg.MaxBytes)
	if m.guard != nil {
		instead = m.guard.admit(s)
	}
	return instead, nil
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

// A guardian is what a manager's guard does to sessions. It is an interface, of
// types that are here anyhow, so that a program without a guard has none of the
// code behind it.
type guardian interface {
	endpoint(r *http.Request, program http.Handler) http.Handler
	admit(s *Session) (instead http.Handler)
	header(s *Session, h http.Header, state cookieState, cred *record.Credentials)
	see(s *Session) any
}

// Guard has a guard look after all sessions of m from now on; where makes it,
// from what it has to know of m. It is for packages of this module, and called
// before m serves anything: see package devicebound.
func (m *Manager) Guard(where func(guard.Manager) (guard.Guard, error)) error {
	if m.guard != nil {
		return errors.New("session: this manager's sessions are bound already")
	}
	byCookie := m.cfg.Transport.cookie()
	for i := range m.cfg.Transport.first {
		byCookie = byCookie || m.cfg.Transport.first[i].cookie()
	}
	g, err := where(guard.Manager{Cookie: m.cookie.Options(), ByCookie: byCookie, Disabled: m.cfg.Disabled})
	if err != nil {
		return err
	}
	m.guard = &guarded{g}
	return nil
}

// guarded is a guard as a guardian.
type guarded struct{ guard guard.Guard }

// endpoint returns what serves r: an endpoint of the guard's, or else the program.
func (g *guarded) endpoint(r *http.Request, program http.Handler) http.Handler {
	if endpoint := g.guard.Endpoint(r); endpoint != nil {
		return endpoint
	}
	return program
}

// admit has the guard decide about a request whose session has been loaded into
// s, mu held. An endpoint has it in any case; if the request is refused, s is
// empty again.
func (g *guarded) admit(s *Session) (instead http.Handler) {
	if endpoint := g.guard.Endpoint(s.x.request); endpoint != nil {
		return endpoint
	}
	c := &s.rec
	verdict := g.guard.Admit(s.x.request, &guard.Session{Cred: &c.Cred, User: c.User, Since: since(c), Kept: s.vals.Reserved()})
	if verdict.Refused {
		s.m.stats.add(statRejected, &c.Cred)
		if !verdict.Foreign {
			s.tell(&c.Cred, Event{Kind: EventRejected, User: c.User, Reason: ReasonUnproven})
		}
		s.startOver()
		s.reply.live, s.reply.foreign = false, verdict.Foreign
	}
	return verdict.Instead
}

// header has the guard complete the header of a response, mu held: state and
// cred are what Session.token has decided.
func (g *guarded) header(s *Session, h http.Header, state cookieState, cred *record.Credentials) {
	kept := s.vals.Reserved()
	switch {
	case state == cookieRemove:
	case state != cookieSet && (!s.rec.Exists || !s.reply.live || response.Shareable(h)):
		return
	case kept != nil: // it goes on as it is
		return
	}
	view := &guard.Session{Cred: cred, User: s.currentUser(), Since: since(&s.rec), Cookie: s.x.transport.cookie(),
		New: state == cookieSet, Gone: state == cookieRemove, Kept: kept}
	if view.New {
		view.Since = time.Now()
	}
	g.guard.Header(h, s.x.request, view)
}

// see returns what a guard's own handler sees of s, mu held; nil if there is
// no session.
func (g *guarded) see(s *Session) any {
	if !s.rec.Exists {
		return (*guard.Session)(nil)
	}
	cred := s.rec.Cred
	return &guard.Session{Cred: &cred, User: s.currentUser(), Since: since(&s.rec), Cookie: s.x.transport.cookie(),
		Kept: s.vals.Reserved(), Guard: g.guard, Keep: s.keep}
}

// keep stores the reserved value if there is none yet, and returns what it is
// then.
func (s *Session) keep(value []byte) (kept []byte, err error) {
	err = s.Update(func(v *Values) error {
		if kept = v.c.Reserved(); kept != nil {
			return nil
		}
		kept = value
		return v.c.SetReserved(value)
	})
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
