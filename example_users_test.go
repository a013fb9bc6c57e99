package session_test

import (
	"fmt"
	"net/http"

	"github.com/chisession/session"
)

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
