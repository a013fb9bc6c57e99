// Websocket sends back what it gets, until the user logs out.
package main

import (
	"log"
	"net/http"

	"github.com/chisession/session"
	"github.com/coder/websocket"
)

func echo(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	if s.User() == "" {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	conn, err := websocket.Accept(w, r, nil) // refuses pages of other sites, which would bring the cookie along
	if err != nil {
		return
	}
	defer conn.CloseNow()
	go func() {
		<-s.Done() // logged out, or the handler has returned
		conn.Close(websocket.StatusPolicyViolation, "logged out")
	}()
	for {
		kind, text, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, text) != nil {
			return
		}
		s.Save() // a message is activity of the user: noted once a minute at most
	}
}

func main() {
	http.HandleFunc("GET /echo", echo)
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", session.Middleware(session.Config{})(http.DefaultServeMux)))
}
