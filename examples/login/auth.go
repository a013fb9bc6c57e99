package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

const (
	// rememberFor is how long "keep me signed in" lasts without a visit.
	rememberFor = 30 * 24 * time.Hour

	// confirmedFor is how long a password given again counts.
	confirmedFor = 5 * time.Minute
	confirmedKey = "confirmed_at"
)

func (s *shop) loginForm(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "login.html", "Sign in", loginData(r))
}

func loginData(r *http.Request) map[string]any {
	return map[string]any{"Next": local(r.FormValue("next")), "Name": r.PostFormValue("name"), "DemoUser": demoUser, "DemoPassword": demoPassword}
}

// login signs a user in. SetUser gives the session a new token, so that a
// token that somebody planted or saw before is worth nothing (CWE-384); what
// is in the session, the cart, stays.
func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSpace(r.PostFormValue("name"))
	if !s.users.check(name, r.PostFormValue("password")) {
		flash.Now(r, flash.LevelError, "That name and password do not go together.")
		s.render(w, r, http.StatusUnprocessableEntity, "login.html", "Sign in", loginData(r))
		return
	}
	current := session.FromContext(r)
	if user := current.User(); user != "" && user != name {
		current.Destroy() // somebody else's: their cart is not for name
	}
	current.SetUser(name)
	current.SetLabel(device(r.UserAgent()))
	remember(current, r.PostFormValue("remember") != "")
	flash.Success(r, "Welcome, %s.", name)
	back(w, r, local(r.PostFormValue("next")))
}

// remember keeps the session for a month of inactivity, and its cookie when
// the browser is closed; or as the configuration says.
func remember(s *session.Session, on bool) {
	s.SetPersistent(on)
	if on {
		s.SetIdleTimeout(rememberFor)
	} else {
		s.SetIdleTimeout(0)
	}
}

func (s *shop) logout(w http.ResponseWriter, r *http.Request) {
	session.FromContext(r).Destroy()
	flash.Success(r, "You are signed out.") // in a new session: the old one is gone
	back(w, r, "/")
}

func (s *shop) logoutEverywhere(w http.ResponseWriter, r *http.Request) {
	current := session.FromContext(r)
	n, err := s.sessions.RevokeUser(r.Context(), current.User(), current.ID())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	current.Destroy()
	flash.Success(r, "You are signed out, here and on %s.", count(n, "other device"))
	back(w, r, "/")
}

// signedIn sends those who are not to the login page.
func signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session.FromContext(r).User() == "" {
			back(w, r, "/login?next="+url.QueryEscape(whereFrom(r)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// confirmed lets only those through who gave their password a moment ago: a
// session may be a month old, and the laptop unlocked (ASVS 7.5.3).
func confirmed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, _ := session.FromContext(r).Get(confirmedKey).(time.Time)
		if time.Since(at) > confirmedFor {
			flash.Warning(r, "Please confirm that it is you.")
			back(w, r, "/confirm?next="+url.QueryEscape(whereFrom(r)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *shop) confirmForm(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "confirm.html", "Is it you?", local(r.FormValue("next")))
}

func (s *shop) confirm(w http.ResponseWriter, r *http.Request) {
	current := session.FromContext(r)
	if !s.users.check(current.User(), r.PostFormValue("password")) {
		flash.Now(r, flash.LevelError, "That is not your password.")
		s.render(w, r, http.StatusUnprocessableEntity, "confirm.html", "Is it you?", local(r.PostFormValue("next")))
		return
	}
	current.Renew() // it can do more than before: a new token
	current.Set(confirmedKey, time.Now())
	flash.Notice(r, "Thank you. For %d minutes we will not ask again.", int(confirmedFor.Minutes()))
	back(w, r, local(r.PostFormValue("next")))
}

// stay does nothing, which is activity: the session goes on.
func (s *shop) stay(w http.ResponseWriter, r *http.Request) {
	if session.FromContext(r).IsNew() {
		flash.Warning(r, "Your session has ended.")
	} else {
		flash.Notice(r, "Your session goes on.")
	}
	back(w, r, local(r.PostFormValue("next")))
}

// whereFrom returns the page to go back to when what stopped r is settled:
// r's own if it is a page, or the one with the form, since a POST is not
// repeated.
func whereFrom(r *http.Request) string {
	if r.Method == http.MethodGet {
		return r.URL.RequestURI()
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return "/"
	}
	return local(from.RequestURI())
}

// local returns target if it is a page of ours, and the front page if it is
// not: a link to our login must not lead to another site (CWE-601).
func local(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" ||
		!strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.ContainsAny(target, "\\\r\n\t") {
		return "/"
	}
	return target
}
