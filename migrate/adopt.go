package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/adoption"
	"github.com/chisession/session/migrate/internal/hook"
)

// Adopt returns the middleware that adopts the sessions of format in source
// into those of m. It belongs right behind m.Middleware, and does nothing to
// requests that have a session of m, or no old cookie. One that has an old
// cookie and no session costs a look into source, and if nothing is there one
// into the store of m; of several old cookies up to four are looked up. See the
// package's page for what is promised.
//
// It logs, at start, where it looks and how many old sessions it sees there, if
// source is a [Surveyor], and waits up to Options.Timeout for that.
//
// It panics, at start, if m would give the new token in a header to a client that brings
// nothing but the old cookie: such a client could not use it. With
// session.FirstOf, put session.Transport{} last. A request that chose a header
// (it brings it, if only without a value) passes untouched: the old session
// waits for one that takes cookies. It panics, too, if Options.IDPrefix cannot
// be a part of a cookie and of a file's name.
//
// The new session ends no later than the old one's deadline, where the format
// has one. The response that hands out its cookie is Cache-Control: no-store,
// whatever the handler said, and removes the old cookie if that has another
// name.
func Adopt(m *session.Manager, format Format, source Source, opts Options) func(http.Handler) http.Handler {
	a := &adopter{m: m, format: format, source: source, opts: opts.withDefaults()}
	a.start()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, next) })
	}
}

type adopter struct {
	m       *session.Manager
	format  Format
	source  Source
	opts    Options
	door    *adoption.Adoption // nil if there are no sessions
	names   []string           // of the old library's cookie
	flights flights
	said    said
}

// start checks what can be checked before the first request.
func (a *adopter) start() {
	if err := checkPrefix(a.opts.IDPrefix); err != nil {
		panic("migrate: Options.IDPrefix: " + err.Error())
	}
	var door adoption.Adoption
	plain := &http.Request{Header: http.Header{}}
	s, err := a.m.Start(response{http.Header{}}, plain.WithContext(adoption.With(context.Background(), &door)))
	if err != nil {
		return // there are no sessions: nothing will be adopted
	}
	_ = s.Release() // nothing is in it
	a.door = &door
	a.names = cookieNames(a.opts.CookieName, door.Cookie.Name, a.format.CookieName)
	for _, name := range a.names {
		plain.Header.Set("Cookie", name+"=-")
		if line, err := a.newCookie(plain, nil); err == nil && line == "" {
			panic("migrate: a browser with the cookie " + name + " would get its new token in a header: " +
				"Config.Transport must take cookies; in session.FirstOf, put session.Transport{} last")
		}
	}
	a.survey()
}

// serve sends a request on to next, with the session adopted for it if there
// is one.
func (a *adopter) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ids := a.oldIDs(r)
	if len(ids) == 0 || a.door == nil {
		next.ServeHTTP(w, r)
		return
	}
	current := a.m.FromContext(r)
	if current.Unavailable() || current.Err() != nil {
		next.ServeHTTP(w, r) // there are no sessions here
		return
	}
	if !current.IsNew() {
		a.loggedIn(w, r, next, current, ids)
		return
	}
	line, err := a.newCookie(r, current)
	if err != nil || line == "" {
		next.ServeHTTP(w, r)
		return
	}
	obstacle := a.obstacle(r, line)
	got, err := a.first(r, current, ids, obstacle)
	switch {
	case err == nil:
		a.run(w, r, next, current, got, obstacle == nil)
	case errors.Is(err, ErrNotFound):
		next.ServeHTTP(w, r)
	case errors.Is(err, errGone):
		next.ServeHTTP(w, r) // nobody reads the response
	case errors.Is(err, ErrUndeliverable) && !errors.Is(err, errPrefetch):
		a.warnOnce(r, err)
		next.ServeHTTP(w, r)
	case errors.Is(err, errPrefetch):
		a.opts.ErrorHandler(w, r, err) // the browser asks again when the page is wanted
	case errors.Is(err, ErrUnreadable), errors.Is(err, ErrSkipped):
		a.warnOnce(r, err)
		next.ServeHTTP(w, r)
	case errors.As(err, new(*refusal)):
		a.log(r, slog.LevelWarn, "migrate: an old session was not adopted", err)
		next.ServeHTTP(w, r)
	default:
		a.log(r, slog.LevelError, "migrate: request failed", err)
		a.opts.ErrorHandler(w, r, err)
	}
}

// run serves a request in the adopted session, and hands out its cookie. The
// mark stays for as long as the session unless the response has left for the
// browser: the old cookie still opens the session then.
func (a *adopter) run(w http.ResponseWriter, r *http.Request, next http.Handler, current *session.Session, got landed, arrives bool) {
	out := hook.New(w, func(h http.Header) {
		got.ticket.addTo(h)
		if arrives && len(got.ticket.lines) > 0 {
			h["Set-Cookie"] = append(h["Set-Cookie"], a.removals(r)...)
		}
	})
	returned := false
	defer func() {
		out.Ready() // for a response without a byte, or one after a panic
		if arrives && (out.Gone() || returned && r.Context().Err() == nil) {
			a.settle(r, got)
		}
	}()
	a.m.Middleware(a.admit(&got, next)).ServeHTTP(out.As(), got.ticket.on(r, current))
	returned = true
}

// admit keeps the new cookie from a request that finds the adopted session
// renewed or ended already: it must not replace a newer one. One whose session
// could not be loaded gets it, here or with the middleware's 503, because the
// old cookie opens nothing any more.
func (a *adopter) admit(got *landed, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := a.m.FromContext(r)
		switch {
		case s.Unavailable():
		case s.IsNew():
			got.ticket = ticket{}
		case got.won:
			if err := a.door.Trim(r.Context(), s.User()); err != nil {
				a.log(r, slog.LevelWarn, "migrate: a user may have more sessions than MaxPerUser until the next login", err)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// settle notes that the browser has its new cookie.
func (a *adopter) settle(r *http.Request, got landed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), cleanUpTimeout)
	defer cancel()
	if err := got.mark.settle(ctx, a.door.Store); err != nil {
		a.log(r, slog.LevelWarn, "migrate: an old cookie opens the adopted session until that ends", err)
	}
}

// loggedIn serves a request that has a session of the manager and an old cookie
// beside it. A logout must end what the old cookie opens, too.
func (a *adopter) loggedIn(w http.ResponseWriter, r *http.Request, next http.Handler, current *session.Session, ids []string) {
	out := hook.New(w, func(h http.Header) {
		if current.IsNew() {
			h["Set-Cookie"] = append(h["Set-Cookie"], a.removals(r)...)
		}
	})
	defer func() {
		out.Ready()
		if !current.IsNew() {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.opts.Timeout)
		defer cancel()
		for _, id := range ids {
			if err := a.end(ctx, id); err != nil {
				a.log(r, slog.LevelError, "migrate: a logout did not end the old session", err)
			}
		}
	}()
	next.ServeHTTP(out.As(), r)
}

// end removes an old session that was never adopted.
func (a *adopter) end(ctx context.Context, id string) error {
	for {
		data, err := a.source.Load(ctx, id, a.opts.MaxBytes)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("load the old session: %w", err)
		}
		if err := a.source.Remove(ctx, id, data); !errors.Is(err, ErrChanged) {
			return err
		}
	}
}

// A landed is an adoption that is done.
type landed struct {
	ticket ticket
	mark   mark
	won    bool // by this request: the user's oldest sessions may go
}

// first adopts the first of ids that is a live session: a dead cookie, of
// another path or sub-domain, must not hide it.
func (a *adopter) first(r *http.Request, current *session.Session, ids []string, obstacle error) (got landed, err error) {
	for _, id := range ids {
		adopt := func() (landed, error) { return a.adopt(r, current, id, obstacle) }
		if obstacle != nil {
			got, err = adopt() // it starts nothing that others could wait for
		} else {
			got, err = a.flights.do(r.Context(), a.opts.Timeout+cleanUpTimeout, id, adopt)
		}
		if !errors.Is(err, ErrNotFound) {
			break
		}
	}
	return got, err
}

var (
	// errBusy says that another process is adopting the session.
	errBusy = fmt.Errorf("%w: another process is at it", ErrChanged)

	// errGone says that the client has gone: what it would be sent goes
	// nowhere, so its old session stays.
	errGone = errors.New("migrate: the client has gone")
)

// adopt moves the old session id into a new one, or finds the one that another
// process has moved it to.
func (a *adopter) adopt(r *http.Request, current *session.Session, id string, obstacle error) (landed, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.opts.Timeout)
	defer cancel()
	try := attempt{adopter: a, r: r, current: current, id: id, obstacle: obstacle}
	for {
		got, err := try.once(ctx)
		if !errors.Is(err, errBusy) {
			return got, err
		}
		timer := time.NewTimer(10*time.Millisecond + rand.N(20*time.Millisecond))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return landed{}, err
		case <-r.Context().Done():
			timer.Stop()
			return landed{}, errGone
		}
	}
}

// An attempt is what one request does to adopt one old session.
type attempt struct {
	*adopter
	r        *http.Request
	current  *session.Session
	id       string
	obstacle error // why the new cookie would not arrive

	readySince time.Time // when a mark that is ready was first seen beside the old record
}

// stalled is how long the process that has stored a new session is given to
// remove the old record, before another does it.
const stalled = 100 * time.Millisecond

// once looks at how far the adoption is, and goes on from there. It is errBusy
// if that is up to another process.
func (t *attempt) once(ctx context.Context) (landed, error) {
	data, err := t.source.Load(ctx, t.id, t.opts.MaxBytes)
	if errors.Is(err, ErrNotFound) {
		return t.join(ctx, err)
	}
	if err != nil {
		return landed{}, fmt.Errorf("load the old session: %w", err)
	}
	old, err := t.format.Decode(data, t.opts.MaxBytes)
	if err != nil {
		return landed{}, err
	}
	if !old.Deadline.IsZero() && !old.Deadline.After(time.Now()) || len(old.Values)+len(old.Skipped) == 0 {
		return landed{}, ErrNotFound // Beego keeps an empty record for every visitor
	}
	if err := firstOf(t.obstacle, t.clientGone()); err != nil {
		return landed{}, err
	}
	m, err := t.claim(ctx, t.door.Store, t.id)
	switch {
	case errors.Is(err, backend.ErrExists):
		return t.complete(ctx, data)
	case err != nil:
		return landed{}, fmt.Errorf("mark the old session as being adopted: %w", err)
	}
	return t.win(ctx, m, old, data)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *attempt) clientGone() error {
	if t.r.Context().Err() != nil {
		return errGone
	}
	return nil
}

// join returns the session that the old one has become; the error is none if
// there is no mark.
func (t *attempt) join(ctx context.Context, none error) (landed, error) {
	m, err := t.marked(ctx, t.door.Store, t.id)
	switch {
	case err != nil:
		return landed{}, err
	case m == nil:
		return landed{}, none
	case !m.ready():
		return landed{}, errBusy
	}
	return t.land(m, false)
}

func (t *attempt) land(m *mark, won bool) (landed, error) {
	got, err := m.ticket()
	return landed{got, *m, won}, err
}

// complete does what the process that stored the new session would do next, if
// it died before that: it removes the old record, which is data.
func (t *attempt) complete(ctx context.Context, data []byte) (landed, error) {
	m, err := t.marked(ctx, t.door.Store, t.id)
	switch {
	case err != nil:
		return landed{}, err
	case m == nil || !m.ready():
		return landed{}, errBusy
	case t.readySince.IsZero():
		t.readySince = time.Now()
		return landed{}, errBusy
	case time.Since(t.readySince) < stalled:
		return landed{}, errBusy
	}
	// The new version tells that process, should it live, that this one goes on.
	err = m.write(ctx, t.door.Store)
	if errors.Is(err, backend.ErrConflict) || errors.Is(err, backend.ErrNotFound) {
		return landed{}, errBusy
	}
	if err != nil {
		return landed{}, fmt.Errorf("mark the old session as adopted: %w", err)
	}
	err = t.source.Remove(ctx, t.id, data)
	if errors.Is(err, ErrChanged) {
		return landed{}, errBusy
	}
	if err != nil {
		return landed{}, fmt.Errorf("remove the old session: %w", err)
	}
	return t.land(m, true)
}

// win makes the new session of an old one that this process alone is adopting,
// and then removes the old record. Whatever fails before the mark is ready is
// undone; from then on every request with the old cookie can complete it.
func (t *attempt) win(ctx context.Context, m *mark, old Record, data []byte) (landed, error) {
	kept := false // the mark, and with it the session
	defer func() {
		if !kept { // Adopted may have panicked
			t.undo(m)
		}
	}()
	r := bare(t.r, t.current)
	var door adoption.Adoption
	s, err := t.m.Start(response{http.Header{}}, r.WithContext(adoption.With(r.Context(), &door)))
	if err != nil {
		return landed{}, err
	}
	defer func() {
		if !kept {
			s.Destroy()
		}
		t.release(s)
	}()
	if err := t.store(s, old); err != nil {
		return landed{}, err
	}
	if err := t.clientGone(); err != nil {
		return landed{}, err
	}
	m.lines = door.Lines()
	got, err := m.ticket()
	if err != nil {
		return landed{}, err
	}
	m.rec.Expires = s.ExpiresAt()
	if err := m.write(ctx, t.door.Store); err != nil {
		kept = t.wasMarked(m)
		return landed{}, fmt.Errorf("mark the old session as adopted: %w", err)
	}
	kept = true
	done := landed{got, *m, true}
	err = t.source.Remove(ctx, t.id, data)
	switch {
	case err == nil:
		return done, nil
	case !errors.Is(err, ErrChanged):
		return landed{}, fmt.Errorf("remove the old session: %w", err) // the next request does it
	}
	// It was logged out, or written by the old application, or completed by
	// another process, which has then written the mark.
	cleanUp, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	switch err := m.drop(cleanUp, t.door.Store); {
	case errors.Is(err, backend.ErrConflict):
		return t.join(ctx, errBusy)
	case err != nil:
		return landed{}, fmt.Errorf("take the mark of an adoption back: %w", err)
	}
	kept = false
	return landed{}, errBusy // look what has become of it
}

// store stores the new session with what the old one holds.
func (t *attempt) store(s *session.Session, old Record) error {
	if err := t.fill(t.r, s, old); err != nil {
		return err
	}
	switch err := s.Save(); {
	case err != nil && t.clientGone() != nil:
		return errGone
	case errors.Is(err, session.ErrTooLarge), errors.Is(err, backend.ErrUser):
		return &refusal{err} // as it will be at the next try
	case err != nil:
		return fmt.Errorf("store the adopted session: %w", err)
	case s.IsNew():
		return ErrNotFound // Adopted left nothing in it
	}
	return nil
}

// wasMarked finds out whether m, whose write failed, is ready all the same: then
// other requests may be using its session already, and it must stay. If that
// cannot be found out, both stay, too: a session that nobody holds expires.
func (t *attempt) wasMarked(m *mark) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.r.Context()), cleanUpTimeout)
	defer cancel()
	now, err := t.marked(ctx, t.door.Store, t.id)
	return err != nil || now != nil && slices.Equal(now.lines, m.lines)
}

// undo lets others adopt the session.
func (t *attempt) undo(m *mark) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.r.Context()), cleanUpTimeout)
	defer cancel()
	if err := m.drop(ctx, t.door.Store); err != nil && !errors.Is(err, backend.ErrConflict) {
		t.log(t.r, slog.LevelWarn, "migrate: an old session must wait until its mark expires", err)
	}
}

func (t *attempt) release(s *session.Session) {
	if err := s.Release(); err != nil {
		t.log(t.r, slog.LevelError, "migrate: a session that nobody holds may be left to expire", err)
	}
}

func (a *adopter) log(r *http.Request, level slog.Level, message string, err error) {
	a.opts.Logger.LogAttrs(r.Context(), level, message, slog.String("format", a.format.Name), slog.Any("error", err),
		slog.String("path", r.URL.Path), slog.String("method", r.Method))
}
