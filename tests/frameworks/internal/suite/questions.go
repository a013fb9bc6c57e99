package suite

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/cookie"
)

func values(t *testing.T, b *browser) {
	b.expect("GET", "/get", 200, "nothing")
	if b.token() != "" || b.fault.Calls(backendtest.OpAny) != 0 {
		t.Errorf("a visitor who only reads has cookie %v and cost %d store calls, want neither", b.token() != "", b.fault.Calls(backendtest.OpAny))
	}
	b.expect("GET", "/set/green", 200, "noted")
	b.expect("GET", "/get", 200, "green")
}

func login(t *testing.T, b *browser) {
	b.expect("GET", "/set/green", 200, "noted")
	before := b.token()
	b.expect("POST", "/login", 200, "ada:Welcome.")
	after := b.token()
	if before == "" || after == "" || before == after {
		t.Errorf("login: the token must change (before: %d characters, after: %d, equal: %v)", len(before), len(after), before == after)
	}
	b.expect("GET", "/get", 200, "green")

	r, _ := http.NewRequestWithContext(t.Context(), "GET", b.url+"/get", nil)
	r.Header.Set("Cookie", cookie.DefaultName+"="+before)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := bufio.NewReader(res.Body).ReadString('\n'); strings.TrimSpace(text) != "nothing" {
		t.Errorf("the token from before the login still reads %q", text)
	}

	b.expect("POST", "/logout", 200, "nothing")
	if b.token() != "" {
		t.Error("logout: the cookie is still in the jar")
	}
}

func flashOnce(t *testing.T, b *browser) {
	b.expect("POST", "/login", 200, "ada:Welcome.") // across the redirect
	b.expect("GET", "/home", 200, "ada:")           // and not again
}

// answers asks for each kind of answer: with a body, without, refused by the
// framework's own means. Each stores and sets its cookie.
func answers(t *testing.T, b *browser) {
	res, body := b.do("GET", "/json")
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil || got["secret"] != Body["secret"] {
		t.Errorf("GET /json: %d bytes (%v), want the whole body", len(body), err)
	}
	if res.StatusCode != 201 || b.token() == "" {
		t.Errorf("GET /json: status %d, cookie %v; want 201 with one", res.StatusCode, b.token() != "")
	}
	b.expect("GET", "/get", 200, "json")
	b.expect("GET", "/empty", 204, "")
	b.expect("GET", "/get", 200, "empty")
	if res, _ := b.do("GET", "/refuse"); res.StatusCode != 403 {
		t.Errorf("GET /refuse: status %d, want 403", res.StatusCode)
	}
	b.expect("GET", "/get", 200, "refuse")
}

// stream reads what was flushed while the handler is still at it.
func stream(t *testing.T, b *browser) {
	res, err := b.client.Get(b.url + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" {
		t.Fatalf("the stream begins with %q, %v; want %q before the handler goes on", line, err, "first\n")
	}
	if b.token() == "" {
		t.Error("no cookie came with the first byte")
	}
	b.expect("GET", "/get", 200, "stream") // stored before the first byte, too
	b.step <- struct{}{}
	if line, err := lines.ReadString('\n'); line != "second\n" {
		t.Errorf("the stream goes on with %q, %v; want %q", line, err, "second\n")
	}
	for { // until the handler has returned
		if _, err := lines.ReadByte(); err != nil {
			break
		}
	}
	b.expect("GET", "/get", 200, "late")
}

// panics: what the handler Set is dropped, and the framework's answer is sent.
func panics(t *testing.T, b *browser) {
	b.expect("GET", "/set/green", 200, "noted")
	if res, _ := b.do("GET", "/panic"); res.StatusCode != 500 {
		t.Errorf("GET /panic: status %d, want 500 by the recovery", res.StatusCode)
	}
	b.expect("GET", "/get", 200, "green")
}

func unknown(t *testing.T, b *browser) {
	if res, _ := b.do("GET", "/no/such/page"); res.StatusCode != 404 {
		t.Errorf("an unknown path: status %d, want 404", res.StatusCode)
	}
	if n := b.fault.Calls(backendtest.OpAny); b.token() != "" || n != 0 {
		t.Errorf("an unknown path: cookie %v, %d store calls; want neither", b.token() != "", n)
	}
}

// storeFails: the client gets the error response and nothing of the handler's,
// whatever way the framework takes to write.
func storeFails(t *testing.T, b *browser) {
	for _, fresh := range []bool{true, false} { // a session to create, and one to update
		if !fresh {
			b.expect("GET", "/set/green", 200, "noted")
		}
		token := b.token()
		for _, path := range []string{"/set/red", "/json", "/empty", "/refuse", "/stream"} {
			b.fault.On(backendtest.OpCreate, backendtest.Always, backendtest.Fail(errDown))
			b.fault.On(backendtest.OpUpdate, backendtest.Always, backendtest.Fail(errDown))
			b.step <- struct{}{}
			res := b.expect("GET", path, 503, "Service Unavailable")
			for _, name := range []string{"Etag", "Location", "Set-Cookie", "Content-Encoding"} {
				if v := res.Header.Get(name); v != "" {
					t.Errorf("GET %s, store down: header %s: %.20q is the handler's", path, name, v)
				}
			}
			if got := res.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("GET %s, store down: Content-Type %q", path, got)
			}
			select {
			case <-b.step: // that only /stream takes
			default:
			}
			b.fault.Reset()
		}
		b.fault.On(backendtest.OpAny, backendtest.Always, backendtest.Fail(errDown))
		b.expect("POST", "/login", 503, "Service Unavailable") // and no redirect to follow
		b.fault.Reset()
		if b.token() != token {
			t.Error("store down: the cookie changed")
		}
	}
	b.expect("GET", "/get", 200, "green")
}

// loadFails: the handler does not run.
func loadFails(t *testing.T, b *browser) {
	b.expect("GET", "/set/green", 200, "noted")
	token := b.token()
	b.fault.On(backendtest.OpLoad, backendtest.Always, backendtest.Fail(errDown))
	b.expect("GET", "/set/red", 503, "Service Unavailable")
	b.expect("GET", "/get", 503, "Service Unavailable")
	b.fault.Reset()
	if b.token() != token {
		t.Error("load failed: the cookie changed")
	}
	b.expect("GET", "/get", 200, "green")
}

// logoutFails: nobody is told that they are logged out whose session is still
// in the store. The browser forgets its cookie all the same.
func logoutFails(t *testing.T, b *browser) {
	b.expect("POST", "/login", 200, "ada:Welcome.")
	b.fault.On(backendtest.OpDelete, backendtest.Always, backendtest.Fail(errDown))
	b.fault.On(backendtest.OpDeleteVersion, backendtest.Always, backendtest.Fail(errDown))
	b.expect("POST", "/logout", 503, "Service Unavailable")
	b.fault.Reset()
	if b.token() != "" {
		t.Error("the logout failed: the cookie is still in the jar")
	}
}
