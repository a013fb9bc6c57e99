package browser

import (
	"strings"
	"testing"
)

// TestTwoTabsOneCart: two tabs add to the cart at once, and every click
// counts.
func TestTwoTabsOneCart(t *testing.T) {
	overBoth(t, func(t *testing.T, s *shop) {
		p := s.visit(t)
		p.open("/")
		p.add("mug", 1) // from now on there is a session
		other := p.another()
		other.open("/")

		// Both scripts run at once: neither waits for its answers.
		const clicks = `for (let i = 0; i < 15; i++) document.querySelector('form:has([value=ITEM]) button').click(), true`
		p.eval(strings.Replace(clicks, "ITEM", "mug", 1))
		other.eval(strings.Replace(clicks, "ITEM", "pen", 1))
		p.wait("31 things", "fetch('/status').then(r => r.json()).then(s => s.cart === 31)")

		p.open("/cart")
		p.shows("tbody th", "Mug", "Fountain pen")
		p.counts("16", "15")
	})
}

// TestLogoutEndsOtherTabs: a tab that is open elsewhere is signed out, too. The
// one with a stream finds out by itself, the one that polls at its next poll,
// and the one without scripts at its next click.
func TestLogoutEndsOtherTabs(t *testing.T) {
	overBoth(t, func(t *testing.T, s *shop) {
		p := s.visit(t)
		p.signIn("ada", "lovelace", false)
		live, front, plain := p.another(), p.another(), p.another()
		front.open("/")
		front.shows(".who strong", "ada")
		plain.withoutScripts()
		plain.open("/devices")
		live.open("/live")
		live.wait("the WebSocket", "document.querySelector('#heard').innerText.includes('Connected.')")
		live.typeIn("#say", "hi")
		live.press("#socket button")
		live.wait("the WebSocket's answer", "document.querySelector('#heard').innerText.includes('ada: hi')")

		live.leave("signing out in another tab", func() { p.click(`form[action="/logout"] button`) })
		live.at("/live")
		// Both tabs load a page now, and one of them gets the message.
		if got := append(p.texts(".message"), live.texts(".message")...); len(got) != 1 || got[0] != "You are signed out." {
			t.Errorf("the tabs show %q", got)
		}
		front.try("poll(), true") // now, rather than in ten seconds; or it is reloading already
		front.wait("a poll finds out", "document.readyState === 'complete' && !document.querySelector('.who')")
		front.at("/")
		plain.click(`form[action="/devices/end"] button`)
		plain.at("/login?next=%2Fdevices")
		for _, tab := range []*tab{p, live, front, plain} {
			tab.shows(".who")
			tab.hides(`data-user="ada"`, "Signed in as", `href="/devices"`)
		}
	})
}
