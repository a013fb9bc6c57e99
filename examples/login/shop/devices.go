package shop

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/chisession/session"
	"github.com/chisession/session/devicebound"
	"github.com/chisession/session/flash"
)

// A deviceRow is one session on the page of devices.
type deviceRow struct {
	session.Info
	Here  bool // it is this one
	Bound bool // ...and is bound to this device; of others this is not known
}

// Device returns what the session was signed in with, as "Firefox on Linux".
func (d deviceRow) Device() string { return deviceOf(d.Info) }

// Place returns where that was, as "192.0.2.7"; empty if nobody noted it.
func (d deviceRow) Place() string {
	_, place, _ := strings.Cut(d.Label, labelSeparator)
	return place
}

func deviceOf(info session.Info) string {
	name, _, _ := strings.Cut(info.Label, labelSeparator)
	return cmp.Or(name, "A browser")
}

// devices lists where the user is signed in.
func (s *shop) devices(w http.ResponseWriter, r *http.Request) {
	current := session.FromContext(r)
	infos, err := s.sessions.Sessions(r.Context(), current.User())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	rows := make([]deviceRow, len(infos))
	for i, info := range infos {
		here := info.ID == current.ID()
		rows[i] = deviceRow{info, here, here && devicebound.Bound(r)}
	}
	// This one first, then the latest seen.
	slices.SortStableFunc(rows, func(a, b deviceRow) int {
		switch {
		case a.Here:
			return -1
		case b.Here:
			return 1
		}
		return b.LastSeen.Compare(a.LastSeen)
	})
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
	flash.Success(r, "%s is signed out.", deviceOf(infos[i]))
	back(w, r, "/devices")
}

func (s *shop) endOthers(w http.ResponseWriter, r *http.Request) {
	current := session.FromContext(r)
	n, err := s.sessions.RevokeUser(r.Context(), current.User(), current.ID())
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	if n == 0 {
		flash.Notice(r, "You were signed in on no other device.")
	} else {
		flash.Success(r, "%s signed out.", count(n, "other device"))
	}
	back(w, r, "/devices")
}

// bindToDevices has logins bound to the browser's device from now on.
func (s *shop) bindToDevices() error {
	_, err := devicebound.New(s.sessions, devicebound.Options{})
	return err
}

// alarm tells that somebody has the cookie of a login and not its device. A real
// shop would write a mail, and end the session.
func alarm(ctx context.Context, e session.Event) {
	if e.Kind == session.EventRejected && e.Reason == session.ReasonUnproven {
		slog.WarnContext(ctx, "a cookie was used without the device that it is bound to", "user", e.User, "id", e.ID, "from", place(e.RemoteAddr))
	}
}

// labelSeparator is between the two halves of a session's label.
const labelSeparator = " · "

// label returns what is to be remembered of a login: which browser, and where.
func label(r *http.Request) string {
	return device(r.UserAgent()) + labelSeparator + place(r.RemoteAddr)
}

// place returns the client's address, or words for one that says nothing to
// people. Behind a reverse proxy it is the proxy's: take the address that the
// proxy hands on then, from that proxy alone. A real shop would look it up in
// a table of cities.
func place(remoteAddr string) string {
	at, err := netip.ParseAddrPort(remoteAddr)
	switch addr := at.Addr().Unmap(); {
	case err != nil:
		return "an unknown place"
	case addr.IsLoopback():
		return "this computer"
	case addr.IsPrivate(), addr.IsLinkLocalUnicast():
		return "the local network"
	default:
		return addr.WithZone("").String()
	}
}

// device makes a name of a browser's User-Agent, as "Firefox on Linux". The
// header is whatever the client likes; only these words are ever kept. Package
// devicename knows many more browsers, and is a module of its own; these few
// lines keep the example in the library's module without one more dependency.
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
