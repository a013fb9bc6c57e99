package session_test

import (
	"fmt"
	"net/http"

	"github.com/chisession/session"
)

// A login gives the session a new token, so that nobody who knew the old one
// is in; what is in the session stays.
func ExampleSession_SetUser() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/add": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("cart", "tea")
		},
		"/login": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			before := s.Token()
			s.SetUser("ada") // after her password was checked
			if err := s.Save(); err != nil {
				http.Error(w, "please try again", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "a new token:", s.Token() != before)
		},
		"/me": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			fmt.Fprintf(w, "user %q, cart %v\n", s.User(), s.Get("cart"))
		},
	})
	defer manager.Close()

	visit("/add")
	fmt.Print(visit("/me"))
	fmt.Print(visit("/login"))
	fmt.Print(visit("/me"))
	// Output:
	// user "", cart tea
	// a new token: true
	// user "ada", cart tea
}

// Renew is for other changes of what a session may do. The ID, which is
// public, stays.
func ExampleSession_Renew() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/login": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).SetUser("ada")
		},
		"/sudo": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			id, token := s.ID(), s.Token()
			s.Set("sudo", true)
			s.Renew()
			if err := s.Save(); err != nil {
				http.Error(w, "please try again", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "same ID:", s.ID() == id)
			fmt.Fprintln(w, "same token:", s.Token() == token)
			fmt.Fprintln(w, "still", s.User())
		},
	})
	defer manager.Close()

	visit("/login")
	fmt.Print(visit("/sudo"))
	// Output:
	// same ID: true
	// same token: false
	// still ada
}

// A logout ends the session. What is set after it belongs to a new one.
func ExampleSession_Destroy() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/login": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			s.SetUser("ada")
			s.Set("secret", 42)
		},
		"/logout": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			s.Destroy()
			s.Set("goodbye", true)
		},
		"/": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			fmt.Fprintf(w, "user %q, values %v\n", s.User(), s.Keys())
		},
	})
	defer manager.Close()

	visit("/login")
	fmt.Print(visit("/"))
	visit("/logout")
	fmt.Print(visit("/"))
	// Output:
	// user "ada", values [secret]
	// user "", values [goodbye]
}

// loginPages are the pages of an application with a list of devices.
func loginPages(manager **session.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		s.SetUser("ada")
		s.SetLabel(r.FormValue("device"))
	})
	mux.HandleFunc("/devices", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		infos, err := (*manager).Sessions(r.Context(), s.User())
		if err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		for _, info := range infos {
			fmt.Fprintln(w, info.Label, info.ID == s.ID())
		}
	})
	mux.HandleFunc("/logout-others", func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		n, err := (*manager).RevokeUser(r.Context(), s.User(), s.ID())
		fmt.Fprintln(w, n, "ended, error:", err)
	})
	mux.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user %q\n", session.FromContext(r).User())
	})
	return mux
}

// A user's sessions, for a page that lists devices.
func ExampleManager_Sessions() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	phone := visitor(manager.Middleware(loginPages(&manager)))
	phone("/login?device=phone")
	fmt.Print(phone("/devices"))
	// Output: phone true
}

// "Log out everywhere else".
func ExampleManager_RevokeUser() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	pages := manager.Middleware(loginPages(&manager))
	phone, laptop := visitor(pages), visitor(pages)
	phone("/login?device=phone")
	laptop("/login?device=laptop")

	fmt.Print(laptop("/logout-others"))
	fmt.Print("phone: ", phone("/me"))
	fmt.Print("laptop: ", laptop("/me"))
	// Output:
	// 1 ended, error: <nil>
	// phone: user ""
	// laptop: user "ada"
}
