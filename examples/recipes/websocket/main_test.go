package main

import (
	"net/http"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/examples/recipes/internal/browser"
	"github.com/coder/websocket"
)

func TestEchoEndsWithTheLogin(t *testing.T) {
	m := browser.Manager(t, session.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).SetUser("ada") })
	mux.HandleFunc("/logout", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).Destroy() })
	mux.HandleFunc("/echo", echo)
	b := browser.Open(t, m.Middleware(mux))

	b.Want("nobody's socket", http.StatusUnauthorized, "log in first")(b.Get("/echo"))
	b.Get("/login")
	if _, res, err := websocket.Dial(t.Context(), b.URL+"/echo", &websocket.DialOptions{
		HTTPClient: b.Client, HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
	}); err == nil || res.StatusCode != http.StatusForbidden {
		t.Fatalf("another site's socket: %v, want status 403", err)
	}
	conn, _, err := websocket.Dial(t.Context(), b.URL+"/echo", &websocket.DialOptions{HTTPClient: b.Client})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := conn.Read(t.Context()); err != nil || string(text) != "hello" {
		t.Fatalf("the echo is %q, %v", text, err)
	}
	b.Get("/logout") // in another tab
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("after the logout: %v, want the close status 1008", err)
	}
}
