package shop

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/chisession/session"
	"github.com/chisession/session/sessiontest"
)

// signedInTwice returns two browsers of one user, and their sessions' IDs.
func signedInTwice(t *testing.T, s *site) (laptop, phone *visitor, laptopID, phoneID string) {
	t.Helper()
	laptop, phone = s.visitor(t), s.visitor(t)
	phone.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1"
	laptop.login()
	phone.login()
	infos, err := s.sessions.Sessions(t.Context(), demoUser)
	if err != nil || len(infos) != 2 {
		t.Fatalf("sessions are %v (%v), want two", infos, err)
	}
	for _, info := range infos {
		if info.Label == "Safari on iPhone · this computer" {
			phoneID = info.ID
		} else {
			laptopID = info.ID
		}
	}
	return laptop, phone, laptopID, phoneID
}

var tags = regexp.MustCompile(`<[^>]*>`)

// shown returns the text of a page.
func shown(body string) string { return tags.ReplaceAllString(body, "") }

func TestDevices(t *testing.T) {
	s := newSite(t, session.Config{})
	laptop, phone, laptopID, phoneID := signedInTwice(t, s)

	p := laptop.get("/devices")
	p.wantText(t, "Safari on iPhone")
	p.wantText(t, `Firefox on Linux <span class="badge here">this one</span>`)
	p.wantText(t, `</time> · signed in from this computer · ends <time`)
	for _, text := range []string{laptopID[:8], phoneID[:8]} {
		if strings.Contains(shown(p.body), text) {
			t.Errorf("the page shows the ID %s…, which says nothing to people", text)
		}
	}
	if n := strings.Count(p.body, `>this one</span>`); n != 1 {
		t.Errorf("%d sessions are marked as this one, want 1", n)
	}
	if strings.Contains(p.body, laptop.token()) || strings.Contains(p.body, phone.token()) {
		t.Error("the page has a token")
	}

	laptop.post("/devices/end", "id", phoneID).wantMessages(t, "success: Safari on iPhone is signed out.")
	if phone.user() != "" || laptop.user() != "ada" {
		t.Errorf("phone is %q, laptop %q, want only the laptop signed in", phone.user(), laptop.user())
	}
	laptop.post("/devices/end", "id", phoneID).wantMessages(t, "warning: That device was signed out already.")
	laptop.post("/devices/end", "id", "nonsense").wantMessages(t, "warning: That device was signed out already.")
	laptop.post("/devices/end", "id", laptopID).wantMessages(t, "success: You are signed out.")
}

func TestEndOthersAndEverywhere(t *testing.T) {
	s := newSite(t, session.Config{})
	laptop, phone, _, _ := signedInTwice(t, s)
	laptop.post("/devices/end-others").wantMessages(t, "success: 1 other device signed out.")
	if phone.user() != "" || laptop.user() != "ada" {
		t.Errorf("phone is %q, laptop %q, want only the laptop signed in", phone.user(), laptop.user())
	}
	laptop.get("/devices").wantText(t, "You are signed in here, and nowhere else.")
	laptop.post("/devices/end-others").wantMessages(t, "notice: You were signed in on no other device.")
	phone.login()
	phone.post("/logout-everywhere").wantMessages(t, "success: You are signed out, here and on 1 other device.")
	if phone.user() != "" || laptop.user() != "" {
		t.Errorf("phone is %q, laptop %q, want neither signed in", phone.user(), laptop.user())
	}
	phone.login()
	phone.post("/logout-everywhere").wantMessages(t, "success: You are signed out. You were signed in on no other device.")
}

// Nobody ends somebody else's session, though its ID is no secret.
func TestEndSomebodyElses(t *testing.T) {
	s := newSite(t, session.Config{})
	laptop, _, laptopID, _ := signedInTwice(t, s)
	grace := s.visitor(t)
	grace.post("/login", "name", "grace", "password", "hopper")
	grace.post("/devices/end", "id", laptopID).wantMessages(t, "warning: That device was signed out already.")
	if laptop.user() != "ada" {
		t.Error("grace ended ada's session")
	}
}

// Who signs in over somebody else's session gets nothing of theirs.
func TestAnotherUser(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.login()
	v.post("/cart/add", "item", "pen")
	v.post("/login", "name", "grace", "password", "hopper")
	v.get("/status").wantText(t, `{"user":"grace","cart":0`)
}

func TestDevice(t *testing.T) {
	const like = "Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) %s"
	for _, c := range []struct{ agent, want string }{
		{fmt.Sprintf(like, "Windows NT 10.0; Win64; x64", "Chrome/130.0 Safari/537.36 Edg/130.0"), "Edge on Windows"},
		{fmt.Sprintf(like, "Macintosh; Intel Mac OS X 10_15_7", "Version/17.0 Safari/605.1.15"), "Safari on Mac"},
		{fmt.Sprintf(like, "Linux; Android 14; Pixel 8", "Chrome/130.0 Mobile Safari/537.36"), "Chrome on Android"},
		{"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"},
		{"curl/8.5.0", "curl"},
		{"<script>\x00", "A browser"},
		{"", "A browser"},
	} {
		if got := device(c.agent); got != c.want {
			t.Errorf("device(%q) = %q, want %q", c.agent, got, c.want)
		}
	}
}

func TestPlace(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:1234": "this computer", "[::1]:1234": "this computer", "[::ffff:127.0.0.1]:1": "this computer",
		"10.1.2.3:1": "the local network", "[fe80::1%eth0]:1": "the local network", "[fd00::1]:1": "the local network",
		"192.0.2.7:443": "192.0.2.7", "[2001:db8::7]:443": "2001:db8::7", "": "an unknown place", "pipe": "an unknown place",
	} {
		if got := place(addr); got != want {
			t.Errorf("place(%q) = %q, want %q", addr, got, want)
		}
	}
}

func TestLocal(t *testing.T) {
	for target, want := range map[string]string{
		"/cart": "/cart", "/slow?seconds=3": "/slow?seconds=3", "/": "/",
		"": "/", "cart": "/", "//evil.test": "/", "/\\evil.test": "/", "https://evil.test/": "/", "javascript:alert(1)": "/",
		"/\t/evil.test": "/", "///evil.test": "/", "/%zz": "/", "http:/cart": "/", "\\\\evil.test": "/", "/cart\r\nX: y": "/",
	} {
		if got := local(target); got != want {
			t.Errorf("local(%q) = %q, want %q", target, got, want)
		}
	}
}

// A form of another site changes nothing.
func TestCrossOrigin(t *testing.T) {
	s := newSite(t, session.Config{})
	v := s.visitor(t)
	v.login()
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.test"}} {
		if p := v.do("POST", "/logout", "", header...); p.status != http.StatusForbidden {
			t.Errorf("POST with %q: status %d, want 403", header, p.status)
		}
	}
	if v.user() != "ada" {
		t.Error("another site signed ada out")
	}
	if p := v.get("/logout"); p.status != http.StatusMethodNotAllowed || v.user() != "ada" {
		t.Errorf("GET /logout: status %d, user %q: a link must not sign out", p.status, v.user())
	}
}

func TestHeaders(t *testing.T) {
	h := newSite(t, session.Config{}).visitor(t).get("/").header
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; ",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "same-origin",
		"Cache-Control":           "no-store",
		"Vary":                    "Cookie",
	} {
		if !strings.HasPrefix(h.Get(name), want) {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
}

// TestDevicesBound: the page says which login is bound to the browser's device.
func TestDevicesBound(t *testing.T) {
	shop, err := newShop(session.Config{}, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	defer shop.close()
	if err := shop.bindToDevices(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(shop.routes())
	defer server.Close()
	for name, knows := range map[string]bool{"a browser that knows how": true, "another": false} {
		jar := sessiontest.NewJar()
		client := &http.Client{Jar: jar, Transport: server.Client().Transport}
		if knows {
			client.Transport = sessiontest.NewDevice(jar, client.Transport)
		}
		res, err := client.PostForm(server.URL+"/login?next=/devices", url.Values{"name": {demoUser}, "password": {demoPassword}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res, err = client.Get(server.URL + "/devices"); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if bound := strings.Contains(string(text), "bound to this device"); bound != knows || !strings.Contains(string(text), "this one") {
			t.Errorf("%s: the page says that it is bound: %t\n%s", name, bound, shown(string(text)))
		}
	}
}
