package session

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/chisession/session/internal/record"
)

// A writer is the ResponseWriter that handlers get: it has the session stored,
// and its cookie in the header, before the first byte leaves. On every path:
// WriteHeader, Write, ReadFrom, Flush, Hijack. What the wrapped writer cannot
// do, the handler's cannot do either; see writer_kinds.go.
type writer struct{ core }

type core struct {
	_      [0]func() // not comparable: spares the 32 kinds of writer a function each
	rw     http.ResponseWriter
	x      *exchange
	wrote  bool // the final header has been sent, or the connection taken over
	failed bool // ...and it was that of the error answer

	returned bool // the handler has
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
	s := c.x.session.Load()
	if s == nil {
		c.x.sent.Store(true)
		if s = c.x.session.Load(); s == nil {
			return true // nobody asked for the session
		}
	}
	err := c.store(s)
	if err == nil {
		return true
	}
	c.failed = true
	s.failed(err)
	s.m.answer(c.x, c.rw, c.x.request, s.ID(), err)
	return false
}

// store has the session stored and its lines in the header. If it fails, the
// header is what it was before the handler, but for other cookies.
func (c *core) store(s *Session) error {
	h := c.rw.Header()
	if err := s.claim(s.m.patience()); err != nil {
		c.x.resetHeader(h)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent, s.over = true, &unsentError{err}
		return err
	}
	defer s.free() // also when the store panics
	now := s.at    // the clock has a price; what is due since then, finish notes
	if s.persistent() {
		now = nowMillis() // but only here can a cookie slide
		s.carries = !shareable(h)
		defer func() { s.carries = false }()
	}
	s.altered = s.altered || s.dirty() || s.doomed != nil
	err := s.commitAll(now, (*Session).pending)
	if err == nil && s.pending() {
		err = ErrNested // it was changed by each of its own store calls
	}
	if (errors.Is(err, ErrDestroyed) || errors.Is(err, ErrSuperseded)) && !isA[*logoutError](err) {
		err = nil // dropped, counted and logged; the response goes on
	}
	if errors.Is(err, ErrCrossSite) && safe(c.x.request.Method) {
		err = nil // logged; such a request is not meant to change anything
	}
	if err == nil && s.carries && s.outrun(now) {
		s.slide()
	}
	if err != nil {
		s.over = &unsentError{err}
		c.x.resetHeader(h)
	}
	c.x.header(h, err, !c.returned)
	s.sent = true
	return err
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
	c.returned = true
	if !c.wrote {
		if s := c.x.session.Load(); s != nil {
			s.mu.Lock()
			s.at = nowMillis()
			s.mu.Unlock()
		}
		c.ready()
		return
	}
	if c.failed {
		return
	}
	s := c.x.session.Load()
	if s == nil {
		return
	}
	cred, err := s.commitLate()
	if err != nil && (!errors.Is(err, ErrDestroyed) && !errors.Is(err, ErrSuperseded) || isA[*logoutError](err)) {
		s.failed(err)
		s.m.cfg.Logger.LogAttrs(c.x, slog.LevelError, "session: changes made after the header was sent are lost",
			slog.String("id", cred.ID().String()), slog.Any("error", err))
	}
}

// commitLate is commit after the header went out.
func (s *Session) commitLate() (record.Credentials, error) {
	if err := s.claim(s.m.patience()); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.cred, err
	}
	defer s.free()
	unstored := func(s *Session) bool { return s.doomed != nil || s.dirty() }
	err := s.commitAll(nowMillis(), unstored)
	if err == nil && unstored(s) {
		err = ErrNested // it was changed by each of its own store calls
	}
	return s.cred, err
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
	s := c.x.session.Load()
	if s == nil {
		return
	}
	h := c.rw.Header()
	if err := s.claim(s.m.patience()); err != nil {
		s.failed(err)
		s.m.cfg.Logger.LogAttrs(c.x, slog.LevelError, "session: what the handler destroyed before its panic may still be there",
			slog.String("id", s.ID()), slog.Any("error", err))
		return
	}
	defer s.free()
	if s.doomed == nil {
		return
	}
	ctx, cancel := s.m.storeContext(s.x)
	defer cancel()
	s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
	s.changed = 0
	if err := s.remove(ctx); err != nil {
		s.log(slog.LevelError, "session: not destroyed after a panic", err)
	}
	if !c.wrote {
		c.x.header(h, nil, false)
	}
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
