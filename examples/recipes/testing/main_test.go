package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

func TestOrder(t *testing.T) {
	c := sessiontest.New(t, session.Config{})
	h := routes(c.Manager().Middleware)

	cart := sessiontest.Values{"items": []string{"tea", "milk"}}
	res := c.Serve(h, c.Form("/order", nil, cart)) // a browser with a cart, and nobody logged in
	if got := res.Header().Get("Location"); got != "/login" || res.Stored() {
		t.Errorf("an anonymous order leads to %q, and stores something: %v", got, res.Stored())
	}
	res = c.Serve(h, c.Form("/order", nil, cart, sessiontest.User("ada")))
	if got := res.Flash().Map()["success"].String(); got != "You ordered 2 things." || res.Session().Get("items") != nil {
		t.Errorf("ada's order says %q and leaves %v in the cart", got, res.Session().Get("items"))
	}
}

func TestExpiredOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // an hour takes no time
		c := sessiontest.New(t, session.Config{})
		r := c.Form("/order", nil, sessiontest.User("ada"))
		time.Sleep(session.DefaultIdleTimeout + time.Minute)
		res := c.Serve(routes(c.Manager().Middleware), r)
		if got := res.Header().Get("Location"); got != "/login" {
			t.Errorf("an order after an hour leads to %q, want /login", got)
		}
	})
}
