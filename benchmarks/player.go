package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
)

// A player runs requests of one scenario through one library. Its request and
// its writer are used again and again, so that what is measured is the router,
// the handler and the library between them.
type player struct {
	name     string
	scenario scenario
	handler  http.Handler
	raw      *raw // if the library is raw
	cookies  []string
	w        discard
	req      *http.Request
	cookie   []string // of req: the value of its Cookie header
}

// newPlayer makes the session that the scenario needs, and sees that a
// request does its work.
func newPlayer(name string, lib library, s scenario) (*player, error) {
	p := &player{name: name, scenario: s, handler: newRouter(lib), w: discard{header: http.Header{}}}
	p.raw, _ = lib.(*raw)
	p.req = request("/" + string(s))
	p.cookie = []string{""}
	if err := p.begin(); err != nil {
		return nil, fmt.Errorf("%s, scenario %s: %w", name, s, err)
	}
	if err := p.verify(); err != nil {
		return nil, fmt.Errorf("%s, scenario %s: %w", name, s, err)
	}
	return p, nil
}

// request returns a request as it comes by TLS.
func request(target string) *http.Request {
	return httptest.NewRequest(http.MethodGet, "https://example.com"+target, http.NoBody)
}

// newGrown makes a player whose session has n texts of size bytes, and whose
// requests go to path.
func newGrown(name string, lib library, n, size int, path string) (*player, error) {
	p := &player{name: name, handler: newRouter(lib), w: discard{header: http.Header{}}}
	p.req = request(path)
	p.cookie = []string{""}
	cookie, err := p.open(fmt.Sprintf("/fill?n=%d&size=%d", n, size))
	if err != nil {
		return nil, fmt.Errorf("%s, %d values of %d bytes: %w", name, n, size, err)
	}
	p.bring(cookie)
	if p.serve(); p.w.failed != 0 {
		return nil, fmt.Errorf("%s, %d values of %d bytes: %s", name, n, size, p.w.body[:p.w.n])
	}
	return p, nil
}

// begin makes the session that the requests come with.
func (p *player) begin() error {
	switch p.scenario {
	case untouched, login, destroy:
		return nil
	}
	cookie, err := p.newSession()
	p.bring(cookie)
	return err
}

func (p *player) newSession() (string, error) {
	if p.raw != nil {
		return "", nil // it has one
	}
	target := "/E"
	if p.scenario.big() {
		target = fmt.Sprintf("/fill?n=%d&size=%d", bigValues, len(bigTexts[0]))
	}
	return p.open(target)
}

// open makes a session by a request to target, and returns its cookie.
func (p *player) open(target string) (string, error) {
	p.w.reset()
	p.handler.ServeHTTP(&p.w, request(target))
	cookie := p.w.cookie()
	if p.w.failed != 0 || cookie == "" {
		return "", fmt.Errorf("%s made no session: status %d, %s", target, p.w.status, p.w.body[:p.w.n])
	}
	return cookie, nil
}

// bring has the requests from now on come with cookie.
func (p *player) bring(cookie string) {
	p.cookie[0] = cookie
	if cookie == "" {
		delete(p.req.Header, "Cookie")
		return
	}
	p.req.Header["Cookie"] = p.cookie
}

// turn makes n requests. What they need was prepared, and what they leave is
// cleaned, outside of the time that is taken.
func (p *player) turn(n int) {
	switch p.scenario {
	case login:
		for range n {
			p.serve()
			p.cookies = append(p.cookies, p.w.cookie())
		}
	case renew:
		for range n {
			p.serve()
			p.cookie[0] = p.w.cookie()
		}
	case destroy:
		for i := range n {
			p.cookie[0] = p.cookies[i]
			p.serve()
		}
	default:
		for range n {
			p.serve()
		}
	}
}

func (p *player) serve() {
	p.w.reset()
	p.handler.ServeHTTP(&p.w, p.req)
}

// prepare makes what the next n requests need.
func (p *player) prepare(n int) error {
	p.cookies = p.cookies[:0]
	if p.raw != nil {
		p.raw.stock(n)
	}
	if p.scenario == destroy {
		return p.others(login, n)
	}
	return nil
}

// clean removes what n requests have left.
func (p *player) clean(n int) error {
	if p.w.failed != 0 {
		return fmt.Errorf("%s, scenario %s: %d requests failed, the last answer is %s", p.name, p.scenario, p.w.failed, p.w.body[:p.w.n])
	}
	if p.scenario == login {
		return p.others(destroy, n)
	}
	return nil
}

// others makes n requests of another scenario.
func (p *player) others(s scenario, n int) error {
	own, req := p.scenario, p.req
	p.scenario, p.req = s, request("/"+string(s))
	if s == destroy {
		p.req.Header["Cookie"] = p.cookie
	}
	if p.raw != nil {
		p.raw.rewind()
	}
	p.turn(n)
	if p.raw != nil {
		p.raw.rewind()
	}
	p.scenario, p.req = own, req
	if own == destroy {
		p.req.Header["Cookie"] = p.cookie
	}
	if p.w.failed != 0 {
		return fmt.Errorf("%s: %d requests of scenario %s failed, the last answer is %s", p.name, p.w.failed, s, p.w.body[:p.w.n])
	}
	return nil
}

// play makes n requests with all that belongs to them, untimed.
func (p *player) play(n int) error {
	if err := p.prepare(n); err != nil {
		return err
	}
	p.turn(n)
	return p.clean(n)
}

// verify sees that requests do what they are there for.
func (p *player) verify() error {
	answer := func() string { p.serve(); return string(p.w.body[:p.w.n]) }
	old := p.cookie[0]
	switch p.scenario {
	case untouched:
		if got := answer(); got != "ok" || p.w.cookie() != "" {
			return fmt.Errorf("answer %q, cookie %q: want ok and no cookie", got, p.w.cookie())
		}
	case read:
		if got := answer(); p.raw == nil && got != "1" {
			return fmt.Errorf("read %q, want 1", got)
		}
	case write:
		if one, two := answer(), answer(); p.raw == nil && (one != "2" || two != "3") {
			return fmt.Errorf("two writes say %q and %q, want 2 and 3", one, two)
		}
	case readBig:
		if got := answer(); got != "a" {
			return fmt.Errorf("read %q, want the text of a", got)
		}
	case writeBig:
		answer()
		if got, want := p.readBack(), string(p.w.body[:p.w.n]); p.raw == nil && got != "b" {
			return fmt.Errorf("read back %q, want b (%s)", got, want)
		}
		answer()
		if got := p.readBack(); p.raw == nil && got != "a" {
			return fmt.Errorf("read back %q, want a", got)
		}
	case login:
		return p.play(2)
	case renew:
		if answer(); p.raw == nil && (p.w.cookie() == "" || p.w.cookie() == old) {
			return fmt.Errorf("no new cookie: %q", p.w.cookie())
		}
		p.cookie[0] = p.w.cookie()
		return p.stillThere()
	case destroy:
		if err := p.play(1); err != nil || p.raw != nil {
			return err
		}
		p.cookie[0] = p.cookies[0]
		if err := p.stillThere(); err == nil {
			return fmt.Errorf("the session outlived its end")
		}
		p.w.failed = 0
		return nil
	}
	if p.w.failed != 0 {
		return fmt.Errorf("status %d: %s", p.w.status, p.w.body[:p.w.n])
	}
	return nil
}

// stillThere reads a value of the session that the player holds.
func (p *player) stillThere() error {
	if p.raw != nil {
		return nil
	}
	r := request("/B")
	r.Header["Cookie"] = []string{p.cookie[0]}
	p.w.reset()
	p.handler.ServeHTTP(&p.w, r)
	if got := string(p.w.body[:p.w.n]); p.w.failed != 0 || got != "1" {
		return fmt.Errorf("read %q (status %d), want 1", got, p.w.status)
	}
	return nil
}

func (p *player) readBack() string {
	r := request("/Dr")
	r.Header["Cookie"] = []string{p.cookie[0]}
	p.w.reset()
	p.handler.ServeHTTP(&p.w, r)
	return string(p.w.body[:p.w.n])
}

// A discard is a ResponseWriter that keeps the header and the first bytes.
type discard struct {
	header http.Header
	body   [64]byte
	n      int
	status int
	failed int // answers of status 400 and more, not reset
}

func (d *discard) reset() {
	clear(d.header)
	d.n, d.status = 0, 0
}

func (d *discard) Header() http.Header { return d.header }

func (d *discard) WriteHeader(status int) {
	d.status = status
	if status >= 400 {
		d.failed++
	}
}

func (d *discard) Write(p []byte) (int, error) {
	d.n = copy(d.body[:], p)
	return len(p), nil
}

// cookie returns the name and value in the last Set-Cookie line.
func (d *discard) cookie() string {
	lines := d.header["Set-Cookie"]
	if len(lines) == 0 {
		return ""
	}
	pair, _, _ := strings.Cut(lines[len(lines)-1], ";")
	return pair
}
