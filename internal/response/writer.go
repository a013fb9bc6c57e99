// Package response has a [Writer], the http.ResponseWriter that handlers get:
// it asks one question, once, before the first byte of the response leaves, on
// whatever path that would be. It knows nothing of sessions.
package response

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// A Gate decides about the header of one response.
type Gate interface {
	// Open is called once, before the header leaves: by WriteHeader, Write,
	// ReadFrom, Flush, Hijack or [Writer.Open], whichever comes first. It may
	// change the header. It returns nil if the header may leave; if not, it
	// returns what sends another response on the wrapped writer, and nothing
	// of the handler's is sent.
	Open() (instead func())
}

// A Writer wraps a ResponseWriter. What the wrapped one cannot do, the handler's
// cannot do either; see [Writer.As]. It is for the handler's goroutine, as
// every ResponseWriter is.
type Writer struct{ core }

type core struct {
	_       [0]func() // not comparable: spares the 32 kinds of writer a function each
	rw      http.ResponseWriter
	gate    Gate
	sent    bool // the final header has been sent, or the connection taken over
	refused bool // ...and it was that of another response
}

// Wrap makes w, which must be zero, a writer around rw.
func (w *Writer) Wrap(rw http.ResponseWriter, gate Gate) { w.rw, w.gate = rw, gate }

// Open asks the gate, unless that was done before, and reports whether the
// handler's response may be sent.
func (w *Writer) Open() bool { return w.open() }

func (c *core) open() bool {
	if c.sent {
		return !c.refused
	}
	c.sent = true
	instead := c.gate.Open()
	if instead == nil {
		return true
	}
	c.refused = true
	instead()
	return false
}

// Sent reports whether the gate was asked: the final header has been sent, or
// the connection taken over.
func (w *Writer) Sent() bool { return w.sent }

// Refused reports whether the gate let the header not pass.
func (w *Writer) Refused() bool { return w.refused }

// Unwrap returns the wrapped writer, as http.ResponseController wants it.
func (c *core) Unwrap() http.ResponseWriter { return c.rw }

// Header returns the header of the response, or one that goes nowhere if
// another response was sent in its place.
func (c *core) Header() http.Header {
	if c.refused {
		return http.Header{}
	}
	return c.rw.Header()
}

// WriteHeader asks the gate first, unless code is informational (RFC 9110
// §15.2): 1xx responses pass, and the final one follows. 101 is final.
func (c *core) WriteHeader(code int) {
	informational := code >= 100 && code < 200 && code != http.StatusSwitchingProtocols
	if informational && !c.refused || c.open() {
		c.rw.WriteHeader(code)
	}
}

// Write writes part of the body. What does not pass is dropped without an
// error: the handler cannot do anything about it.
func (c *core) Write(p []byte) (int, error) {
	if !c.open() {
		return len(p), nil
	}
	return c.rw.Write(p)
}

// WriteString is Write for a string.
func (c *core) WriteString(s string) (int, error) {
	if !c.open() {
		return len(s), nil
	}
	return io.WriteString(c.rw, s)
}

func (c *core) readFrom(src io.Reader) (int64, error) {
	if !c.open() {
		return io.Copy(io.Discard, src)
	}
	return c.rw.(io.ReaderFrom).ReadFrom(src)
}

func (c *core) flush() error {
	if !c.open() {
		return nil
	}
	return http.NewResponseController(c.rw).Flush()
}

// hijack takes the connection over. The gate's header is the handler's to send
// on it.
func (c *core) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !c.open() {
		return nil, nil, errors.New("session: not hijacked: the client has got the error response")
	}
	return http.NewResponseController(c.rw).Hijack()
}

func (c *core) push(target string, opts *http.PushOptions) error {
	return c.rw.(http.Pusher).Push(target, opts)
}

func (c *core) closeNotify() <-chan bool { return c.rw.(closeNotifier).CloseNotify() }
