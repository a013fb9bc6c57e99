package browser

import (
	"os"
	"path/filepath"
	"testing"

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
		const [a, b] = [light(getComputedStyle(e, part).color), light(ground(e))].sort((x, y) => y - x);
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

// TestPages looks at every page, in light and in dark, on a desk and on a
// phone, and keeps screenshots.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"light", "dark"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			s := startShop(t, false)
			p := s.visit(t)
			p.expect("the server responded with a status of 404")
			p.prefer(scheme)
			look := func(name string) {
				t.Helper()
				if got := p.eval(faint); got != "[]" {
					t.Errorf("%s: too little contrast: %s", name, got)
				}
				if got := p.eval(unnamed); got != "[]" {
					t.Errorf("%s: hard to use: %s", name, got)
				}
				p.picture(name + "-" + scheme)
			}

			p.open("/")
			if dark := p.eval(`getComputedStyle(document.body).backgroundColor`) == `"rgb(22, 25, 26)"`; dark != (scheme == "dark") {
				t.Errorf("the page is dark: %t", dark)
			}
			p.add("mug", 1)
			p.add("lamp", 2)
			p.open("/login?next=/cart")
			look("login")
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
			p.click(`form[action="/cart/pay"] button`)
			look("confirm")
			send(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 780, DeviceScaleFactor: 1, Mobile: true})
			p.signIn("ada", "lovelace", false)
			look("front-phone")
		})
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
	p.click(`form:has([value=pen]) button`)
	p.shows(".message", "Fountain pen is out of your cart.")
	p.click(`form[action="/cart/pay"] button`)
	p.at("/login?next=%2Fcart")
	p.typeIn(`[name=name]`, "ada")
	p.typeIn(`[name=password]`, "lovelace\r") // Enter sends the form
	p.wait("the login leads back", "location.pathname === '/cart' && document.readyState === 'complete'")
	p.shows(".message", "Welcome, ada.")
	p.click(`form[action="/cart/pay"] button`)
	p.typeIn(`[name=password]`, "lovelace")
	p.click(`form[action="/confirm"] button`)
	p.shows(".message", "Thank you. For 5 minutes we will not ask again.")
	p.click(`form[action="/cart/pay"] button`)
	p.shows(".message", "Ordered 2 things for €29.00. Nothing was charged: this is an example.")
	p.click(`nav a[href="/devices"]`)
	p.click(`form[action="/logout-everywhere"] button`)
	p.shows(".message", "You are signed out, here and on 0 other devices.")
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
	p.picture("expiry")
	p.click("#expiry button")
	p.shows(".message", "Your session goes on.")
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
		document.body.insertAdjacentHTML('beforeend', '<img src="/static/pen.svg" onload="window.stolen = true"><p style="position: fixed">');
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
