package session_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/cookie"
)

// Sessions in files outlive the process.
func ExampleConfig() {
	dir, err := os.MkdirTemp("", "sessions")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	cfg := session.Config{
		Provider:        "file",
		SavePath:        dir,
		IdleTimeout:     20 * time.Minute,
		AbsoluteTimeout: 8 * time.Hour,
		MaxPerUser:      5,
		Cookie:          cookie.Options{Name: "shop", SameSite: http.SameSiteStrictMode},
	}
	var manager *session.Manager // of the process that runs
	visit := visitor(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		manager.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := session.FromContext(r)
			n, _ := s.Get("visits").(int)
			s.Set("visits", n+1)
			fmt.Fprint(w, "visit ", n+1)
		})).ServeHTTP(w, r)
	}))

	for range 2 { // start, serve, stop
		if manager, err = session.New(cfg); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(visit("/"))
		manager.Close()
	}
	// Output:
	// visit 1
	// visit 2
}

// A mistake is an error at start, which names the field and the cure.
func ExampleNew() {
	_, err := session.New(session.Config{IdleTimeout: 3600})
	fmt.Println(err)
	_, err = session.New(session.Config{Cookie: cookie.Options{SameSite: http.SameSiteNoneMode, Insecure: true}})
	fmt.Println(err != nil)
	// Output:
	// session: Config.IdleTimeout is 3.6µs: less than a millisecond; write 3600 * time.Second, not 3600
	// true
}

// An audit log of who logs in and out, and where. Everything that happens to
// sessions comes here, with the public ID and never the token.
func ExampleEvent() {
	manager, visit := serveExample(session.Config{
		On: func(ctx context.Context, e session.Event) {
			switch e.Kind {
			case session.EventLogin:
				fmt.Println(e.Path, "login of", e.User)
			case session.EventEnded:
				fmt.Println(e.Path, "end of a session of", e.User+":", e.Reason)
			}
		},
	}, map[string]http.HandlerFunc{
		"/cart":   func(w http.ResponseWriter, r *http.Request) { session.FromContext(r).Set("cart", "tea") },
		"/login":  func(w http.ResponseWriter, r *http.Request) { session.FromContext(r).SetUser("ada") },
		"/logout": func(w http.ResponseWriter, r *http.Request) { session.FromContext(r).Destroy() },
	})
	defer manager.Close()

	visit("/cart")
	visit("/login")
	visit("/logout")
	// Output:
	// /login login of ada
	// /logout end of a session of ada: destroyed
}

// A page that polls does not keep its session alive.
func ExampleSession_NoTouch() {
	ends := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, session.FromContext(r).ExpiresAt().UnixMilli())
	}
	manager, visit := serveExample(session.Config{TouchEvery: time.Millisecond}, map[string]http.HandlerFunc{
		"/login": func(w http.ResponseWriter, r *http.Request) { session.FromContext(r).SetUser("ada") },
		"/page":  ends,
		"/poll": func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).NoTouch()
			ends(w, r)
		},
	})
	defer manager.Close()

	visit("/login")
	before := visit("/poll")
	time.Sleep(10 * time.Millisecond)
	visit("/poll")
	fmt.Println("after a poll it ends later:", visit("/poll") != before)
	visit("/page") // moves it when it is done
	fmt.Println("after a page it ends later:", visit("/poll") != before)
	// Output:
	// after a poll it ends later: false
	// after a page it ends later: true
}
