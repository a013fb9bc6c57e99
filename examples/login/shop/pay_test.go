package shop

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
)

// TestPay signs in on the way to paying, and pays with one more press: the
// password was given a moment ago.
func TestPay(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.post("/cart/add", "item", "lamp")
	p := v.get("/cart")
	p.wantText(t, `<a class="button" href="/pay">Pay €64.00…</a>`)
	p.wantText(t, "You will be asked to sign in first.")
	if p = v.get("/pay"); p.path != "/login?next=%2Fpay" {
		t.Errorf("paying without login leads to %s, want the login", p.path)
	}
	if p = v.do("POST", "/pay", "total=6400", "Referer", v.base+"/pay"); p.path != "/login?next=%2Fpay" {
		t.Errorf("a form that pays, without login, leads to %s, want the login", p.path)
	}
	p = v.post("/login", "name", demoUser, "password", demoPassword, "next", "/pay")
	p.wantText(t, "<h1>Pay €64.00</h1>")
	if p.path != "/pay" || strings.Contains(p.body, `type="password"`) {
		t.Errorf("the login leads to %s, or to another password; want /pay, without", p.path)
	}
	p = v.get("/cart")
	p.wantText(t, `<form method="post" action="/pay" data-once><input type="hidden" name="total" value="6400"><button>Pay €64.00</button></form>`)
	v.post("/pay", "total", "6400").wantMessages(t, "success: Ordered 1 thing for €64.00. Nothing was charged: this is an example.")
	v.post("/pay", "total", "6400").wantMessages(t, "notice: There was nothing to order.")
	if p = v.get("/pay"); p.path != "/cart" {
		t.Errorf("with nothing in the cart /pay leads to %s, want /cart", p.path)
	}
}

// TestPayWithPassword asks for the password again where it was given long ago,
// on the page that pays.
func TestPayWithPassword(t *testing.T) {
	s := newSite(t, session.Config{})
	s.confirmFor = -1
	v := s.visitor(t)
	v.login()
	v.post("/cart/add", "item", "lamp")
	v.get("/cart").wantText(t, "We ask for your password on the next page.")
	p := v.get("/pay")
	p.wantText(t, `<label for="password">Password of ada</label>`)
	p.wantText(t, "<button>Pay €64.00</button>")
	before := v.token()
	v.post("/pay", "total", "6400").wantFault(t, "password", "Please enter your password.")
	v.post("/pay", "total", "6400", "password", "guess").wantFault(t, "password", "That is not your password.")
	if v.token() != before {
		t.Error("a wrong password renewed the token")
	}
	v.get("/status").wantText(t, `"cart":1`)
	p = v.post("/pay", "total", "6400", "password", demoPassword)
	p.wantMessages(t, "success: Ordered 1 thing for €64.00. Nothing was charged: this is an example.")
	if v.token() == before {
		t.Error("the password did not renew the token")
	}
	if v.with(before).user() != "" {
		t.Error("the token from before the password was given still works")
	}
}

// TestLoginLeadsOn: who was sent to sign in, and is signed in by now, goes on.
func TestLoginLeadsOn(t *testing.T) {
	v := newSite(t, session.Config{}).visitor(t)
	v.login()
	if p := v.get("/login?next=%2Fcart"); p.path != "/cart" {
		t.Errorf("it leads to %s, want /cart", p.path)
	}
	if p := v.get("/login"); p.path != "/login" {
		t.Errorf("a login without a next page leads to %s: one may want to be somebody else", p.path)
	}
	if p := v.get("/login?next=//evil.test"); p.path != "/" {
		t.Errorf("it leads to %s, want /", p.path)
	}
}

// TestPayAnotherTotal orders nothing for another price than the button said.
func TestPayAnotherTotal(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.login()
	v.post("/cart/add", "item", "lamp")
	v.post("/cart/add", "item", "mug") // in another tab
	for _, total := range []string{"6400", "", "free"} {
		v.post("/pay", "total", total).wantMessages(t,
			"warning: Your cart has changed meanwhile, in another tab perhaps. Nothing was ordered: please look at it again.")
	}
	v.get("/status").wantText(t, `"cart":2`)
}

// TestPayDuringLogout orders nothing for who signs out meanwhile, and says so.
func TestPayDuringLogout(t *testing.T) {
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fault := backendtest.NewFault(store)
	s := newSite(t, session.Config{Store: fault.StoreWith(backendtest.Capabilities(store))})
	v := s.visitor(t)
	v.login()
	v.post("/cart/add", "item", "lamp")
	gate := fault.Gate(backendtest.OpUpdate, backendtest.AtCall)
	paid := make(chan page)
	go func() { paid <- v.post("/pay", "total", "6400") }()
	<-gate.Reached()
	if _, err := s.sessions.RevokeUser(t.Context(), demoUser); err != nil {
		t.Error(err)
	}
	gate.Release()
	p := <-paid
	p.wantText(t, "<h1>Nothing was ordered</h1>")
	p.wantText(t, "You were signed out before the order was placed.")
	if p.status != http.StatusConflict {
		t.Errorf("status %d, want 409", p.status)
	}
}
