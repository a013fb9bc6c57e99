package memory_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/memory"
)

// At the bound a new visitor's session takes the place of another visitor's.
func ExampleNew() {
	store, err := memory.New(memory.Options{MaxSessions: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	m, err := session.New(session.Config{Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	page := m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("cart", "tea")
	}))
	for range 120 {
		page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "https://shop.example/", nil))
	}
	n, err := m.Count(httptest.NewRequest("GET", "/", nil).Context())
	fmt.Println(n, "live,", store.Evicted(), "evicted,", err)
	// Output: 100 live, 20 evicted, <nil>
}
