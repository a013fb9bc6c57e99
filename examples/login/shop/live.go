package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
)

// live is the page to try things on: messages, streams, the slow page.
func (s *shop) live(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "live.html", "Try it", nil)
}

// say leaves a message of each level for the next page.
func (s *shop) say(w http.ResponseWriter, r *http.Request) {
	flash.Success(r, "This went well.")
	flash.Notice(r, "This is good to know.")
	flash.Warning(r, "This needs care.")
	flash.Error(r, "This did not work.")
	back(w, r, "/live")
}

// slow takes its time and then stores something. If the user signs out
// meanwhile, the logout wins.
func (s *shop) slow(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.FormValue("seconds"))
	if err != nil || seconds < 0 {
		seconds = 8
	}
	select {
	case <-time.After(time.Duration(min(seconds, 30)) * time.Second):
	case <-s.closing.Done():
	}
	current := session.FromContext(r)
	current.Set("slow_page_at", time.Now())
	switch err := current.Save(); {
	case ended(err):
		flash.Now(r, flash.LevelWarning, "You signed out while this page was at work, so what it did was dropped. You stay signed out.")
	case err != nil:
		s.unavailable(w, r, err)
		return
	default:
		flash.Now(r, flash.LevelSuccess, "Done, and stored.")
	}
	s.render(w, r, http.StatusOK, "slow.html", "The slow page", nil)
}

// A status is what the page's script asks for now and then.
type status struct {
	User    string `json:"user"`
	Cart    int    `json:"cart"`
	Seconds int    `json:"seconds"` // until the session ends; 0 if there is none
}

// status tells how the session stands. It is a poll: it does not count as
// activity, or an open tab would keep the session for ever, and it takes no
// messages.
func (s *shop) status(w http.ResponseWriter, r *http.Request) {
	session.FromContext(r).NoTouch()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(statusOf(session.FromContext(r)))
}

func statusOf(s *session.Session) status {
	st := status{User: s.User(), Cart: cartOf(s).Count()}
	if ends := s.ExpiresAt(); !ends.IsZero() {
		st.Seconds = max(0, int(time.Until(ends).Seconds()))
	}
	return st
}

// events is a stream of server-sent events: the session's status, whenever it
// has changed, and "bye" when the session has ended, wherever that was done.
func (s *shop) events(w http.ResponseWriter, r *http.Request) {
	s.streams.Add(1)
	defer s.streams.Done()
	session.FromContext(r).NoTouch()
	out := http.NewResponseController(w)
	out.SetReadDeadline(time.Time{}) // the server's own would end the stream
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx

	current := session.FromContext(r)
	began := !current.IsNew()
	tick := time.NewTicker(s.lookEvery)
	defer tick.Stop()
	for first, sent := true, (status{}); ; first = false {
		now := statusOf(current)
		if first || sent.User != now.User || sent.Cart != now.Cart {
			text, _ := json.Marshal(now)
			fmt.Fprintf(w, "event: status\ndata: %s\n\n", text)
			sent = now
		} else {
			fmt.Fprint(w, ": still here\n\n") // finds out whether the client is
		}
		out.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if out.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.closing.Done():
			return
		}
		switch err := current.Reload(); {
		case began && ended(err):
			fmt.Fprint(w, "event: bye\ndata: {}\n\n")
			return
		case err != nil:
			slog.Warn("stream: the session could not be read, trying again", "error", err)
		}
	}
}

// socket is a WebSocket that says back what it hears, in the user's name. Each
// message looks whether the session is still there and counts as activity.
func (s *shop) socket(w http.ResponseWriter, r *http.Request) {
	s.streams.Add(1)
	defer s.streams.Done()
	conn, err := websocket.Accept(w, r, nil) // refuses other origins
	if err != nil {
		return // it has answered
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.closing, func() {
		conn.Close(websocket.StatusGoingAway, "the server is shutting down")
		cancel()
	})()

	current := session.FromContext(r)
	for {
		_, text, err := conn.Read(ctx) // messages of up to 32 KiB
		if err != nil {
			return
		}
		if err := current.Reload(); ended(err) {
			conn.Close(websocket.StatusPolicyViolation, "you are signed out")
			return
		} else if err != nil {
			conn.Close(websocket.StatusTryAgainLater, "please try again")
			return
		}
		current.Save() // nothing to store: it notes the activity
		name := current.User()
		if name == "" {
			name = "somebody"
		}
		if err := conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "%s: %s", name, text)); err != nil {
			return
		}
	}
}
