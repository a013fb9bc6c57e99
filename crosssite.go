package session

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/chisession/session/internal/record"
)

// ErrCrossSite says that a request from another site, which came without the
// cookie because SameSite keeps it back, was to start a new session by a plain
// Set: its cookie would replace that of the session that the browser most
// likely has. See [Config.AllowCrossSite].
var ErrCrossSite = errors.New("session: a request from another site, which the browser sends no SameSite cookie with, starts no session in the place of the user's: " +
	"use SetUser or Renew where it logs in, have the browser send it again from a page of yours, or set Config.AllowCrossSite")

// uninvited reports whether s, a new session, would take the place of one that
// the browser has and did not send (RFC 6265bis §5.8.3). It is asked for by
// SetUser and by Renew, which are logins, and not by a Set: of an error, say,
// in the form_post of a login elsewhere that has failed.
func (s *Session) uninvited() bool {
	r := s.x.request
	if s.candidate { // of an old session, which came by another cookie
		return false
	}
	switch {
	case r.Header.Get("Sec-Fetch-Site") != "cross-site" || !s.x.transport.cookie() || s.m.cfg.AllowCrossSite:
		return false
	case s.changed&changedSecret != 0 || s.currentUser() != "" || s.m.used(s.x.transport, r.Header):
		return false
	}
	switch s.m.cookie.Options().SameSite {
	case http.SameSiteNoneMode:
		return false // it would have come
	case http.SameSiteStrictMode:
		return true
	}
	// A Lax cookie comes when the user follows a link. Who comes so without one
	// is new here.
	return !safe(r.Method) || !oneOf(r.Header.Get("Sec-Fetch-Mode"), "", "navigate") || !oneOf(r.Header.Get("Sec-Fetch-Dest"), "", "document")
}

// turnAway drops what would have started an uninvited session.
func (s *Session) turnAway() error {
	s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
	s.changed, s.refused = 0, ErrCrossSite
	s.m.stats.add(statErrors, nil)
	m, x := s.m, s.x
	s.later(func() {
		m.cfg.Logger.LogAttrs(x, slog.LevelWarn, "session: not started", slog.String("method", x.request.Method), slog.Any("error", ErrCrossSite))
	})
	return ErrCrossSite
}

// safe reports whether requests of that method are not meant to change
// anything (RFC 9110 §9.2.1).
func safe(method string) bool { return oneOf(method, "", "GET", "HEAD", "OPTIONS", "TRACE") }

func oneOf(s string, all ...string) bool {
	for _, one := range all {
		if s == one {
			return true
		}
	}
	return false
}
