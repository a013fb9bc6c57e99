package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// picture takes a screenshot of the whole page, as name.png.
func (p *tab) picture(name string) {
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatalf("screenshot: %v", err)
	}
	if err := os.WriteFile(filepath.Join(pictures, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// faint lists the texts of a page whose contrast to their ground is under
// 4.5 : 1 (WCAG 2.2, 1.4.3), as "text: contrast".
const faint = `(() => {
	const parse = color => color.match(/[\d.]+/g).map(Number);
	const light = color => {
		const [r, g, b] = parse(color).map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const ground = e => {
		for (; e; e = e.parentElement) {
			const color = getComputedStyle(e).backgroundColor;
			if (parse(color)[3] !== 0) return color;
		}
		return 'rgb(255, 255, 255)';
	};
	const found = [];
	const look = (e, text, part) => {
		if (!text.trim() || !e.checkVisibility() || e.matches(':disabled')) return;
		const style = getComputedStyle(e, part);
		const [a, b] = [light(e instanceof SVGElement ? style.fill : style.color), light(ground(e))].sort((x, y) => y - x);
		const contrast = (a + .05) / (b + .05);
		if (contrast < 4.5) found.push(text.trim() + ': ' + contrast.toFixed(1));
	};
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let text; text = texts.nextNode();) look(text.parentElement, text.data);
	for (const e of document.querySelectorAll('[placeholder]')) look(e, e.placeholder, '::placeholder');
	return found;
})()`

// unnamed lists the controls of a page that have no name for who cannot see
// them, and what else a screen reader stumbles on.
const unnamed = `(() => {
	const found = [];
	for (const e of document.querySelectorAll('input:not([type=hidden]), button, a')) {
		const name = e.ariaLabel || e.innerText || [...(e.labels || [])].map(l => l.innerText).join('');
		if (e.checkVisibility() && !name.trim()) found.push(e.outerHTML);
	}
	if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
	if (!document.documentElement.lang) found.push('no language');
	const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
	if (new Set(ids).size !== ids.length) found.push('an id twice');
	if (document.documentElement.scrollWidth > innerWidth) found.push('wider than the window');
	return found;
})()`

// phone is what a page is looked at with besides the desk.
var phone = emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 780, DeviceScaleFactor: 1, Mobile: true}

// onPhone makes the window that of a phone for a while.
func (p *tab) onPhone(look func()) {
	p.t.Helper()
	send(p, emulation.SetDeviceMetricsOverride, phone)
	look()
	send(p, emulation.ClearDeviceMetricsOverride, cdp.Empty{})
}

// look looks at the page, on a desk and on a phone: at contrast and names, with
// axe, and into a screenshot.
func (p *tab) look(name, scheme string) {
	p.t.Helper()
	look := func(name string) {
		p.t.Helper()
		if got := p.eval(faint); got != "[]" {
			p.t.Errorf("%s: too little contrast: %s", name, got)
		}
		if got := p.eval(unnamed); got != "[]" {
			p.t.Errorf("%s: hard to use: %s", name, got)
		}
		p.axe(name)
		p.picture(name)
	}
	look(name + "-" + scheme)
	p.onPhone(func() { look(name + "-phone-" + scheme) })
}

// inBothSchemes runs a test in light and in dark.
func inBothSchemes(t *testing.T, test func(t *testing.T, scheme string)) {
	t.Parallel()
	for _, scheme := range []string{"light", "dark"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			test(t, scheme)
		})
	}
}

// TestPages looks at every page of the shop, and at every form with a fault, in
// light and in dark, on a desk and on a phone.
func TestPages(t *testing.T) {
	inBothSchemes(t, func(t *testing.T, scheme string) {
		s := startShop(t, false, "-confirm", "0s")
		p := s.visit(t)
		p.expect("the server responded with a status of 404")
		p.expect("the server responded with a status of 422")
		p.prefer(scheme)
		look := func(name string) { t.Helper(); p.look(name, scheme) }

		p.open("/")
		if dark := p.eval(`getComputedStyle(document.body).backgroundColor`) == `"rgb(22, 25, 26)"`; dark != (scheme == "dark") {
			t.Errorf("the page is dark: %t", dark)
		}
		look("front-nobody")
		p.add("mug", 1)
		look("front-added")
		p.add("lamp", 2)
		p.open("/cart")
		look("cart-nobody")
		p.open("/login?next=/pay")
		look("login")
		p.typeIn(`[name=name]`, "ada")
		p.typeIn(`[name=password]`, "byron")
		p.click(`form[action="/login"] button`)
		look("login-fault")
		other := s.visit(t)
		other.signIn("ada", "lovelace", false)
		p.signIn("ada", "lovelace", false)
		look("front")
		p.open("/nowhere")
		look("missing")
		p.open("/live")
		p.wait("the WebSocket", "document.querySelector('#heard').innerText.includes('Connected.')")
		p.click(`form[action="/say"] button`)
		p.wait("the WebSocket", "document.querySelector('#heard').innerText.includes('Connected.')")
		look("live")
		p.open("/slow?seconds=0")
		look("slow")
		p.open("/devices")
		look("devices")
		p.open("/cart")
		look("cart")
		p.eval(`document.querySelector('tbody input[inputmode]').value = 'many'`)
		p.click(`form[action="/cart/count"] button`)
		look("cart-fault")
		p.open("/pay")
		look("pay")
		p.typeIn(`[name=password]`, "byron")
		p.click(`form[action="/pay"] button`)
		look("pay-fault")
		other.open("/devices")
		other.click(`form[action="/devices/end-others"] button`)
		p.open("/devices")
		look("ended")
		other.open("/devices")
		other.prefer(scheme)
		other.look("devices-one", scheme)
	})
}

// TestHeader: on a phone the header has two rows, and the navigation is one of
// them, however narrow the phone.
func TestHeader(t *testing.T) {
	t.Parallel()
	p := startShop(t, false).visit(t)
	p.signIn("ada", "lovelace", false)
	p.onPhone(func() {
		for _, width := range []int64{390, 320} {
			narrow := phone
			narrow.Width = width
			send(p, emulation.SetDeviceMetricsOverride, narrow)
			const rows = `new Set([...document.querySelectorAll(%q)].map(e => e.getBoundingClientRect()).map(r => Math.round((r.top + r.bottom) / 8))).size`
			if got := p.eval(fmt.Sprintf(rows, ".bar > *")); got != "2" {
				t.Errorf("%d pixels wide: the header has %s rows, want 2", width, got)
			}
			if got := p.eval(fmt.Sprintf(rows, "nav a")); got != "1" {
				t.Errorf("%d pixels wide: the navigation has %s rows, want 1", width, got)
			}
			if got := p.eval("document.documentElement.scrollWidth <= innerWidth"); got != "true" {
				t.Errorf("%d pixels wide: the page is wider than the window", width)
			}
		}
	})
}

// TestDarkTiles: the pictures of the shop are dark in the dark, and can be told
// from their ground.
func TestDarkTiles(t *testing.T) {
	t.Parallel()
	p := startShop(t, false).visit(t)
	p.prefer("dark")
	p.open("/")
	const brightness = `[...document.querySelectorAll('.tile')].map(e => getComputedStyle(e).backgroundColor.match(/\d+/g).map(Number)).every(([r, g, b]) => (r + g + b) / 3 < 64)`
	if got := p.eval(brightness); got != "true" {
		t.Error("a tile is bright")
	}
}

// prefer sets the reader's colour scheme: light or dark.
func (p *tab) prefer(scheme string) {
	p.t.Helper()
	send(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// TestWithoutScripts does everything that a visitor can with JavaScript
// turned off.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	s := startShop(t, true)
	p := s.visit(t)
	p.withoutScripts()
	p.open("/")
	for _, item := range []string{"mug", "pen", "mug"} {
		p.click(`form:has([value=` + item + `]) button`)
	}
	p.at("/")
	p.shows(".message", "Mug is in your cart.")
	p.shows("#badge [aria-hidden]", "3")
	p.picture("front-without-scripts")
	p.click(`nav a[href="/cart"]`)
	p.click(`tr:has([value=pen]) form:has([name=count][type=hidden]) button`)
	p.shows(".message", "Fountain pen is out of your cart.")
	p.eval(`document.querySelector('tbody input[inputmode]').value = ''`)
	p.typeIn(`tbody input[inputmode]`, "3\r") // Enter sends the form
	p.wait("the count", "document.querySelector('.message')?.innerText === 'Mug: 3 in your cart now.'")
	p.counts("3")
	p.click(`a[href="/pay"]`)
	p.at("/login?next=%2Fpay")
	p.typeIn(`[name=name]`, "ada")
	p.typeIn(`[name=password]`, "lovelace\r")
	p.wait("the login leads back", "location.pathname === '/pay' && document.readyState === 'complete'")
	p.shows(".message", "Welcome, ada.")
	p.shows("h1", "Pay €43.50")
	p.click(`form[action="/pay"] button`)
	p.shows(".message", "Ordered 3 things for €43.50. Nothing was charged: this is an example.")
	p.click(`nav a[href="/devices"]`)
	p.shows(".lead", "You are signed in here, and nowhere else.")
	p.click(`form[action="/devices/end"] button`)
	p.shows(".message", "You are signed out.")
}

// TestExpiryWarning: a session that is about to end says so, and one click
// makes it go on.
func TestExpiryWarning(t *testing.T) {
	t.Parallel()
	s := startShop(t, false, "-idle", "110s")
	p := s.visit(t)
	p.signIn("ada", "lovelace", false)
	p.wait("the warning", "poll().then(() => document.querySelector('#expiry').checkVisibility())")
	p.wait("what it says", "document.querySelector('#expiry').innerText.startsWith('Your session ends in less than ')")
	p.look("expiry", "light")
	p.prefer("dark")
	p.look("expiry", "dark")
	p.click("#expiry button")
	p.shows(".message", "Your session goes on.")
}

// TestExpired: who stayed away for too long is told so. A page that is open
// finds out by itself; without scripts, the next click does.
func TestExpired(t *testing.T) {
	overBoth(t, func(t *testing.T, s *shop) {
		const told = "Your session has ended: nothing happened for a while, or it was ended from another device."
		p := s.visit(t)
		if !s.secure { // two stories, and not four
			p.withoutScripts()
		}
		p.signIn("ada", "lovelace", false)
		token := p.session().Value
		if !s.secure {
			s.untilEnded(t, token)
			p.click(`nav a[href="/devices"]`)
			p.at("/login?next=%2Fdevices")
		} else {
			p.wait("the page says so", "poll().then(() => document.querySelector('p.message')?.classList.contains('warning'))")
			p.at("/")
		}
		p.shows("p.message", told)
		p.shows(".who")
		if all := p.cookies(); len(all) > 0 {
			t.Errorf("the browser still has %d cookies", len(all))
		}
		p.open("/")
		p.shows(".message")
	}, "-idle", "12s")
}

// untilEnded waits until the session of token has ended.
func (s *shop) untilEnded(t *testing.T, token string) {
	t.Helper()
	waitFor(t, func(string) (string, error) {
		return strconv.FormatBool(strings.Contains(s.statusWith(t, token), `"user":""`)), nil
	}, "the end of the session", "")
}

// TestAdded: what a click on "Add to cart" did is written on the page and read
// out, the button keeps its name, and the footer knows of the session.
func TestAdded(t *testing.T) {
	t.Parallel()
	p := startShop(t, false).visit(t)
	p.open("/")
	p.shows("#ends", "You have no session: one begins when there is something to keep.")
	p.shows("#told")
	const name = `document.querySelector('form:has([value=mug]) button').textContent`
	before := p.eval(name)
	p.add("mug", 1)
	p.shows("#told[role=status]", "Mug is in your cart, 1 thing in all.")
	if got := p.eval(name); got != before {
		t.Errorf("the button's name is %s, was %s", got, before)
	}
	p.wait("the footer", "document.querySelector('#ends').innerText.startsWith('Your session ends at ')")
	if got := p.eval(`document.querySelector('#ends').innerText.includes('UTC')`); got != "false" {
		t.Error("the footer's time is not local")
	}
	p.add("pen", 2)
	p.shows("#told[role=status]", "Fountain pen is in your cart, 2 things in all.")
}

// TestInjectedScript: what somebody managed to write into a page does not
// run. And the tests hear of it: on the other pages, that fails them.
func TestInjectedScript(t *testing.T) {
	t.Parallel()
	p := startShop(t, false).visit(t)
	p.expect("Content Security Policy")
	p.expect("ContentSecurityPolicyIssue")
	p.open("/")
	p.eval(`window.refused = []; addEventListener('securitypolicyviolation', e => refused.push(e.effectiveDirective));
		document.body.insertAdjacentHTML('beforeend', '<img src="/static/icon.svg" onload="window.stolen = true"><p style="position: fixed">');
		const script = document.createElement('script'); script.textContent = 'window.stolen = true'; document.body.append(script); true`)
	p.wait("three refusals", "refused.length === 3")
	if got := p.eval(`[refused.sort().join(' '), window.stolen === undefined]`); got != `["script-src-attr script-src-elem style-src-attr",true]` {
		t.Errorf("refused, and nothing ran: %s", got)
	}
	p.open("/") // what it complained about before has arrived then
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.excused) < 3 {
		t.Errorf("the tests heard of %q only", p.excused)
	}
}
