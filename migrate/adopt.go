package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/chisession/session"
)

// Adopt returns the middleware that adopts the sessions of format in source
// into those of m. It belongs right behind m.Middleware, and does nothing to
// requests that have a session of m, or no old cookie. One that has an old
// cookie and no session costs a look into source; see the package's page for
// what is promised. m must have the cookie transport.
//
// The new session ends no later than the old one's deadline, where the format
// has one. The answer that hands out its cookie is Cache-Control: no-store,
// whatever the handler said.
func Adopt(m *session.Manager, format Format, source Source, opts Options) func(http.Handler) http.Handler {
	a := &adopter{m: m, format: format, source: source, opts: opts.withDefaults(format)}
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
	id, ok := a.oldID(r)
	if !ok {
		next.ServeHTTP(w, r)
		return
	}
	current := a.m.FromContext(r)
	if !current.IsNew() || current.Unavailable() || current.Err() != nil {
		next.ServeHTTP(w, r) // logged in already, or there are no sessions here
		return
	}
	got, err := a.flights.do(r.Context(), id, func() (ticket, error) { return a.adopt(r, current, id) })
	switch {
	case err == nil:
		out := &late{ResponseWriter: w}
		defer out.ready() // of an answer without a byte, or of one after a panic
		a.m.Middleware(a.admit(got, out, next)).ServeHTTP(out.as(), got.on(r, current))
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

// admit gives the new cookie to a request that is in the adopted session. One
// that finds it renewed or ended already must not replace the newer cookie.
func (a *adopter) admit(got ticket, out *late, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.m.FromContext(r).IsNew() {
			out.ticket = got
		}
		next.ServeHTTP(w, r)
	})
}

// oldID returns the first cookie that has the form of an old ID.
func (a *adopter) oldID(r *http.Request) (string, bool) {
	if r.Header["Cookie"] == nil {
		return "", false
	}
	for _, c := range r.CookiesNamed(a.opts.CookieName) {
		if a.format.Valid(c.Value) {
			return c.Value, true
		}
	}
	return "", false
}

// A refusal is an error of Options.Adopted.
type refusal struct{ err error }

func (e *refusal) Error() string { return "Options.Adopted: " + e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }

// adopt moves the old session id into a new one. It goes on when the client
// has gone, so that it is not left half done.
func (a *adopter) adopt(r *http.Request, current *session.Session, id string) (ticket, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.opts.Timeout)
	defer cancel()
	data, err := a.source.Load(ctx, id, a.opts.MaxBytes)
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
	s, err := a.m.Start(answer{header}, a.bare(r, current))
	if err != nil {
		return ticket{}, err
	}
	stored := false
	defer func() {
		if !stored { // nobody will get its cookie: header is dropped
			s.Destroy()
			err := s.Release()
			if err != nil {
				a.log(r, slog.LevelError, "migrate: a session that nobody holds is left to expire", err)
			}
		}
	}()
	if err := a.fill(r, s, old); err != nil {
		return ticket{}, err
	}
	if err := s.Save(); err != nil {
		return ticket{}, fmt.Errorf("store the adopted session: %w", err)
	}
	if s.IsNew() {
		return ticket{}, ErrNotFound // it has nothing in it: Beego keeps a record for every visitor
	}
	if err := a.source.Remove(ctx, id, data); err != nil {
		return ticket{}, fmt.Errorf("remove the old session: %w", err)
	}
	stored = true
	if err := s.Release(); err != nil {
		return ticket{}, fmt.Errorf("release the adopted session: %w", err)
	}
	return newTicket(header)
}

// fill puts what the new session can keep of the old one into it.
func (a *adopter) fill(r *http.Request, s *session.Session, old Record) error {
	bad := unstorable(s, old.Values)
	skipped := slices.Concat(old.Skipped, bad)
	for _, skip := range skipped {
		a.opts.Logger.LogAttrs(r.Context(), slog.LevelWarn, "migrate: a value of an old session is not adopted",
			slog.String("format", a.format.Name), slog.String("key", skip.Key), slog.String("type", skip.Type), slog.Any("error", skip.Err))
		if a.opts.Skipped != nil {
			a.opts.Skipped(skip)
		}
	}
	if a.opts.Strict && len(skipped) > 0 {
		return ErrSkipped
	}
	for _, key := range slices.Sorted(maps.Keys(old.Values)) {
		if !slices.ContainsFunc(bad, func(skip Skip) bool { return skip.Key == key }) {
			s.Set(key, old.Values[key])
		}
	}
	if !old.Deadline.IsZero() {
		s.SetAbsoluteTimeout(max(time.Until(old.Deadline), time.Millisecond))
	}
	if a.opts.Adopted != nil {
		if err := a.opts.Adopted(r, s, old.Values); err != nil {
			return &refusal{err}
		}
	}
	return s.Err()
}

var errProbe = errors.New("nothing is stored")

// unstorable returns the values that s cannot keep. It tries them in an Update
// that is given up, because a bad Set would fail the request.
func unstorable(s *session.Session, values map[string]any) []Skip {
	var skipped []Skip
	_ = s.Update(func(v *session.Values) error {
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if v.Set(key, values[key]); !v.Has(key) {
				skipped = append(skipped, Skip{Key: key, Type: fmt.Sprintf("%T", values[key])})
			}
		}
		return errProbe
	})
	for i := range skipped {
		skipped[i].Err = s.Update(func(v *session.Values) error {
			if v.Set(skipped[i].Key, values[skipped[i].Key]); v.Has(skipped[i].Key) {
				return session.ErrTooLarge // together with the others
			}
			return nil // and Update says why
		})
	}
	return skipped
}

// bare returns r without session and cookies, and with no other header than
// those that say how the client is connected.
func (a *adopter) bare(r *http.Request, current *session.Session) *http.Request {
	clean := r.WithContext(without{r.Context(), current})
	clean.Header = http.Header{}
	for _, key := range []string{"X-Forwarded-Proto", "Forwarded"} {
		if values := r.Header[key]; values != nil {
			clean.Header[key] = values
		}
	}
	return clean
}

func (a *adopter) log(r *http.Request, level slog.Level, message string, err error) {
	a.opts.Logger.LogAttrs(r.Context(), level, message, slog.String("format", a.format.Name), slog.Any("error", err))
}

// without is a context in which the session that was loaded for the request is
// not found, so that the manager begins anew.
type without struct {
	context.Context
	s *session.Session
}

func (c without) Value(key any) any {
	v := c.Context.Value(key)
	if s, ok := v.(*session.Session); ok && s == c.s {
		return nil
	}
	return v
}

// answer is a ResponseWriter of which only the header is wanted.
type answer struct{ header http.Header }

func (a answer) Header() http.Header         { return a.header }
func (a answer) Write(p []byte) (int, error) { return len(p), nil }
func (a answer) WriteHeader(int)             {}
