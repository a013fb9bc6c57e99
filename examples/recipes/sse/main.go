// Sse sends events until the user logs out, in this process or another.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/chisession/session"
	"github.com/go-chi/chi/v5"
)

func events(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	if s.User() == "" {
		w.WriteHeader(http.StatusNoContent) // an EventSource that gets 204 does not come again
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for tick := time.Tick(10 * time.Second); ; {
		fmt.Fprintf(w, "data: %s\n\n", time.Now().Format(time.TimeOnly))
		http.NewResponseController(w).Flush()
		select {
		case <-s.Done(): // logged out: the browser comes again, and gets 204, or the events of who logged in
			return
		case <-r.Context().Done(): // the page was closed
			return
		case <-tick:
			s.Save() // notes activity, once a minute at most; leave it out if a page that is only open may expire
		}
	}
}

func main() {
	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{}))
	r.Get("/events", events) // const source = new EventSource("/events"); source.onmessage = e => …
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", r))
}
