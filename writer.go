package session

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
)

// A writer is the ResponseWriter that handlers get: it has the session stored,
// and its cookie in the header, before the first byte leaves. On every path:
// WriteHeader, Write, ReadFrom, Flush, Hijack. What the wrapped writer cannot
// do, the handler's cannot do either; see writer_kinds.go.
type writer struct{ core }

type core struct {
	rw     http.ResponseWriter
	x      *exchange
	wrote  bool // the final header has been sent, or the connection taken over
	failed bool // ...and it was that of the error answer
}

// Unwrap is for http.ResponseController.
func (c *core) Unwrap() http.ResponseWriter { return c.rw }

func (c *core) Header() http.Header {
	if c.failed {
		return http.Header{} // the error answer is not the handler's to change
	}
	return c.rw.Header()
}

// WriteHeader stores the session first, unless code is informational (RFC 9110
// §15.2): 1xx answers pass, and the final one follows. 101 is final.
func (c *core) WriteHeader(code int) {
	informational := code >= 100 && code < 200 && code != http.StatusSwitchingProtocols
	if informational && !c.failed || c.ready() {
		c.rw.WriteHeader(code)
	}
}

func (c *core) Write(p []byte) (int, error) {
	if !c.ready() {
		return len(p), nil
	}
	return c.rw.Write(p)
}

func (c *core) WriteString(s string) (int, error) {
	if !c.ready() {
		return len(s), nil
	}
	return io.WriteString(c.rw, s)
}

func (c *core) readFrom(src io.Reader) (int64, error) {
	if !c.ready() {
		return io.Copy(io.Discard, src)
	}
	return c.rw.(io.ReaderFrom).ReadFrom(src)
}

// ready has the session stored before the header goes out, once. It reports
// whether the handler's answer may be sent; if not, the error answer was.
func (c *core) ready() bool {
	if c.wrote {
		return !c.failed
	}
	c.wrote = true
	s := &c.x.session
	s.mu.Lock()
	err := s.commit()
	if errors.Is(err, ErrDestroyed) || errors.Is(err, ErrSuperseded) {
		var lost *lostLogin
		if !errors.As(err, &lost) {
			err = nil // dropped, counted and logged; the answer goes on
		}
	}
	if err != nil {
		clearHeader(c.rw.Header())
	}
	c.x.header(err)
	s.sent = true
	s.unlock()
	if err == nil {
		return true
	}
	c.failed = true
	s.failed(err)
	s.m.answer(c.rw, c.x.request, err)
	return false
}

// header puts the session's lines into the answer's header, mu held.
func (x *exchange) header(failed error) {
	s, h := &x.session, x.writer.rw.Header()
	if failed != nil && s.cookie == cookieSet && !s.exists {
		s.cookie = cookieAlone
	}
	if s.cookie != cookieAlone {
		x.setCookie(h)
		if len(h["Cache-Control"]) == 0 {
			h["Cache-Control"] = noStore()
		}
	}
	if s.used || s.cookie != cookieAlone {
		x.setVary(h)
	}
}

// setVary says that the answer depends on what carried the token.
func (x *exchange) setVary(h http.Header) {
	on := x.transport.vary()
	if varies(h, on) {
		return
	}
	if old := h["Vary"]; len(old) > 0 {
		h["Vary"] = append(old, on)
		return
	}
	x.vary[0] = on
	h["Vary"] = x.vary[:1:1]
}

func noStore() []string { return []string{"no-store"} }

// varies reports whether the answer says already that it depends on that
// header.
func varies(h http.Header, on string) bool {
	for _, line := range h["Vary"] {
		for field := range strings.SplitSeq(line, ",") {
			field = strings.TrimSpace(field)
			if field == "*" || strings.EqualFold(field, on) {
				return true
			}
		}
	}
	return false
}

// setCookie adds the session's Set-Cookie line; those of others stay. Where the
// token travels in a header, it goes there.
func (x *exchange) setCookie(h http.Header) {
	if !x.transport.cookie() {
		x.setToken(h)
		return
	}
	line := x.cookieLine()
	if old := h["Set-Cookie"]; len(old) > 0 {
		h["Set-Cookie"] = append(old, line)
		return
	}
	x.cookie[0] = line
	h["Set-Cookie"] = x.cookie[:1:1]
}

// setToken puts the token that the client is to use from now on, or none, into
// the answer's header.
func (x *exchange) setToken(h http.Header) {
	s := &x.session
	x.cookie[0] = ""
	if s.cookie == cookieSet {
		x.cookie[0] = s.cred.token()
	}
	h[x.transport.answerHeader()] = x.cookie[:1:1]
}

func (x *exchange) cookieLine() string {
	s := &x.session
	m := s.m
	if s.cookie == cookieRemove {
		return m.cookie.Remove(x.request)
	}
	m.warnPlainHTTP(x.request)
	return m.cookie.Set(x.request, s.cred.token(), s.maxAge())
}

// clearHeader takes out of the handler's header what speaks of a body that
// will not be sent. Set-Cookie lines stay: they may be others'.
func clearHeader(h http.Header) {
	for key := range h {
		if strings.HasPrefix(key, "Content-") {
			delete(h, key)
		}
	}
	for _, key := range []string{"Etag", "Last-Modified", "Cache-Control", "Expires", "Location", "Accept-Ranges", "Transfer-Encoding", "Trailer"} {
		delete(h, key)
	}
}

// flush is Flush for writers that can.
func (c *core) flush() error {
	if !c.ready() {
		return nil
	}
	return http.NewResponseController(c.rw).Flush()
}

// finish ends the exchange after the handler returned: it stores what was not
// stored yet, and what was changed after the header went out.
func (c *core) finish() {
	if !c.wrote {
		c.ready()
		return
	}
	if c.failed {
		return
	}
	s := &c.x.session
	s.mu.Lock()
	err := s.commit()
	id := s.cred.id().String()
	s.unlock()
	if err != nil && !errors.Is(err, ErrDestroyed) && !errors.Is(err, ErrSuperseded) {
		s.failed(err)
		s.m.cfg.Logger.LogAttrs(c.x, slog.LevelError, "session: changes made after the header was sent are lost",
			slog.String("id", id), slog.Any("error", err))
	}
}

// failed tells the hook that a session could not be stored.
func (s *Session) failed(err error) {
	if f := s.m.cfg.Hooks.Failed; f != nil {
		f(s.ID(), err)
	}
}

// panicked ends the exchange of a handler that panicked: what it Set is
// dropped, what it Destroyed is destroyed. The panic goes on.
func (c *core) panicked() {
	s := &c.x.session
	s.mu.Lock()
	defer s.unlock()
	if s.doomed == nil {
		return
	}
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	s.vals.reset(body{}, s.m.cfg.MaxBytes)
	s.changed = 0
	if err := s.remove(ctx); err != nil {
		s.log(slog.LevelError, "session: not destroyed after a panic", err)
	}
	if !c.wrote {
		c.x.header(nil)
	}
}

//go:generate go run ./internal/genwriter

// closeNotifier is http.CloseNotifier, which is deprecated and still relied
// upon (by gin's Stream, say).
type closeNotifier interface{ CloseNotify() <-chan bool }

func is[T any](w http.ResponseWriter) bool {
	_, ok := w.(T)
	return ok
}

// flushes reports whether w can flush, itself or through Unwrap: in that case
// http.ResponseController would go past us to the one that can.
func flushes(w http.ResponseWriter) bool {
	for w != nil {
		switch v := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
	return false
}

// hijacks reports whether w can hand over its connection, as flushes does.
func hijacks(w http.ResponseWriter) bool {
	for w != nil {
		switch v := w.(type) {
		case http.Hijacker:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return false
		}
	}
	return false
}

// hijack is Hijack for writers that can. The session is stored first; the
// header, with the cookie, is the handler's to send on the connection.
func (c *core) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !c.ready() {
		return nil, nil, errors.New("session: not hijacked: the session could not be stored, and the client has the error answer")
	}
	return http.NewResponseController(c.rw).Hijack()
}

func (c *core) push(target string, opts *http.PushOptions) error {
	return c.rw.(http.Pusher).Push(target, opts)
}

func (c *core) closeNotify() <-chan bool { return c.rw.(closeNotifier).CloseNotify() }
