// Package sessiontest tests handlers that use sessions: it makes requests
// that come with a session, and tells what a handler did to it.
//
//	func TestCart(t *testing.T) {
//		c := sessiontest.New(t, session.Config{})
//		req := c.Request("POST", "/cart", sessiontest.Values{"items": 1}, sessiontest.User("ada"))
//
//		res := c.Serve(http.HandlerFunc(addToCart), req)
//
//		if got := res.Session().Get("items"); got != 2 {
//			t.Errorf("items = %v, want 2", got)
//		}
//	}
//
// Nothing is simulated: sessions are kept in a real store, which is memory
// unless the configuration says otherwise, they are made through the public
// API, and handlers run behind the real middleware. Nothing but the cookie
// connects a request with its session.
//
// The clock is the time package's, so inside [testing/synctest] a test of the
// timeouts takes no time.
package sessiontest
