package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
)

// TestCookie looks at the cookie as the browser stores it.
func TestCookie(t *testing.T) {
	overBoth(t, func(t *testing.T, s *shop) {
		p := s.visit(t)
		p.expect("DocumentCookie") // the test's own look at document.cookie
		check := func(when string, persistent bool) {
			t.Helper()
			c := p.session()
			if c.Domain != "localhost" { // with a dot in front, sub-domains would get it, too
				t.Errorf("%s: the cookie is of the domain %q, want localhost alone", when, c.Domain)
			}
			if c.Path != "/" || !c.HTTPOnly || c.Secure != s.secure || c.SameSite != network.CookieSameSiteLax || c.PartitionKey != nil {
				t.Errorf("%s: the cookie is %+v, want Path=/, HttpOnly, Secure only over TLS, SameSite=Lax, no partition", when, c)
			}
			if c.Session == persistent {
				t.Errorf("%s: persistent is %t, want %t", when, !c.Session, persistent)
			}
			if left := time.Until(time.Unix(int64(c.Expires), 0)); persistent && (left < 29*24*time.Hour || left > 31*24*time.Hour) {
				t.Errorf("%s: the cookie stays for %v, want 30 days", when, left)
			}
			if got := p.eval("document.cookie"); got != `""` {
				t.Errorf("%s: scripts see the cookie", when)
			}
		}

		p.open("/")
		if all := p.cookies(); len(all) > 0 {
			t.Errorf("a visit that changes nothing sets %d cookies", len(all))
		}
		p.add("mug", 1)
		check("a cart", false)
		p.signIn("ada", "lovelace", true)
		check("remembered", true)
		p.signIn("ada", "lovelace", false)
		check("not remembered any more", false)
		p.click(`form[action="/logout"] button`)
		check("signed out", false)
	})
}

// TestLoginChangesToken: what was seen or planted before the login is worth
// nothing after it, and neither is what was there before the password was
// asked again.
func TestLoginChangesToken(t *testing.T) {
	overBoth(t, func(t *testing.T, s *shop) {
		p := s.visit(t)
		p.open("/")
		p.add("mug", 1)
		before := p.session().Value

		p.expect("the server responded with a status of 422") // as it should
		p.open("/login")
		p.typeIn(`[name=name]`, "ada")
		p.typeIn(`[name=password]`, "byron")
		p.click(`form[action="/login"] button`)
		p.shows(".fault", "That name and password do not go together.")
		if got := p.eval("(e => [e.name, e.ariaInvalid, document.title.split(':')[0]].join())(document.activeElement)"); got != `"password,true,Error"` {
			t.Errorf("the field with the focus, whether it is invalid, and the title: %s", got)
		}
		if p.session().Value != before {
			t.Error("a failed login changed the token")
		}

		p.signIn("ada", "lovelace", false)
		after := p.session().Value
		if after == before {
			t.Error("the login did not change the token")
		}
		if got := s.statusWith(t, before); !strings.Contains(got, `"user":""`) || !strings.Contains(got, `"cart":0`) {
			t.Errorf("with the token from before the login, the status is %s", got)
		}
		if got := s.statusWith(t, after); !strings.Contains(got, `"user":"ada"`) || !strings.Contains(got, `"cart":1`) {
			t.Errorf("with the token from after the login, the status is %s; the cart is to be kept", got)
		}

		p.open("/cart")
		p.click(`a[href="/pay"]`)
		p.typeIn(`[name=password]`, "lovelace")
		p.click(`form[action="/pay"] button`)
		p.at("/cart")
		p.shows(".message.success", "Ordered 1 thing for €14.50. Nothing was charged: this is an example.")
		if p.session().Value == after {
			t.Error("a password given again did not change the token")
		}
		if got := s.statusWith(t, after); !strings.Contains(got, `"user":""`) {
			t.Errorf("with the token from before the password was asked again, the status is %s", got)
		}
	}, "-confirm", "0s")
}
