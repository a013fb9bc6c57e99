package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/chisession/session"
)

// act ends what a form names, and leads back to the user's list.
func (h *handler) act(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest)
		return
	}
	// The page's forms have the user in their address, where any bytes can
	// stand: in a field, browsers would make those that are not UTF-8 into
	// U+FFFD, and a newline into two characters.
	user, id := r.Form.Get("user"), r.PostForm.Get("id")
	ended, err := 0, error(nil)
	switch r.PostForm.Get("do") {
	case "revoke":
		ended, err = h.revoke(r, user, id)
	case "revoke-user":
		ended, err = h.m.RevokeUser(r.Context(), user, r.PostForm["except"]...)
	default:
		refuse(w, http.StatusBadRequest)
		return
	}
	log := h.opts.Logger.With(slog.String("user", user))
	if err != nil {
		log.LogAttrs(r.Context(), slog.LevelError, "admin: could not end sessions", slog.Any("error", err))
		refuse(w, status(err))
		return
	}
	log.LogAttrs(r.Context(), slog.LevelInfo, "admin: ended sessions", slog.Int("ended", ended))
	// A reference relative to the request's own address (RFC 3986 §4.2):
	// http.Redirect would make it one from the path, of which a StripPrefix
	// has taken the beginning.
	query := url.Values{"user": {user}, "ended": {strconv.Itoa(ended)}}
	w.Header().Set("Location", "?"+query.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// revoke ends one session, if it is one of user's: the list that the button was
// on may be old.
func (h *handler) revoke(r *http.Request, user, id string) (int, error) {
	infos, err := h.m.Sessions(r.Context(), user)
	if err != nil {
		return 0, err
	}
	for _, info := range infos {
		if info.ID == id {
			return 1, h.m.Revoke(r.Context(), id)
		}
	}
	return 0, nil
}

// status tells the store's fault from the form's.
func status(err error) int {
	var store *session.StoreError
	if errors.As(err, &store) {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}
