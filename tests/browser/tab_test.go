package browser

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long anything may take, on a machine with other work to do.
const patience = 30 * time.Second

// trusting is a client that takes our certificates.
var trusting = &http.Client{Transport: &http.Transport{
	TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	DisableKeepAlives: true, // the shop need not wait for it to stop
}}

// A tab is a page in a browser, at a shop. Its methods fail the test when the
// page does not do what they want within patience.
type tab struct {
	t    *testing.T
	ctx  context.Context
	shop *shop

	mu       sync.Mutex // guards the following
	expected []string   // words of complaints that are part of the story
	excused  []string   // complaints with such words
	problems []string   // all others, which fail the test
}

// visit returns a tab of somebody who has never been at the shop.
func (s *shop) visit(t *testing.T) *tab {
	t.Helper()
	return s.tab(t, shared, chromedp.WithNewBrowserContext())
}

// another returns a second tab of the same person.
func (p *tab) another() *tab {
	p.t.Helper()
	return p.shop.tab(p.t, p.ctx)
}

func (s *shop) tab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	p := &tab{t: t, shop: s}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(p.listen))...)
	p.ctx = ctx
	t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, problem := range p.problems {
			t.Errorf("a page complained: %s", problem)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // without a deadline, which would be the tab's
		t.Fatalf("open a tab: %v", err)
	}
	send(p, audits.Enable, cdp.Empty{})
	return p
}

// send runs a command of the DevTools protocol.
func send[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// expect says that the page will complain with these words, and that it is
// meant to.
func (p *tab) expect(words string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = append(p.expected, words)
}

// listen collects what goes wrong in a page.
func (p *tab) listen(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			p.complain(fmt.Sprintf("%s (%s)", e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		text, _ := json.Marshal(e.ExceptionDetails)
		p.complain("exception: " + string(text))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			text, _ := json.Marshal(e.Args)
			p.complain("console: " + string(text))
		}
	case *audits.EventIssueAdded:
		text, _ := json.Marshal(e.Issue)
		p.complain("issue: " + string(text))
	}
}

func (p *tab) complain(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, words := range p.expected {
		if strings.Contains(text, words) {
			p.excused = append(p.excused, text)
			return
		}
	}
	p.problems = append(p.problems, text)
}

// do runs actions of the browser.
func (p *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

var marks atomic.Int64

// leave does what makes this tab show another page, and waits for that page.
// It tells the pages apart by a mark that it leaves in the old one.
func (p *tab) leave(what string, act func()) {
	p.t.Helper()
	mark := strconv.FormatInt(marks.Add(1), 10)
	p.eval("window.e2eMark = " + mark)
	act()
	p.wait(what+" leads to another page", "window.e2eMark !== "+mark+" && document.readyState === 'complete'")
}

// open goes to a page of the shop, as by the address bar.
func (p *tab) open(path string) {
	p.t.Helper()
	p.openURL(p.shop.url + path)
}

func (p *tab) openURL(url string) {
	p.t.Helper()
	p.leave("open "+url, func() { p.do("open "+url, chromedp.Navigate(url)) })
}

// click clicks on what leads to another page: a link, or the button of a form.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.leave("click on "+selector, func() { p.press(selector) })
}

// press clicks on what stays on the page.
func (p *tab) press(selector string) {
	p.t.Helper()
	p.do("press "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// typeIn types into a field.
func (p *tab) typeIn(selector, text string) {
	p.t.Helper()
	p.do("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// eval returns the value of a script's expression, awaited, as JSON.
func (p *tab) eval(expression string) string {
	p.t.Helper()
	text, err := p.try(expression)
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return text
}

func (p *tab) try(expression string) (string, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	return string(text), err
}

// wait waits until an expression is true.
func (p *tab) wait(what, expression string) {
	p.t.Helper()
	waitFor(p.t, p.try, what, expression)
}

// texts returns the texts of all elements that are shown.
func (p *tab) texts(selector string) (texts []string) {
	p.t.Helper()
	text := p.eval(fmt.Sprintf("[...document.querySelectorAll(%q)].filter(e => e.checkVisibility()).map(e => e.innerText.trim())", selector))
	if err := json.Unmarshal([]byte(text), &texts); err != nil {
		p.t.Fatalf("texts of %s: %v in %s", selector, err, text)
	}
	return texts
}

// shows fails the test if the element that is meant does not have this text.
func (p *tab) shows(selector string, want ...string) {
	p.t.Helper()
	if got := p.texts(selector); strings.Join(got, "|") != strings.Join(want, "|") {
		p.t.Errorf("%s: %s shows %q, want %q", p.path(), selector, got, want)
	}
}

// counts fails the test if the page of the cart has other counts than these.
func (p *tab) counts(want ...string) {
	p.t.Helper()
	got := p.eval(`[...document.querySelectorAll('tbody input[inputmode]')].map(e => e.value).join(' ')`)
	if want := strconv.Quote(strings.Join(want, " ")); got != want {
		p.t.Errorf("%s: the counts are %s, want %s", p.path(), got, want)
	}
}

// hides fails the test if the page says one of these words, shown or not.
func (p *tab) hides(words ...string) {
	p.t.Helper()
	page := p.eval("document.documentElement.outerHTML")
	for _, word := range words {
		if strings.Contains(page, word) {
			p.t.Errorf("%s: the page has %q in it", p.path(), word)
		}
	}
}

// path returns where the tab is.
func (p *tab) path() string {
	p.t.Helper()
	return strings.Trim(p.eval("location.pathname + location.search"), `"`)
}

// at fails the test if the tab is elsewhere.
func (p *tab) at(path string) {
	p.t.Helper()
	if got := p.path(); got != path {
		p.t.Errorf("the tab is at %s, want %s", got, path)
	}
}

// withoutScripts turns JavaScript off, as some people do. What the test itself
// evaluates still works.
func (p *tab) withoutScripts() {
	p.t.Helper()
	send(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// cookies returns what the browser would send to the shop.
func (p *tab) cookies() []*network.Cookie {
	p.t.Helper()
	return send(p, network.GetCookies, network.GetCookiesParams{URLs: []string{p.shop.url + "/"}}).Cookies
}

// session returns the session cookie, which must be the only one.
func (p *tab) session() *network.Cookie {
	p.t.Helper()
	all := p.cookies()
	if len(all) != 1 || all[0].Name != p.shop.cookie {
		p.t.Fatalf("the browser has %d cookies, want one named %s", len(all), p.shop.cookie)
	}
	return all[0]
}

// signIn signs in as a person does: by typing.
func (p *tab) signIn(name, password string, remember bool) {
	p.t.Helper()
	p.open("/login")
	p.typeIn(`[name=name]`, name)
	p.typeIn(`[name=password]`, password)
	if remember {
		p.press(`[name=remember]`)
	}
	p.click(`form[action="/login"] button`)
	p.shows(".message", "Welcome, "+name+".")
}

// add puts something into the cart and waits until it is there.
func (p *tab) add(item string, total int) {
	p.t.Helper()
	p.press(fmt.Sprintf(`form[action="/cart/add"]:has([value=%s]) button`, item))
	p.wait("the cart counts up", fmt.Sprintf("document.querySelector('#badge').innerText.startsWith('%d')", total))
}
