package session_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/chisession/session"
)

// visitor returns a function that sends requests to h as one browser does,
// cookies included, and returns the answers' bodies.
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
