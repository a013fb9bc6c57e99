package ginsession

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// notWritten is the size of a response whose header has not left, as gin says it.
const notWritten = -1

// A writer is what gin's handlers write to: as gin's own does, it keeps the
// status until the first byte. Then everything goes through to, the session's
// writer, which stores the session first.
type writer struct {
	gin.ResponseWriter // gin's own, for what has nothing to do with the response's order
	to                 http.ResponseWriter
	status             int
	size               int
}

func (w *writer) Header() http.Header         { return w.to.Header() }
func (w *writer) Unwrap() http.ResponseWriter { return w.to }
func (w *writer) Status() int                 { return w.status }
func (w *writer) Size() int                   { return w.size }
func (w *writer) Written() bool               { return w.size != notWritten }

func (w *writer) WriteHeader(code int) {
	if code > 0 && !w.Written() {
		w.status = code
	}
}

func (w *writer) WriteHeaderNow() {
	if !w.Written() {
		w.size = 0
		w.to.WriteHeader(w.status)
	}
}

func (w *writer) Write(data []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.to.Write(data)
	w.size += n
	return n, err
}

func (w *writer) WriteString(s string) (int, error) {
	w.WriteHeaderNow()
	n, err := io.WriteString(w.to, s)
	w.size += n
	return n, err
}

func (w *writer) Flush() {
	w.WriteHeaderNow()
	_ = http.NewResponseController(w.to).Flush() // gin's Flush has no error to return either
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.Written() {
		w.size = 0
	}
	return http.NewResponseController(w.to).Hijack()
}

// finish sends a status that was set without a body. One that nobody set is
// left to gin, which writes its page for an unknown path after the handlers.
func (w *writer) finish() {
	if w.status != w.ResponseWriter.Status() {
		w.WriteHeaderNow()
	}
}

// A sender is gin's writer for the session's to write to: here a header leaves
// when it is written, not with the first byte.
type sender struct{ gin.ResponseWriter }

func (s sender) WriteHeader(code int) {
	s.ResponseWriter.WriteHeader(code)
	s.WriteHeaderNow()
}

// Unwrap is for http.ResponseController.
func (s sender) Unwrap() http.ResponseWriter {
	if inner, ok := s.ResponseWriter.(interface{ Unwrap() http.ResponseWriter }); ok {
		return inner.Unwrap()
	}
	return nil
}
