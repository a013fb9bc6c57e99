package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
)

// Adopt returns the middleware that adopts the sessions of format in source
// into those of m. It belongs right behind m.Middleware, and does nothing to
// requests that have a session of m, or no old cookie. One that has an old
// cookie and no session costs a look into source, and if nothing is there one
// into the store of m; of several old cookies up to four are looked up. See the
// package's page for what is promised.
//
// It panics, at start, if m would answer a request that brings nothing but the
// old cookie in a header: such a client could not be given its session. With
// session.FirstOf, put session.Transport{} last. A request that chose a header
// (it brings it, if only without a value) passes untouched: the old session
// waits for one that takes cookies.
//
// The new session ends no later than the old one's deadline, where the format
// has one. The answer that hands out its cookie is Cache-Control: no-store,
// whatever the handler said.
func Adopt(m *session.Manager, format Format, source Source, opts Options) func(http.Handler) http.Handler {
	a := &adopter{m: m, format: format, source: source, opts: opts.withDefaults(format)}
	plain := &http.Request{Header: http.Header{"Cookie": {a.opts.CookieName + "=-"}}}
	if takes, err := a.takesCookies(plain, nil); err == nil && !takes {
		panic("migrate: a browser with the cookie " + a.opts.CookieName + " would get its new token in a header: " +
			"Config.Transport must take cookies; in session.FirstOf, put session.Transport{} last")
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, next) })
	}
}

type adopter struct {
	m       *session.Manager
	format  Format
	source  Source
	opts    Options
	flights flights
}

// serve sends a request on to next, with the session adopted for it if there
// is one.
func (a *adopter) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ids := a.oldIDs(r)
	if len(ids) == 0 {
		next.ServeHTTP(w, r)
		return
	}
	current := a.m.FromContext(r)
	if !current.IsNew() || current.Unavailable() || current.Err() != nil {
		next.ServeHTTP(w, r) // logged in already, or there are no sessions here
		return
	}
	if takes, err := a.takesCookies(r, current); err != nil || !takes {
		next.ServeHTTP(w, r)
		return
	}
	got, err := a.first(r, current, ids)
	switch {
	case err == nil:
		out := &late{ResponseWriter: w, ticket: got}
		defer out.ready() // of an answer without a byte, or of one after a panic
		a.m.Middleware(a.admit(out, next)).ServeHTTP(out.as(), got.on(r, current))
	case errors.Is(err, ErrNotFound):
		next.ServeHTTP(w, r)
	case errors.Is(err, ErrUnreadable), errors.Is(err, ErrSkipped), errors.As(err, new(*refusal)):
		a.log(r, slog.LevelWarn, "migrate: an old session was not adopted", err)
		next.ServeHTTP(w, r)
	default:
		a.log(r, slog.LevelError, "migrate: request failed", err)
		a.opts.ErrorHandler(w, r, err)
	}
}

// first adopts the first of ids that is a live session: a dead cookie, of
// another path or sub-domain, must not hide it.
func (a *adopter) first(r *http.Request, current *session.Session, ids []string) (got ticket, err error) {
	for _, id := range ids {
		got, err = a.flights.do(r.Context(), id, func() (ticket, error) { return a.adopt(r, current, id) })
		if !errors.Is(err, ErrNotFound) {
			break
		}
	}
	return got, err
}

// admit keeps the new cookie from a request that finds the adopted session
// renewed or ended already: it must not replace a newer one. One whose session
// could not be loaded gets it, here or with the middleware's 503, because the
// old cookie opens nothing any more.
func (a *adopter) admit(out *late, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := a.m.FromContext(r); s.IsNew() && !s.Unavailable() {
			out.ticket = ticket{}
		}
		next.ServeHTTP(w, r)
	})
}

// adopt moves the old session id into a new one. It goes on when the client
// has gone, so that it is not left half done.
func (a *adopter) adopt(r *http.Request, current *session.Session, id string) (got ticket, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.opts.Timeout)
	defer cancel()
	data, err := a.source.Load(ctx, id, a.opts.MaxBytes)
	if errors.Is(err, ErrNotFound) {
		err = cmp.Or(a.marked(ctx, id), err)
	}
	if err != nil {
		return ticket{}, fmt.Errorf("load the old session: %w", err)
	}
	old, err := a.format.Decode(data, a.opts.MaxBytes)
	if err != nil {
		return ticket{}, err
	}
	if !old.Deadline.IsZero() && !old.Deadline.After(time.Now()) {
		return ticket{}, ErrNotFound
	}

	header := http.Header{}
	s, err := a.m.Start(answer{header}, bare(r, current))
	if err != nil {
		return ticket{}, err
	}
	kept := false
	defer func() { a.finish(r, s, kept) }()
	if err := a.fill(r, s, old); err != nil {
		return ticket{}, err
	}
	switch err := s.Save(); {
	case errors.Is(err, session.ErrTooLarge), errors.Is(err, backend.ErrUser):
		return ticket{}, &refusal{err} // as it will be at the next try
	case err != nil:
		return ticket{}, fmt.Errorf("store the adopted session: %w", err)
	case s.IsNew():
		return ticket{}, ErrNotFound // it has nothing in it: Beego keeps a record for every visitor
	}
	got, err = newTicket(header)
	if err != nil {
		return ticket{}, err
	}
	mark, err := a.mark(r, current, id)
	if err != nil {
		return ticket{}, err
	}
	defer func() { a.finish(r, mark, kept) }()
	if err := a.source.Remove(ctx, id, data); err != nil {
		return ticket{}, fmt.Errorf("remove the old session: %w", err)
	}
	kept = true
	return got, nil
}

// finish releases a session that was started for an adoption, and removes it
// if that failed or panicked: nobody has its cookie.
func (a *adopter) finish(r *http.Request, s *session.Session, kept bool) {
	if !kept {
		s.Destroy()
	}
	if err := s.Release(); err != nil {
		a.log(r, slog.LevelError, "migrate: a session that nobody holds may be left to expire", err)
	}
}

func (a *adopter) log(r *http.Request, level slog.Level, message string, err error) {
	a.opts.Logger.LogAttrs(r.Context(), level, message, slog.String("format", a.format.Name), slog.Any("error", err))
}
