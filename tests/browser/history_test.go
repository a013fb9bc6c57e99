package browser

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
)

// TestBackAfterLogout: the back button after a logout shows nothing of what
// was private, from no cache, with scripts or without.
func TestBackAfterLogout(t *testing.T) {
	overBoth(t, func(t *testing.T, s *shop) {
		// Without scripts nothing reloads a page that the browser kept; over
		// HTTP here, so that there are two stories and not four.
		scripts := s.secure
		p := s.visit(t)
		if !scripts {
			p.withoutScripts()
		}
		p.signIn("ada", "lovelace", false)
		if scripts {
			p.add("lamp", 1)
		} else {
			p.click(`form:has([value=lamp]) button`)
		}
		p.open("/cart")
		p.shows("tbody th", "Desk lamp")
		p.open("/devices")
		p.shows(".devices h2", "Chrome on Linux this one")
		p.click(`form[action="/logout"] button`)
		p.at("/")
		for _, want := range []string{"/login?next=%2Fdevices", "/cart", "/"} {
			p.back()
			p.at(want)
			p.hides(`data-user="ada"`, "Signed in as", `<th scope="row">Desk lamp</th>`, "this one")
		}
	})
}

// back presses the browser's back button.
func (p *tab) back() {
	p.t.Helper()
	p.leave("the back button", func() {
		history := send(p, page.GetNavigationHistory, cdp.Empty{})
		if history.CurrentIndex == 0 {
			p.t.Fatal("there is nothing to go back to")
		}
		send(p, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: history.Entries[history.CurrentIndex-1].ID})
	})
}
