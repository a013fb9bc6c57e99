package main

import (
	"net/http"
	"slices"

	"github.com/chisession/session"
)

type devices struct{ *session.Manager }

func (d devices) list(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	if s.User() == "" {
		http.Error(w, "log in first", http.StatusUnauthorized)
	} else if list, err := d.Sessions(r.Context(), s.User()); err != nil {
		http.Error(w, "please try again", http.StatusServiceUnavailable)
	} else {
		page.Execute(w, map[string]any{"list": list, "here": s.ID()})
	}
}

func (d devices) end(w http.ResponseWriter, r *http.Request) {
	s, id := session.FromContext(r), r.PostFormValue("id")
	list, err := d.Sessions(r.Context(), s.User()) // an error also if nobody is logged in
	if err == nil && r.PostFormValue("others") != "" {
		_, err = d.RevokeUser(r.Context(), s.User(), s.ID())
	} else if slices.ContainsFunc(list, func(info session.Info) bool { return info.ID == id }) {
		err = d.Revoke(r.Context(), id) // Revoke takes any ID: end only what is in this user's list
	}
	if err != nil {
		http.Error(w, "please try again", http.StatusServiceUnavailable)
	} else {
		http.Redirect(w, r, "/devices", http.StatusSeeOther)
	}
}
