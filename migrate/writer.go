package migrate

import (
	"bufio"
	"net"
	"net/http"
)

// A late writer stands between the manager's middleware and the one that runs
// the handler in the adopted session. It adds the new cookie when the header
// is about to leave, and only then knows whether that session has a cookie of
// its own to set, being renewed or destroyed: an answer names no cookie twice
// (RFC 6265 §4.1.1).
type late struct {
	http.ResponseWriter
	ticket ticket // without lines: none is to be sent
}

// ready puts the cookie into the header, once.
func (w *late) ready() {
	w.ticket.addTo(w.Header())
	w.ticket.lines = nil
}

// Unwrap is for http.ResponseController.
func (w *late) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader adds the cookie to the final header; 101 is one, other 1xx are
// not (RFC 9110 §15.2).
func (w *late) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols {
		w.ready()
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *late) Write(p []byte) (int, error) {
	w.ready()
	return w.ResponseWriter.Write(p)
}

// What a writer can do besides.
type (
	flusher  struct{ late *late }
	hijacker struct{ late *late }
	notifier struct{ late *late }
)

func (f flusher) Flush() { _ = f.FlushError() } // as http.Flusher has it

func (f flusher) FlushError() error {
	f.late.ready()
	return http.NewResponseController(f.late.ResponseWriter).Flush()
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.late.ready()
	return http.NewResponseController(h.late.ResponseWriter).Hijack()
}

// closeNotifier is http.CloseNotifier, which is deprecated and still asked for.
type closeNotifier interface{ CloseNotify() <-chan bool }

func (n notifier) CloseNotify() <-chan bool {
	return n.late.ResponseWriter.(closeNotifier).CloseNotify()
}

// as returns w as a writer that can flush, hand over its connection and notify
// if the one below can. (ReadFrom and Push are left out, for the one request of
// a user: copying works without, and nobody pushes any more.)
func (w *late) as() http.ResponseWriter {
	f, h, n := flusher{w}, hijacker{w}, notifier{w}
	flushes := can[http.Flusher](w.ResponseWriter) || can[interface{ FlushError() error }](w.ResponseWriter)
	hijacks := can[http.Hijacker](w.ResponseWriter)
	_, notifies := w.ResponseWriter.(closeNotifier)
	switch {
	case flushes && hijacks && notifies:
		return struct {
			*late
			flusher
			hijacker
			notifier
		}{w, f, h, n}
	case flushes && hijacks:
		return struct {
			*late
			flusher
			hijacker
		}{w, f, h}
	case flushes && notifies:
		return struct {
			*late
			flusher
			notifier
		}{w, f, n}
	case flushes:
		return struct {
			*late
			flusher
		}{w, f}
	case hijacks:
		return struct {
			*late
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
