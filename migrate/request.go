package migrate

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/chisession/session"
)

// maxIDs is how many old cookies of one request are looked up.
const maxIDs = 4

// oldIDs returns the values of r's cookies that have the form of an old ID.
func (a *adopter) oldIDs(r *http.Request) []string {
	if r.Header["Cookie"] == nil {
		return nil
	}
	var ids []string
	for _, c := range r.CookiesNamed(a.opts.CookieName) {
		if len(ids) < maxIDs && a.format.Valid(c.Value) && !slices.Contains(ids, c.Value) {
			ids = append(ids, c.Value)
		}
	}
	return ids
}

// takesCookies reports whether a new session's token would go to the client of
// r in a cookie. It asks by starting a session that is never stored.
func (a *adopter) takesCookies(r *http.Request, current *session.Session) (bool, error) {
	header := http.Header{}
	s, err := a.m.Start(answer{header}, bare(r, current))
	if err != nil {
		return false, err
	}
	s.SetUser("-") // now it needs a token
	takes := len(header["Set-Cookie"]) > 0
	s.Destroy()
	return takes, s.Release()
}

// bare returns r without its session, and without the values of its cookies:
// those that brought no session need not be looked up again. The names stay,
// for the manager to choose the transport that r belongs to.
func bare(r *http.Request, current *session.Session) *http.Request {
	clean := r.WithContext(without{r.Context(), current})
	clean.Header = r.Header.Clone()
	names := []string{}
	for pair := range strings.SplitSeq(strings.Join(r.Header["Cookie"], ";"), ";") {
		name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
		names = append(names, name+"=-")
	}
	clean.Header["Cookie"] = []string{strings.Join(names, "; ")}
	return clean
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
