// A server as most are: it logs with slog, and answers JSON.
package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"
)

type answer struct{ Hello string }

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	r := chi.NewRouter()
	r.Post("/", func(w http.ResponseWriter, r *http.Request) {
		var a answer
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			logger.Error("decode", "error", err)
		}
		_ = json.NewEncoder(w).Encode(a)
	})
	logger.Error("ended", "error", http.ListenAndServe("127.0.0.1:8080", r))
}
