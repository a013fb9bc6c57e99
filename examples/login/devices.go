package main

import (
	"net/http"
	"slices"
	"strings"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// A deviceRow is one session on the page of devices.
type deviceRow struct {
	session.Info
	Here bool // it is this one
}

// devices lists where the user is signed in.
func (s *shop) devices(w http.ResponseWriter, r *http.Request) {
	current := session.FromContext(r)
	infos, err := s.sessions.Sessions(r.Context(), current.User())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	rows := make([]deviceRow, 0, len(infos))
	for _, info := range infos {
		rows = append(rows, deviceRow{info, info.ID == current.ID()})
	}
	s.render(w, r, http.StatusOK, "devices.html", "Your devices", rows)
}

// endDevice ends one session of this user. IDs are no secret, so it looks
// whose it is: nobody ends another's.
func (s *shop) endDevice(w http.ResponseWriter, r *http.Request) {
	current := session.FromContext(r)
	id := r.PostFormValue("id")
	if id == current.ID() {
		s.logout(w, r)
		return
	}
	infos, err := s.sessions.Sessions(r.Context(), current.User())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	i := slices.IndexFunc(infos, func(info session.Info) bool { return info.ID == id })
	if i < 0 {
		flash.Warning(r, "That device was signed out already.")
		back(w, r, "/devices")
		return
	}
	if err := s.sessions.Revoke(r.Context(), id); err != nil {
		s.unavailable(w, r, err)
		return
	}
	flash.Success(r, "%s is signed out.", infos[i].Label)
	back(w, r, "/devices")
}

func (s *shop) endOthers(w http.ResponseWriter, r *http.Request) {
	current := session.FromContext(r)
	n, err := s.sessions.RevokeUser(r.Context(), current.User(), current.ID())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	flash.Success(r, "Signed out: %s.", count(n, "other device"))
	back(w, r, "/devices")
}

// device makes a name of a browser's User-Agent, as "Firefox on Linux". The
// header is whatever the client likes; only these words are ever kept.
func device(userAgent string) string {
	return first(userAgent, "A browser", [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"FxiOS", "Firefox"}, {"Chrome/", "Chrome"}, {"CriOS", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	}) + first(userAgent, "", [][2]string{
		{"iPhone", " on iPhone"}, {"iPad", " on iPad"}, {"Android", " on Android"}, {"Windows", " on Windows"}, {"Mac OS", " on Mac"}, {"Linux", " on Linux"},
	})
}

// first returns the word for the first sign that is in text.
func first(text, otherwise string, signs [][2]string) string {
	for _, sign := range signs {
		if strings.Contains(text, sign[0]) {
			return sign[1]
		}
	}
	return otherwise
}
