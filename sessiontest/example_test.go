package sessiontest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/flash"
	"github.com/chisession/session/sessiontest"
)

// An example has no *testing.T; this stands in for it.
type example struct {
	testing.TB
	cleanups []func()
}

func (t *example) Helper()           {}
func (t *example) Cleanup(f func())  { t.cleanups = append(t.cleanups, f) }
func (t *example) Output() io.Writer { return io.Discard }

func (t *example) end() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		t.cleanups[last]()
		t.cleanups = t.cleanups[:last]
	}
}

func addToCart(w http.ResponseWriter, r *http.Request) {
	s := session.FromContext(r)
	items, _ := s.Get("items").(int)
	s.Set("items", items+1)
	flash.Success(r, "It is in your cart.")
	http.Redirect(w, r, "/cart", http.StatusSeeOther)
}

func login(w http.ResponseWriter, r *http.Request) {
	session.FromContext(r).SetUser("ada")
}

func logout(w http.ResponseWriter, r *http.Request) {
	session.FromContext(r).Destroy()
}

func Example() {
	t := &example{} // in a test: its *testing.T
	defer t.end()

	c := sessiontest.New(t, session.Config{})
	req := c.Request("POST", "/cart", sessiontest.Values{"items": 1}, sessiontest.User("ada"))
	res := c.Serve(http.HandlerFunc(addToCart), req)

	fmt.Println("status:", res.Code)
	fmt.Println("items:", res.Session().Get("items"))
	fmt.Println("user:", res.Session().User())
	fmt.Println("flash:", res.Flash().Map()["success"])
	// Output:
	// status: 303
	// items: 2
	// user: ada
	// flash: It is in your cart.
}

// A login must give the session a new token and keep what is in it; a logout
// must end it.
func ExampleResponse_Renewed() {
	t := &example{}
	defer t.end()

	c := sessiontest.New(t, session.Config{})
	res := c.Serve(http.HandlerFunc(login), c.Request("POST", "/login", sessiontest.Values{"items": 3}))
	fmt.Println("login:", res.Renewed(), res.Session().User(), res.Session().Get("items"))

	res = c.Serve(http.HandlerFunc(logout), res.Next("POST", "/logout"))
	fmt.Println("logout:", res.Destroyed(), len(res.Next("GET", "/").Cookies()), "cookies")
	// Output:
	// login: true ada 3
	// logout: true 0 cookies
}

// Code that is called without the middleware finds its session all the same.
func ExampleWithSession() {
	t := &example{}
	defer t.end()

	greet := func(r *http.Request) string { return "Hello, " + session.FromContext(r).User() }
	req := sessiontest.WithSession(t, httptest.NewRequest("GET", "/", nil), sessiontest.User("ada"))
	fmt.Println(greet(req))
	// Output: Hello, ada
}
