package suite_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/tests/frameworks/internal/suite"
)

// routes are the suite's, for whatever takes http.HandlerFuncs. value returns
// the path's parameter.
func routes(step <-chan struct{}, value func(*http.Request) string) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /set/{value}": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("value", value(r))
			fmt.Fprint(w, "noted")
		},
		"GET /get": func(w http.ResponseWriter, r *http.Request) {
			v, ok := session.Get[string](session.FromContext(r), "value")
			if !ok {
				v = "nothing"
			}
			fmt.Fprint(w, v)
		},
		"POST /login": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).SetUser("ada")
			flash.Success(r, "Welcome.")
			http.Redirect(w, r, "/home", http.StatusSeeOther)
		},
		"GET /home": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, session.FromContext(r).User(), ":")
			for _, m := range flash.Take(r) {
				fmt.Fprint(w, m)
			}
		},
		"POST /logout": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Destroy()
			http.Redirect(w, r, "/get", http.StatusSeeOther)
		},
		"GET /json": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("value", "json")
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(http.StatusCreated)
			json.NewEncoder(w).Encode(suite.Body)
		},
		"GET /empty": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("value", "empty")
			w.WriteHeader(http.StatusNoContent)
		},
		"GET /refuse": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("value", "refuse")
			http.Error(w, "not for you", http.StatusForbidden)
		},
		"GET /panic": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("value", "panic")
			panic("boom")
		},
		"GET /stream": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("value", "stream")
			fmt.Fprintln(w, "first")
			http.NewResponseController(w).Flush()
			<-step
			session.FromContext(r).Set("value", "late")
			fmt.Fprintln(w, "second")
		},
	}
}

// recoverer answers 500 where next panics. It stands outside of the sessions,
// so that they see the panic.
func recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if recover() != nil {
				http.Error(w, "sorry", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func TestServeMux(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		mux := http.NewServeMux()
		for pattern, h := range routes(step, func(r *http.Request) string { return r.PathValue("value") }) {
			mux.HandleFunc(pattern, h)
		}
		return recoverer(m.Middleware(mux))
	})
}

func TestChi(t *testing.T) {
	suite.Run(t, func(m *session.Manager, step <-chan struct{}) http.Handler {
		r := chi.NewRouter()
		r.Use(middleware.RequestID, middleware.Compress(5), recoverer, m.Middleware)
		for pattern, h := range routes(step, func(r *http.Request) string { return chi.URLParam(r, "value") }) {
			r.HandleFunc(pattern, h)
		}
		return r
	})
}
