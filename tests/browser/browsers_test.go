package browser

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// browser starts a browser of its own for somebody, with the profile in dir,
// and returns a tab. quit closes the browser.
func (s *shop) browser(t *testing.T, dir string, options ...chromedp.ExecAllocatorOption) (p *tab, quit func()) {
	t.Helper()
	ctx, stop, err := startChromium(dir, options...)
	if err != nil {
		t.Fatal(err)
	}
	quit = sync.OnceFunc(func() {
		if err := stop(); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	t.Cleanup(quit)
	return s.tab(t, ctx), quit
}

// TestRememberMe closes the browser and starts it again: who wanted to be kept
// signed in is, and who did not is not.
func TestRememberMe(t *testing.T) {
	t.Parallel()
	s := startShop(t, true)
	dir := filepath.Join(t.TempDir(), "profile")

	p, quit := s.browser(t, dir)
	p.signIn("ada", "lovelace", true)
	p.add("mug", 1)
	token := p.session().Value
	quit()

	p, quit = s.browser(t, dir)
	if c := p.session(); c.Value != token || c.Session {
		t.Errorf("after a restart the cookie is %+v, want the one from before, persistent", c)
	}
	p.open("/cart")
	p.shows(".who strong", "ada")
	p.shows("tbody th", "Mug")
	p.signIn("ada", "lovelace", false)
	quit()

	p, _ = s.browser(t, dir)
	if all := p.cookies(); len(all) > 0 {
		t.Errorf("after a restart there are %d cookies of a session that was not to be remembered", len(all))
	}
	p.open("/devices")
	p.at("/login?next=%2Fdevices")
}

// TestDevices: one browser ends the session of another.
func TestDevices(t *testing.T) {
	t.Parallel()
	s := startShop(t, false)
	desk, _ := s.browser(t, filepath.Join(t.TempDir(), "desk"))
	phone, _ := s.browser(t, filepath.Join(t.TempDir(), "phone"), chromedp.UserAgent(
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"))
	phone.signIn("ada", "lovelace", true)
	phone.open("/live")
	phone.wait("the stream of events", "document.querySelector('#events').innerText.includes('ada, 0 in the cart')")
	desk.signIn("ada", "lovelace", false)
	desk.click(`nav a[href="/devices"]`)
	desk.shows(".devices h2", "Chrome on Linux this one", "Safari on iPhone")
	desk.picture("devices")

	phone.leave("the end of its session, made elsewhere", func() {
		desk.click(`li:has(h2):not(:has(.here)) button`)
	})
	desk.shows(".message", "Safari on iPhone is signed out.")
	desk.shows(".devices h2", "Chrome on Linux this one")
	phone.at("/live")
	phone.shows(".who")
	phone.open("/devices")
	phone.at("/login?next=%2Fdevices")
	desk.open("/cart")
	desk.shows(".who strong", "ada")
}
