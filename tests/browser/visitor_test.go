package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
)

// A visitor is a person with a browser of either kind.
type visitor interface {
	openURL(url string)
	wait(what, expression string)                     // until a script's expression is true
	clicks(selector string, n int, gap time.Duration) // as a hand does
	stored(name string) []storedCookie                // what the browser has for the page
}

type storedCookie struct {
	value  string
	secure bool
}

// inEachBrowser runs a test in Chromium and in Firefox, at the same time. visit
// returns somebody who has never been at that URL.
func inEachBrowser(t *testing.T, test func(t *testing.T, visit func(t *testing.T, url string) visitor)) {
	t.Parallel()
	t.Run("Chromium", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T, url string) visitor {
			t.Helper()
			p := (&shop{url: strings.TrimSuffix(url, "/")}).visit(t)
			p.openURL(url)
			return p
		})
	})
	t.Run("Firefox", func(t *testing.T) {
		t.Parallel()
		test(t, visitWithFirefox)
	})
}

// clicks implements visitor.
func (p *tab) clicks(selector string, n int, gap time.Duration) {
	p.t.Helper()
	x, y := middle(p.t, p.try, selector)
	start := time.NewTimer(0)
	defer start.Stop()
	for i := range n {
		<-start.C
		start.Reset(gap)
		for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
			send(p, input.DispatchMouseEvent, input.DispatchMouseEventParams{
				Type: kind, X: x, Y: y, Button: input.MouseButtonLeft, ClickCount: int64(i + 1),
			})
		}
	}
}

// stored implements visitor.
func (p *tab) stored(name string) []storedCookie {
	p.t.Helper()
	var found []storedCookie
	for _, c := range send(p, network.GetCookies, network.GetCookiesParams{}).Cookies {
		if c.Name == name {
			found = append(found, storedCookie{c.Value, c.Secure})
		}
	}
	return found
}

var _ = []visitor{(*tab)(nil), (*firefoxTab)(nil)}

// middle returns where the element is, in the window.
func middle(t *testing.T, try func(string) (string, error), selector string) (x, y float64) {
	t.Helper()
	waitFor(t, try, selector, fmt.Sprintf("document.readyState === 'complete' && !!document.querySelector(%q)", selector))
	text, err := try(fmt.Sprintf("(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector(%q).getBoundingClientRect())", selector))
	var at [2]float64
	if err == nil {
		err = json.Unmarshal([]byte(text), &at)
	}
	if err != nil {
		t.Fatalf("where is %s: %v", selector, err)
	}
	return at[0], at[1]
}

// waitFor waits until a script's expression is true.
func waitFor(t *testing.T, try func(expression string) (string, error), what, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// An error is a page that is about to go: the next one is asked.
		got, err := try(expression)
		if got == "true" && err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			page, _ := try("location.href + ' ' + document.body.innerText")
			t.Fatalf("waited in vain: %s (%s is %s, error %v) in the page\n%s", what, expression, got, err, page)
		}
	}
}
