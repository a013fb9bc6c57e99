package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// loadTimeout is how long a request of a load may take before the run fails.
const loadTimeout = 5 * time.Second

// A client is a browser: a connection that is kept alive, and a session. It
// sends bytes made beforehand and reads of the response what it needs, since it
// shares the processors with the servers: net/http's client has two goroutines
// behind every connection and makes a Request and a Response of maps for each
// exchange, which is more work than the fastest servers here have (see
// BenchmarkClient).
type client struct {
	conn   net.Conn
	in     *bufio.Reader
	host   string
	cookie string // of the session, without attributes
	writes int    // that the session has made
	unsure int    // writes that failed: nobody knows whether they were made

	requests map[scenario][]byte
}

// dialClient connects to a server.
func dialClient(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, loadTimeout)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, in: bufio.NewReader(conn), host: addr, requests: map[scenario][]byte{}}
	c.prepare()
	return c, nil
}

// prepare makes the requests, as they come from a proxy that ends TLS: the
// cookies are Secure. Those of login bring none.
func (c *client) prepare() {
	for _, s := range []scenario{untouched, read, write, login} {
		b := append(c.requests[s][:0], "GET /"+string(s)+" HTTP/1.1\r\nHost: "+c.host+"\r\nX-Forwarded-Proto: https\r\n"...)
		if c.cookie != "" && s != login {
			b = append(b, "Cookie: "+c.cookie+"\r\n"...)
		}
		c.requests[s] = append(b, "\r\n"...)
	}
}

// within gives all that follows lasts and a time-out to end.
func (c *client) within(lasts time.Duration) error {
	return c.conn.SetDeadline(time.Now().Add(lasts + loadTimeout))
}

// begin logs in, and sees that requests do their work.
func (c *client) begin() error {
	if err := c.within(0); err != nil {
		return err
	}
	r, err := c.send(login)
	if err != nil {
		return err
	}
	if r.cookie == "" {
		return errors.New("login sent no cookie")
	}
	c.bring(r.cookie)
	if err := c.check(); err != nil {
		return err
	}
	if err := c.visit(write); err != nil {
		return err
	}
	return c.check()
}

// A refusal is a response that is not 200. The connection is as good as before.
type refusal string

func (r refusal) Error() string { return string(r) }

// check compares the session's count, which login has made 1, with the number
// of writes.
func (c *client) check() error {
	if err := c.within(0); err != nil {
		return err
	}
	r, err := c.send(read)
	if err != nil {
		return err
	}
	for n := c.writes; n <= c.writes+c.unsure; n++ {
		if string(r.body) == string(digits[(1+n)&255]) {
			return nil
		}
	}
	return fmt.Errorf("after %d writes, and %d that failed, the session reads %q", c.writes, c.unsure, r.body)
}

// visit makes one request of a scenario, as a browser would.
func (c *client) visit(s scenario) error {
	r, err := c.send(s)
	switch {
	case err != nil:
		if s == write {
			c.unsure++
		}
		return err
	case s == login && r.cookie == "":
		return errors.New("login sent no cookie")
	case s == write:
		c.writes++
	}
	if r.cookie != "" && s != login { // the login's session is one more, and left alone
		c.bring(r.cookie)
	}
	return nil
}

// bring has the requests from now on come with cookie.
func (c *client) bring(cookie string) {
	if cookie != c.cookie {
		c.cookie = cookie
		c.prepare()
	}
}

// A response is what a client reads of one.
type response struct {
	cookie string // name and value in the last Set-Cookie, or ""
	body   []byte // until the next response
}

// send makes one exchange. Any status but 200 is a refusal.
func (c *client) send(s scenario) (r response, err error) {
	if _, err := c.conn.Write(c.requests[s]); err != nil {
		return r, err
	}
	line, err := c.line()
	if err != nil {
		return r, err
	}
	_, status, _ := bytes.Cut(line, []byte(" "))
	ok := bytes.HasPrefix(status, []byte(strconv.Itoa(http.StatusOK)+" "))
	refused := ""
	if !ok {
		refused = string(status)
	}
	size, err := c.header(&r)
	if err != nil {
		return r, err
	}
	if size > c.in.Size() {
		return r, fmt.Errorf("a body of %d bytes: none should be as long", size)
	}
	if r.body, err = c.in.Peek(size); err != nil {
		return r, err
	}
	if _, err := c.in.Discard(size); err != nil {
		return r, err
	}
	if !ok {
		return r, refusal(fmt.Sprintf("/%s: %s: %s", s, refused, bytes.TrimSpace(r.body)))
	}
	return r, nil
}

// header reads the header of a response and returns the size of its body.
func (c *client) header(r *response) (size int, err error) {
	size = -1
	for {
		line, err := c.line()
		if err != nil {
			return 0, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) { // as Go's servers write them
		case "Content-Length":
			if size, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		case "Set-Cookie":
			pair, _, _ := bytes.Cut(value, []byte(";"))
			r.cookie = string(pair)
		}
	}
	if size < 0 {
		return 0, errors.New("a response without Content-Length")
	}
	return size, nil
}

// line reads a line, without its end.
func (c *client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err == io.EOF && len(line) == 0 {
		return nil, io.ErrUnexpectedEOF // the server has closed the connection
	}
	return bytes.TrimRight(line, "\r\n"), err
}

func (c *client) close() error { return c.conn.Close() }
