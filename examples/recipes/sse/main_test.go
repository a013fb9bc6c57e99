package main

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/examples/recipes/internal/browser"
)

func TestEventsEndWithTheLogin(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := browser.Manager(t, session.Config{Store: store})
	mux := http.NewServeMux()
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) { session.FromContext(r).SetUser("ada") })
	mux.HandleFunc("/events", events)
	b := browser.Open(t, m.Middleware(mux))

	b.Want("nobody's events", http.StatusNoContent, "")(b.Get("/events"))
	b.Get("/login")
	res, err := b.Client.Get(b.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "data: ") {
		t.Fatalf("the stream starts with %q", lines.Text())
	}
	other := browser.Manager(t, session.Config{Store: store}) // as in another process
	if n, err := other.RevokeUser(t.Context(), "ada"); n != 1 || err != nil {
		t.Fatalf("RevokeUser: %d, %v, want 1", n, err)
	}
	for lines.Scan() { // until it ends
	}
	if lines.Err() != nil {
		t.Errorf("the stream ended with %v, want its end", lines.Err())
	}
	b.Want("the events that are asked for again", http.StatusNoContent, "")(b.Get("/events"))
}
