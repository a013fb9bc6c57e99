package migrate

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/chisession/session"
)

// maxIDs is how many old cookies of one request are looked up.
const maxIDs = 4

// cookieNames returns the names under which the old library's cookie is looked
// for: the one that the program gives, or else the manager's, which a program
// that moves with its configuration has taken over, and the library's default.
func cookieNames(given, managers, standard string) []string {
	if given != "" {
		return []string{given}
	}
	names := []string{managers}
	if standard != managers {
		names = append(names, standard)
	}
	return names
}

// checkPrefix says what is wrong with a prefix of IDs: it comes to stand in
// keys, statements and the names of files.
func checkPrefix(prefix string) error {
	for i := range len(prefix) {
		if c := prefix[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`/\."`, c) >= 0 {
			return errors.New(`blanks, dots, slashes, quotes and what is no ASCII cannot be in it`)
		}
	}
	return nil
}

// oldIDs returns the values of r's cookies that have the form of an old ID.
func (a *adopter) oldIDs(r *http.Request) []string {
	if r.Header["Cookie"] == nil {
		return nil
	}
	var ids []string
	for _, name := range a.names {
		for _, c := range r.CookiesNamed(name) {
			id, ok := a.idOf(c.Value)
			if !ok {
				a.warnForm(r, name, c.Value)
			} else if len(ids) < maxIDs && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// idOf returns the ID in a cookie's value, in which the old library may have
// escaped the prefix.
func (a *adopter) idOf(value string) (string, bool) {
	rest, ok := strings.CutPrefix(value, url.QueryEscape(a.opts.IDPrefix))
	return a.opts.IDPrefix + rest, ok && a.format.Valid(rest)
}

// newCookie returns the Set-Cookie line in which a new session's token would go
// to the client of r, empty if it would go there in a header. It asks by
// starting a session that is never stored.
func (a *adopter) newCookie(r *http.Request, current *session.Session) (string, error) {
	header := http.Header{}
	s, err := a.m.Start(response{header}, bare(r, current))
	if err != nil {
		return "", err
	}
	s.SetUser("-") // now it needs a token
	line := header.Get("Set-Cookie")
	s.Destroy()
	return line, s.Release()
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
type response struct{ header http.Header }

func (a response) Header() http.Header         { return a.header }
func (a response) Write(p []byte) (int, error) { return len(p), nil }
func (a response) WriteHeader(int)             {}
