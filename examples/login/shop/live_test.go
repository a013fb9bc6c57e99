package shop

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/chisession/session"
)

// stream opens the stream of events.
func (v *visitor) stream() (next func() string) {
	v.t.Helper()
	answer, err := v.client.Get(v.base + "/events")
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	return func() string {
		var event string
		for lines.Scan() {
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "event: "):
				event = strings.TrimPrefix(line, "event: ")
			case strings.HasPrefix(line, "data: "):
				return event + " " + strings.TrimPrefix(line, "data: ")
			}
		}
		return "end"
	}
}

// TestEvents reads the stream while the session changes and ends elsewhere.
func TestEvents(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.login()
	next := v.stream()
	if got := next(); !strings.HasPrefix(got, `status {"user":"ada","cart":0`) {
		t.Errorf("first event is %q", got)
	}
	v.post("/cart/add", "item", "mug")
	if got := next(); !strings.HasPrefix(got, `status {"user":"ada","cart":1`) {
		t.Errorf("event after adding is %q", got)
	}
	v.post("/logout")
	if got := next(); got != "bye {}" {
		t.Errorf("event after the logout is %q, want bye", got)
	}
	if got := next(); got != "end" {
		t.Errorf("after bye came %q", got)
	}
}

// socket opens the WebSocket.
func (v *visitor) socket() (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(v.t.Context(), v.base+"/socket", &websocket.DialOptions{HTTPClient: v.client})
	return conn, err
}

func TestSocket(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.login()
	conn, err := v.socket()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	say := func(text string) (string, error) {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			return "", err
		}
		_, answer, err := conn.Read(t.Context())
		return string(answer), err
	}
	if got, err := say("hello"); got != "ada: hello" || err != nil {
		t.Errorf("the socket says %q (%v), want ada: hello", got, err)
	}
	v.post("/logout")
	if got, err := say("still me?"); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("after the logout the socket says %q (%v), want it closed", got, err)
	}
}

func TestSocketOfAnotherSite(t *testing.T) {
	v := newSite(t, session.Config{}).visitor(t)
	_, answer, err := websocket.Dial(t.Context(), v.base+"/socket", &websocket.DialOptions{
		HTTPClient: v.client, HTTPHeader: http.Header{"Origin": {"https://evil.test"}}})
	if err == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a socket from another origin: %v, want 403", err)
	}
}

// TestShutdown ends live streams, so that the program can end.
func TestShutdown(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.login()
	next := v.stream()
	next()
	conn, err := v.socket()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	down := make(chan error)
	go func() {
		err := s.Config.Shutdown(t.Context())
		s.shop.close()
		down <- err
	}()
	if got := next(); got != "end" {
		t.Errorf("the stream says %q after the shutdown, want its end", got)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the socket ends with %v, want going away", err)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
