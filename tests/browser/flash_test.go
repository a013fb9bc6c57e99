package browser

import (
	"strconv"
	"testing"
)

// polling makes a page ask for its status and for a part of itself, again and
// again, as fast as it can.
const polling = `window.polls = 0; window.polling = true; (async () => {
	while (window.polling) {
		await fetch('/status');
		await fetch('/cart/badge', { headers: { 'HX-Request': 'true' } });
		window.polls++;
	}
})(); true`

// TestFlashOnce: a message shows on the page after the redirect, once, however
// many requests that are no pages run in between.
func TestFlashOnce(t *testing.T) {
	overBoth(t, func(t *testing.T, s *shop) {
		p := s.visit(t)
		p.open("/")
		p.add("pen", 1) // so that there is a session for the polls
		other := p.another()
		other.open("/live") // its streams know the session, too
		other.wait("the stream of events", "document.querySelector('#events').innerText.includes('somebody, 1 in the cart')")
		other.eval(polling)

		p.open("/live")
		for range 3 {
			seen := other.eval("window.polls")
			other.wait("a poll", "window.polls > "+seen)
			p.click(`form[action="/say"] button`)
			p.at("/live")
			p.shows(".message", "This went well.", "This is good to know.", "This needs care.", "This did not work.")
			p.shows(".message[role=status]", "This went well.", "This is good to know.")
			p.shows(".message[role=alert]", "This needs care.", "This did not work.")
			p.open("/live")
			p.shows(".message")
		}

		other.eval("window.polling = false")
		if polls, _ := strconv.Atoi(other.eval("window.polls")); polls < 3 {
			t.Errorf("there were %d polls meanwhile: too few to show anything", polls)
		}
		other.open("/")
		other.shows(".message") // nothing was left for another page
	})
}
