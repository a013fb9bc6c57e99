package session_test

import (
	"fmt"
	"net/http"

	"github.com/chisession/session"
)

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
		if err := s.Save(); err != nil { // before the first byte of the answer
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
