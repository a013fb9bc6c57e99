package migrate

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/chisession/session/cookie"
)

// ErrUndeliverable says that the browser would not keep the new cookie, or may
// not use the response: so the old session stays as it is, for a request whose
// response arrives.
var ErrUndeliverable = errors.New("migrate: the new cookie would not arrive")

// Why it would not.
var (
	errPlainHTTP = fmt.Errorf("%w: the request seems to have come over plain HTTP, where browsers drop Secure cookies; "+
		"serve HTTPS, have the proxy send X-Forwarded-Proto: https, or set Config.Cookie.Insecure", ErrUndeliverable)
	errCrossSite = fmt.Errorf("%w: the request is another site's, and browsers keep cookies that are not SameSite=None only from a page that the user opens", ErrUndeliverable)
	errPrefetch  = fmt.Errorf("%w: the browser fetches the page ahead of time, and may never use it", ErrUndeliverable)
	errHead      = fmt.Errorf("%w: the request is a HEAD, mostly of programs that keep no cookies", ErrUndeliverable)
)

// obstacle returns why the Set-Cookie line would not stay with the client of r,
// as far as can be seen.
func (a *adopter) obstacle(r *http.Request, line string) error {
	switch {
	case r.Method == http.MethodHead:
		return errHead
	case hasAttribute(line, "Secure") && cookie.PlainHTTP(r):
		return errPlainHTTP
	case strings.EqualFold(r.Header.Get("Sec-Fetch-Site"), "cross-site") && !topLevel(r.Header) && !hasAttribute(line, "SameSite=None"):
		return errCrossSite
	case prefetches(r.Header):
		return errPrefetch
	}
	return nil
}

// topLevel reports whether a request loads a page that the user opens, by a
// link or a form, and not a part of one (Fetch Metadata).
func topLevel(h http.Header) bool {
	return strings.EqualFold(h.Get("Sec-Fetch-Mode"), "navigate") && strings.EqualFold(h.Get("Sec-Fetch-Dest"), "document")
}

// prefetches reports whether a browser says that it fetches ahead of time:
// Chromium by Sec-Purpose, Safari and older ones by Purpose, Firefox by X-Moz.
func prefetches(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		value := strings.ToLower(h.Get(name))
		if strings.Contains(value, "prefetch") || strings.Contains(value, "prerender") || value == "preview" {
			return true
		}
	}
	return false
}

func hasAttribute(line, attribute string) bool {
	for part := range strings.SplitSeq(line, ";") {
		if strings.EqualFold(strings.TrimSpace(part), attribute) {
			return true
		}
	}
	return false
}

// removals returns the Set-Cookie lines that remove the old cookies of r whose
// names are not the new one's. Which path and domain they have, no request
// tells; these are the usual ones.
func (a *adopter) removals(r *http.Request) []string {
	var lines []string
	for _, name := range a.names {
		if name == a.door.Cookie.Name || len(r.CookiesNamed(name)) == 0 {
			continue
		}
		line := name + "=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly"
		if strings.HasPrefix(name, "__") {
			line += "; Secure" // RFC 6265bis §4.1.3
		}
		lines = append(lines, line)
		if domain := a.door.Cookie.Domain; domain != "" && !strings.HasPrefix(strings.ToLower(name), "__host-") {
			lines = append(lines, line+"; Domain="+strings.TrimPrefix(domain, "."))
		}
	}
	return lines
}

// said keeps what every request would say from filling the log.
type said struct {
	mu   sync.Mutex // guards last
	last map[string]time.Time
}

const (
	sayAgain = time.Minute
	mostSaid = 1000 // different things
)

// first reports whether what has not been said within the last minute.
func (s *said) first(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if at, ok := s.last[what]; ok && now.Sub(at) < sayAgain {
		return false
	}
	if s.last == nil || len(s.last) >= mostSaid {
		s.last = map[string]time.Time{}
	}
	s.last[what] = now
	return true
}

// warnOnce logs why an old session has to wait, once a minute.
func (a *adopter) warnOnce(r *http.Request, err error) {
	if a.said.first(err.Error()) {
		a.log(r, slog.LevelWarn, "migrate: an old session stays in the old store", err)
	}
}

// warnForm logs that a cookie of the old name holds no ID of the old form, and
// no token of the manager's. Nothing of it is shown.
func (a *adopter) warnForm(r *http.Request, name, value string) {
	const tokenLen = 64
	if value == "" || len(value) == tokenLen || !a.said.first("form of "+name) {
		return
	}
	a.opts.Logger.LogAttrs(r.Context(), slog.LevelWarn, "migrate: a cookie of the old name holds no ID of the old form: is Options.IDPrefix missing, or another CookieName meant?",
		slog.String("format", a.format.Name), slog.String("cookie", name), slog.String("want", a.opts.IDPrefix+a.format.Form), slog.Int("length", len(value)),
		slog.String("path", r.URL.Path), slog.String("method", r.Method))
}
