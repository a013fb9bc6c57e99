package session_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/chisession/session"
)

// Update counts exactly, however many requests of a session overlap.
func ExampleUpdate() {
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("clicks", 0)
		},
		"/click": func(w http.ResponseWriter, r *http.Request) {
			n, err := session.Update(session.FromContext(r), "clicks", func(n int) int { return n + 1 })
			if err != nil {
				http.Error(w, "please try again", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprint(w, n)
		},
	})
	defer manager.Close()

	visit("/") // the browser has its cookie
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { visit("/click") })
	}
	wg.Wait()
	fmt.Println("the 21st click:", visit("/click"))
	// Output: the 21st click: 21
}

// Several values change together, or not at all.
func ExampleSession_Update() {
	errBroke := errors.New("not enough points")
	buy := func(s *session.Session, price int) error {
		return s.Update(func(v *session.Values) error {
			points, _ := v.Get("points").(int)
			if points < price {
				return errBroke
			}
			things, _ := v.Get("things").(int)
			v.Set("points", points-price)
			v.Set("things", things+1)
			return nil
		})
	}
	manager, visit := serveExample(session.Config{}, map[string]http.HandlerFunc{
		"/start": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("points", 10)
		},
		"/buy": func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			err := buy(s, 6)
			fmt.Fprintln(w, s.Get("things"), "bought,", s.Get("points"), "points left, error:", err)
		},
	})
	defer manager.Close()

	visit("/start")
	fmt.Print(visit("/buy"))
	fmt.Print(visit("/buy"))
	// Output:
	// 1 bought, 4 points left, error: <nil>
	// 1 bought, 4 points left, error: not enough points
}
