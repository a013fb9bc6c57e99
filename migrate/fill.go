package migrate

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/chisession/session"
)

// maxTimeout is the longest that a session of the manager can be given.
const maxTimeout = 100 * 365 * 24 * time.Hour

// fill puts what the new session can keep of the old one into it.
func (a *adopter) fill(r *http.Request, s *session.Session, old Record) error {
	bad := unstorable(s, old.Values)
	skipped := slices.Concat(old.Skipped, bad)
	for _, skip := range skipped {
		if a.said.first("skip " + skip.Key + " " + skip.Type) {
			a.opts.Logger.LogAttrs(r.Context(), slog.LevelWarn, "migrate: a value of an old session cannot be adopted", slog.Bool("lossy", a.opts.Lossy),
				slog.String("format", a.format.Name), slog.String("key", skip.Key), slog.String("type", skip.Type), slog.Any("error", skip.Err),
				slog.String("path", r.URL.Path), slog.String("method", r.Method))
		}
		if a.opts.Skipped != nil {
			a.opts.Skipped(skip)
		}
	}
	if !a.opts.Lossy && len(skipped) > 0 {
		return fmt.Errorf("%w: %d of %d", ErrSkipped, len(skipped), len(old.Values)+len(old.Skipped))
	}
	for _, key := range slices.Sorted(maps.Keys(old.Values)) {
		if !slices.ContainsFunc(bad, func(skip Skip) bool { return skip.Key == key }) {
			s.Set(key, old.Values[key])
		}
	}
	if !old.Deadline.IsZero() {
		s.SetAbsoluteTimeout(left(old.Deadline))
	}
	if old.Persistent {
		s.SetPersistent(true)
		if !old.Deadline.IsZero() {
			s.SetIdleTimeout(left(old.Deadline))
		}
	}
	if a.opts.Adopted != nil {
		if err := a.opts.Adopted(r, s, old.Values); err != nil {
			return &refusal{fmt.Errorf("Options.Adopted: %w", err)}
		}
	}
	if err := s.Err(); err != nil {
		return &refusal{err} // a bad Set of Adopted, say
	}
	return nil
}

// left is how long it is until deadline, as a timeout that can be set.
func left(deadline time.Time) time.Duration {
	return min(max(time.Until(deadline), time.Millisecond), maxTimeout)
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

// A refusal says that the old session cannot be adopted, however often it is
// tried.
type refusal struct{ err error }

func (e *refusal) Error() string { return "migrate: " + e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }
