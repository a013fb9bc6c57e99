package browser

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// proof is the name of the cookie beside the session's that only its device gets.
const proof = "__Host-session_device"

// A boundShop is one that binds logins to the browser's device, and what a browser
// told of that.
type boundShop struct {
	*shop

	supported      atomic.Bool
	bound, renewed atomic.Int32 // sessions, proofs
	failed         atomic.Int32 // attempts at either
}

// browser starts a browser with a profile in dir that keeps keys in software,
// where a computer of a user has a chip for that. It fails the test if this
// browser cannot do so.
func (s *boundShop) browser(t *testing.T, dir string) (p *tab, quit func()) {
	t.Helper()
	p, quit = s.shop.browser(t, dir,
		// It makes no more than six signatures in nine minutes, unless told so: this is
		// a day in a minute.
		chromedp.Flag("enable-features", "DeviceBoundSessions:RefreshQuota/false,EnableBoundSessionCredentialsSoftwareKeysForManualTesting"),
		// It binds nothing while it takes any certificate.
		chromedp.Flag("ignore-certificate-errors", false),
		chromedp.Flag("ignore-certificate-errors-spki-list", pin(t, s.cert)),
	)
	s.listen(t, p)
	return p, quit
}

// listen has the browser tell what it does about bound sessions.
func (s *boundShop) listen(t *testing.T, p *tab) {
	t.Helper()
	s.supported.Store(false)
	if err := chromedp.Listen(p.ctx, s.note); err != nil {
		t.Fatal(err)
	}
	send(p, network.EnableDeviceBoundSessions, network.EnableDeviceBoundSessionsParams{Enable: true})
	s.until(t, "this browser tells of bound sessions: it has no support for them, or for keys in software", s.supported.Load)
}

// note takes in what the browser tells.
func (s *boundShop) note(event any) {
	switch e := event.(type) {
	case *network.EventDeviceBoundSessionsAdded:
		s.supported.Store(true)
	case *network.EventDeviceBoundSessionEventOccurred:
		switch {
		case !e.Succeeded:
			s.failed.Add(1)
		case e.CreationEventDetails != nil:
			s.bound.Add(1)
		case e.RefreshEventDetails != nil:
			s.renewed.Add(1)
		}
	}
}

// until waits until done.
func (s *boundShop) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		if done() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s (%d bound, %d proofs, %d failed)", what, s.bound.Load(), s.renewed.Load(), s.failed.Load())
		}
	}
}

// pin returns how Chromium is told of a certificate's key that it is to trust.
func pin(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// cookie returns the value of the browser's cookie of that name, empty if it has
// none.
func (p *tab) cookie(name string) string {
	p.t.Helper()
	for _, c := range p.cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// waitBound waits until the login is bound: that is done beside the page.
func (s *boundShop) waitBound(t *testing.T, p *tab) {
	t.Helper()
	s.until(t, "the browser has the proof of its device", func() bool { return p.cookie(proof) != "" })
	p.open("/devices")
	p.shows(".devices .badge", "this one", "bound to this device")
}

// expire is as if ten minutes went by: the proof is over, and its cookie gone.
func (s *boundShop) expire(p *tab) {
	p.t.Helper()
	send(p, network.DeleteCookies, network.DeleteCookiesParams{Name: proof, URL: s.url + "/"})
	if p.cookie(proof) != "" {
		p.t.Fatal("the browser keeps the proof")
	}
}

// TestDeviceBound is a day of a user whose login is bound to the browser's device,
// and the attempts of somebody who has copied its cookie.
func TestDeviceBound(t *testing.T) {
	t.Parallel()
	s := &boundShop{shop: startShop(t, true, "-device-bound")}
	dir := filepath.Join(t.TempDir(), "profile")
	p, quit := s.browser(t, dir)
	p.signIn("ada", "lovelace", true)
	s.waitBound(t, p)
	token := p.cookie(s.cookie)

	s.expire(p)
	for _, tab := range s.openTogether(t, p, "/cart", 3) { // the browser goes on without a ripple
		tab.shows(".who strong", "ada")
	}
	s.until(t, "the browser has renewed its proof, once for all tabs", func() bool { return s.renewed.Load() == 1 })

	s.expire(p)
	p.expect("the server responded with a status of 401")
	link := anotherSite(t, s.url+"/cart")
	p.openURL(link)
	p.press("a")
	p.wait("the page that reloads itself gives way to the cart", `location.pathname === "/cart" && !!document.querySelector(".who strong")`)
	p.shows(".who strong", "ada")

	s.thief(t, token)
	quit()

	p, quit = s.browser(t, dir) // the same device
	s.expire(p)
	p.open("/devices")
	p.shows(".devices .badge", "this one", "bound to this device")

	p.click(`form[action="/logout"] button`)
	if p.cookie(s.cookie) == token || p.cookie(proof) != "" {
		t.Error("a logout leaves the browser with what it had")
	}
	p.signIn("ada", "lovelace", true)
	s.waitBound(t, p)
	s.expire(p)
	p.open("/devices")
	p.shows(".devices .badge", "this one", "bound to this device")
	quit()
}

// openTogether opens a page in n tabs of p's user at once.
func (s *boundShop) openTogether(t *testing.T, p *tab, path string, n int) []*tab {
	t.Helper()
	tabs := make([]*tab, n)
	for i := range tabs {
		tabs[i] = p.another()
	}
	var wg sync.WaitGroup
	for _, tab := range tabs {
		wg.Go(func() { tab.open(path) })
	}
	wg.Wait()
	return tabs
}

// anotherSite serves a page with a link, from 127.0.0.1, which is another site than
// localhost.
func anotherSite(t *testing.T, link string) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>A letter</title><link rel="icon" href="data:,"><a href=%q>The shop</a>`, link)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// thief has somebody try a copied cookie, without a browser: it opens a new, empty
// session, and the shop's alarm goes off. For some seconds after a login it still
// opens the session, as other requests of the browser may be on their way.
func (s *boundShop) thief(t *testing.T, token string) {
	t.Helper()
	s.until(t, "the copied cookie opens nothing", func() bool { return !strings.Contains(s.statusWith(t, token), "ada") })
	s.until(t, "the shop tells of a theft", func() bool {
		return strings.Contains(s.log.String(), "used without the device") && strings.Contains(s.log.String(), "user=ada")
	})
}
