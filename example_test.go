package session_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/chisession/session"
)

// visitor returns a function that sends requests to h as one browser does,
// cookies included, and returns the responses' bodies.
func visitor(h http.Handler) func(target string) string {
	jar := map[string]string{}
	return func(target string) string {
		r := httptest.NewRequest("GET", "http://localhost"+target, nil)
		for name, value := range jar {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			if c.MaxAge < 0 {
				delete(jar, c.Name)
			} else {
				jar[c.Name] = c.Value
			}
		}
		return w.Body.String()
	}
}

// A counter of one's own visits.
func Example() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	count := func(w http.ResponseWriter, r *http.Request) {
		s := session.FromContext(r)
		n, _ := s.Get("visits").(int)
		s.Set("visits", n+1)
		fmt.Fprintf(w, "visit %d", n+1)
	}

	visit := visitor(manager.Middleware(http.HandlerFunc(count)))
	fmt.Println(visit("/"))
	fmt.Println(visit("/"))
	fmt.Println(visit("/"))
	// Output:
	// visit 1
	// visit 2
	// visit 3
}

// On a chi router one line mounts it; static files go without.
func ExampleMiddleware() {
	r := chi.NewRouter()
	r.Use(session.Middleware(session.Config{
		IdleTimeout: 30 * time.Minute,
		Skip:        func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/static/") },
		SweepEvery:  -1, // an example leaves nothing running
	}))
	r.Get("/name/{name}", func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("name", chi.URLParam(r, "name"))
		io.WriteString(w, "noted")
	})
	r.Get("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %v", session.FromContext(r).Get("name"))
	})

	visit := visitor(r)
	fmt.Println(visit("/name/Ada"))
	fmt.Println(visit("/"))
	// Output:
	// noted
	// Hello, Ada
}

// Two groups of routes, one of them with sessions.
func ExampleManager_Middleware() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	r := chi.NewRouter()
	r.Get("/health", func(w http.ResponseWriter, r *http.Request) {
		_, ok := session.Lookup(r.Context())
		fmt.Fprint(w, "a session: ", ok)
	})
	r.Group(func(r chi.Router) {
		r.Use(manager.Middleware)
		r.Get("/", func(w http.ResponseWriter, r *http.Request) {
			_, ok := session.Lookup(r.Context())
			fmt.Fprint(w, "a session: ", ok)
		})
	})

	visit := visitor(r)
	fmt.Println("/health", visit("/health"))
	fmt.Println("/", visit("/"))
	fmt.Println("loads:", manager.Stats().Loads) // nobody had a cookie
	// Output:
	// /health a session: false
	// / a session: true
	// loads: 0
}

// By hand, where no middleware can be mounted: what Start began, Release
// stores and ends.
func ExampleManager_Start() {
	manager, err := session.New(session.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer manager.Close()

	handler := func(w http.ResponseWriter, r *http.Request) {
		s, err := manager.Start(w, r)
		if err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		defer s.Release()

		n, _ := s.Get("n").(int)
		s.Set("n", n+1)
		if err := s.Save(); err != nil { // before the first byte of the response
			http.Error(w, "please try again", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "n is", n+1)
	}

	visit := visitor(http.HandlerFunc(handler))
	fmt.Print(visit("/"))
	fmt.Print(visit("/"))
	// Output:
	// n is 1
	// n is 2
}
