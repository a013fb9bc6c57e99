package shop

import (
	"errors"
	"net/http"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

const endedText = "Your session has ended: nothing happened for a while, or it was ended from another device."

// bringsEnded reports whether the browser brings the cookie of a session that
// is no more. One that was replaced a moment ago is none of those: the new one
// is on its way.
func (s *shop) bringsEnded(r *http.Request) bool {
	current := session.FromContext(r)
	if !current.IsNew() || current.Unavailable() || current.Err() != nil {
		return false
	}
	_, err := r.Cookie(s.cookieName)
	return err == nil
}

// noteEnded is for forms: the page that they lead to says that the session has
// ended, if it has. Without that, people find themselves signed out and the
// cart empty, and wonder.
func (s *shop) noteEnded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !reading(r) && s.bringsEnded(r) {
			flash.Warning(r, endedText)
			if partial(r) {
				reload(w)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// tellEnded is for pages: they say it at once, and have the browser forget the
// cookie, so that no other page says it again.
func (s *shop) tellEnded(r *http.Request) {
	if reading(r) && s.bringsEnded(r) {
		session.FromContext(r).Destroy()
		flash.Now(r, flash.LevelWarning, endedText)
	}
}

func reading(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// ended reports whether err says that the session ended during the request,
// by a logout say: no fault, but a fact to tell the user.
func ended(err error) bool {
	return errors.Is(err, session.ErrDestroyed) || errors.Is(err, session.ErrSuperseded)
}
