// Counter is the smallest program with sessions: it counts your visits.
//
//	go run ./examples/counter
//	go run ./examples/counter -provider file -save-path ./tmp
//	go run ./examples/counter -provider redis -save-path 127.0.0.1:6379
//	go run ./examples/counter -provider mysql -save-path 'user:password@tcp(127.0.0.1:3306)/shop'
//
// With any but the first the count goes on after a restart.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
	_ "github.com/chisession/session/backend/mysql" // known by name from here on
	_ "github.com/chisession/session/backend/redis"
)

func main() {
	provider := flag.String("provider", "memory", "where sessions are kept: memory, file, mysql or redis")
	savePath := flag.String("save-path", "", "where in there: a directory, an address, a DSN")
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()

	cfg := session.Config{Provider: *provider, SavePath: *savePath}
	// This program has no TLS. On this machine alone that is all right, but
	// Safari takes no Secure cookie over plain HTTP; Chromium and Firefox do.
	cfg.Cookie.Insecure = loopback(*addr)

	server := &http.Server{
		Addr:              *addr,
		Handler:           routes(session.Middleware(cfg)),
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Printf("open http://%s and reload", *addr)
	log.Fatal(server.ListenAndServe())
}

// loopback reports whether addr can be reached from this machine only.
func loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func routes(sessions func(http.Handler) http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(sessions)
	r.Get("/", count)
	return r
}

// count shows how often this browser has been here. Where two requests may
// count at the same moment, session.Update is the exact way:
//
//	n, err := session.Update(s, "visits", func(n int) int { return n + 1 })
func count(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	n, _ := s.Get("visits").(int)
	s.Set("visits", n+1)
	fmt.Fprintf(w, "visit number %d\n", n+1)
}
