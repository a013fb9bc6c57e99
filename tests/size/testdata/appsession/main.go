// A server as most are, with sessions.
package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
)

type answer struct{ Hello string }

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{Logger: logger}))
	r.Post("/", func(w http.ResponseWriter, r *http.Request) {
		var a answer
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			logger.Error("decode", "error", err)
		}
		s := session.FromContext(r)
		n, _ := session.Get[int](s, "n")
		s.Set("n", n+1)
		_ = json.NewEncoder(w).Encode(a)
	})
	logger.Error("ended", "error", http.ListenAndServe("127.0.0.1:8080", r))
}
