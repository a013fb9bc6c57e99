// Package hook has a response writer that calls a function before the header
// leaves. It stands outside of a manager's middleware or inside of it, so it
// knows no session.
package hook

import (
	"bufio"
	"net"
	"net/http"
)

// A Writer calls its function once, right before the final header leaves.
type Writer struct {
	http.ResponseWriter
	before func(http.Header)
	gone   bool // bytes have left for the client, as far as w can see
}

// New returns a writer around w that calls before with the header.
func New(w http.ResponseWriter, before func(http.Header)) *Writer {
	return &Writer{ResponseWriter: w, before: before}
}

// Ready calls the function if it has not been called: it belongs behind the
// handler, which may not have written anything.
func (w *Writer) Ready() {
	if before := w.before; before != nil {
		w.before = nil
		before(w.Header())
	}
}

// Gone reports whether the handler has flushed the response, or has taken the
// connection over: then it is on its way, whatever comes after.
func (w *Writer) Gone() bool { return w.gone }

// Unwrap is for http.ResponseController.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader calls the function for the final header; 101 is one, other 1xx
// are not (RFC 9110 §15.2).
func (w *Writer) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols {
		w.Ready()
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *Writer) Write(p []byte) (int, error) {
	w.Ready()
	return w.ResponseWriter.Write(p)
}

// What a writer can do besides.
type (
	flusher  struct{ w *Writer }
	hijacker struct{ w *Writer }
	notifier struct{ w *Writer }
)

func (f flusher) Flush() { _ = f.FlushError() } // as http.Flusher has it

func (f flusher) FlushError() error {
	f.w.Ready()
	err := http.NewResponseController(f.w.ResponseWriter).Flush()
	f.w.gone = f.w.gone || err == nil
	return err
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.w.Ready()
	conn, rw, err := http.NewResponseController(h.w.ResponseWriter).Hijack()
	h.w.gone = h.w.gone || err == nil
	return conn, rw, err
}

// closeNotifier is http.CloseNotifier, which is deprecated and still asked for.
type closeNotifier interface{ CloseNotify() <-chan bool }

func (n notifier) CloseNotify() <-chan bool {
	return n.w.ResponseWriter.(closeNotifier).CloseNotify()
}

// As returns w as a writer that can flush, hand over its connection and notify
// if the one below can. (ReadFrom and Push are left out, for the one request of
// a user: copying works without, and nobody pushes any more.)
func (w *Writer) As() http.ResponseWriter {
	f, h, n := flusher{w}, hijacker{w}, notifier{w}
	flushes := can[http.Flusher](w.ResponseWriter) || can[interface{ FlushError() error }](w.ResponseWriter)
	hijacks := can[http.Hijacker](w.ResponseWriter)
	_, notifies := w.ResponseWriter.(closeNotifier)
	switch {
	case flushes && hijacks && notifies:
		return struct {
			*Writer
			flusher
			hijacker
			notifier
		}{w, f, h, n}
	case flushes && hijacks:
		return struct {
			*Writer
			flusher
			hijacker
		}{w, f, h}
	case flushes && notifies:
		return struct {
			*Writer
			flusher
			notifier
		}{w, f, n}
	case flushes:
		return struct {
			*Writer
			flusher
		}{w, f}
	case hijacks:
		return struct {
			*Writer
			hijacker
		}{w, h}
	}
	return w
}

// can reports whether w is a T, itself or through Unwrap.
func can[T any](w http.ResponseWriter) bool {
	for w != nil {
		if _, ok := w.(T); ok {
			return true
		}
		below, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = below.Unwrap()
	}
	return false
}
