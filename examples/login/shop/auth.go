package shop

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// rememberFor is how long "keep me signed in" lasts without a visit.
const rememberFor = 30 * 24 * time.Hour

// A loginPage is what the login page shows: what was typed, and what is wrong
// with it.
type loginPage struct {
	Next, Name             string
	Faults                 faults
	DemoUser, DemoPassword string
}

// Focus returns the field to go on with.
func (p loginPage) Focus() string {
	if p.Faults["name"] != "" || p.Name == "" {
		return "name"
	}
	return "password"
}

// loginForm leads on whoever was sent here and is signed in already: by
// another tab, or by the first of two clicks, which renewed the session under
// the second.
func (s *shop) loginForm(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("next") && session.FromContext(r).User() != "" {
		back(w, r, local(r.FormValue("next")))
		return
	}
	s.showLogin(w, r, http.StatusOK, nil)
}

func (s *shop) showLogin(w http.ResponseWriter, r *http.Request, status int, wrong faults) {
	s.render(w, r, status, "login.html", wrong.title("Sign in"), loginPage{
		Next: local(r.FormValue("next")), Name: r.PostFormValue("name"), Faults: wrong,
		DemoUser: demoUser, DemoPassword: demoPassword,
	})
}

// login signs a user in. SetUser gives the session a new token, so that a
// token that somebody planted or saw before is worth nothing (CWE-384); what
// is in the session, the cart, stays.
func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	name, password := strings.TrimSpace(r.PostFormValue("name")), r.PostFormValue("password")
	if wrong := s.checkLogin(name, password); wrong != nil {
		s.showLogin(w, r, http.StatusUnprocessableEntity, wrong)
		return
	}
	current := session.FromContext(r)
	if user := current.User(); user != "" && user != name {
		current.Destroy() // somebody else's: their cart is not for name
	}
	current.SetUser(name)
	current.SetLabel(label(r))
	current.Set(confirmedKey, time.Now())
	remember(current, r.PostFormValue("remember") != "")
	flash.Success(r, "Welcome, %s.", name)
	back(w, r, local(r.PostFormValue("next")))
}

// checkLogin returns what is wrong with a name and password.
func (s *shop) checkLogin(name, password string) faults {
	switch {
	case name == "":
		return faults{"name": "Please enter your name."}
	case password == "":
		return faults{"password": "Please enter your password."}
	case !s.users.check(name, password):
		return faults{"password": "That name and password do not go together."}
	}
	return nil
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
	if n == 0 {
		flash.Success(r, "You are signed out. You were signed in on no other device.")
	} else {
		flash.Success(r, "You are signed out, here and on %s.", count(n, "other device"))
	}
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

// stay does nothing, which is activity: the session goes on.
func (s *shop) stay(w http.ResponseWriter, r *http.Request) {
	if !session.FromContext(r).IsNew() { // or the next page says that it has ended
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
