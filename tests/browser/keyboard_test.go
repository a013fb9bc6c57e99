package browser

import (
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"
)

// key presses a key wherever the focus is: "\t", "\r", " ".
func (p *tab) key(key string) {
	p.t.Helper()
	p.do("press a key", chromedp.KeyEvent(key))
}

// reachable lists what a page can be used by.
const reachable = `[...document.querySelectorAll('a[href], button:not(:disabled), input:not([type=hidden], :disabled), [tabindex="0"]')].filter(e => e.checkVisibility()).length`

// focused says where the focus is, and whether one sees that.
const focused = `(() => {
	const e = document.activeElement, style = getComputedStyle(e);
	if (e === document.body) return '';
	const box = e.getBoundingClientRect();
	if (!e.matches(':focus-visible') || style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2) return 'no outline: ' + e.outerHTML;
	if (box.width < 1 || box.right <= 0 || box.bottom <= 0) return 'out of sight: ' + e.outerHTML;
	return 'seen';
})()`

// TestKeyboard does without a mouse: on every page each control is reached
// with Tab and shows that it is (WCAG 2.2, 2.1.1 and 2.4.7), the first of
// them skips the navigation, and somebody shops and signs in.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	p := startShop(t, false).visit(t)
	walk := func(path string) {
		t.Helper()
		p.open(path)
		p.eval("document.querySelector('.skip').focus(), true") // whatever has autofocus
		want, got := p.eval(reachable), 1
		for range 60 {
			p.key("\t")
			where := p.eval(focused)
			if where == `""` {
				break
			}
			if where != `"seen"` {
				t.Errorf("%s: the focus is %s", path, where)
			}
			got++
		}
		if want != strconv.Itoa(got) {
			t.Errorf("%s: Tab reaches %d controls of %s", path, got, want)
		}
	}

	walk("/")
	p.open("/")
	p.key("\t")
	if got := p.eval("document.activeElement.innerText"); got != `"Skip to the content"` {
		t.Errorf("Tab leads to %s first", got)
	}
	p.key("\r")
	p.wait("the content has the focus", "document.activeElement.id === 'main'")
	p.key("\t")
	if got := p.eval("document.activeElement.textContent"); got != `"Add to cart: Desk lamp"` {
		t.Errorf("Tab leads to %s next", got)
	}
	p.key(" ")
	p.wait("the cart counts up", "document.querySelector('#badge').innerText.startsWith('1')")
	if got := p.eval("document.activeElement.textContent"); got != `"Add to cart: Desk lamp"` {
		t.Errorf("after it the focus is at %s", got)
	}

	p.open("/login")
	p.leave("sign in", func() {
		for _, key := range []string{"a", "d", "a", "\t", "l", "o", "v", "e", "l", "a", "c", "e", "\t", " ", "\t", "\r"} {
			p.key(key) // the first field has the focus
		}
	})
	p.shows(".message", "Welcome, ada.")
	if p.session().Session {
		t.Errorf("the box for \"keep me signed in\" was not ticked")
	}
	for _, path := range []string{"/cart", "/pay", "/devices", "/nowhere"} {
		if path == "/nowhere" {
			p.expect("the server responded with a status of 404")
		}
		walk(path)
	}
}
