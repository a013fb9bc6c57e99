package sentinel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chisession/session/backend/internal/redisengine"
)

// A sentinel is one Sentinel and, most of the time, a connection to it. It talks
// to it by itself: each of the three clients has a way of its own to do so, that
// believes one Sentinel.
type sentinel struct {
	addr string
	cfg  *Config

	mu   sync.Mutex // held for the time of one question
	conn net.Conn   // nil: none
	r    *bufio.Reader
}

var errBusy = errors.New("it has not answered the question before")

// ask returns the address of the primary, as this Sentinel has it.
func (s *sentinel) ask(ctx context.Context) (addr string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("the Sentinel at %s: %w%s", s.addr, err, cure(err))
		}
	}()
	if !s.mu.TryLock() {
		return "", errBusy
	}
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	addr, err = s.question(ctx)
	var refused refusal
	if err != nil && !errors.As(err, &refused) {
		s.drop()
	}
	return addr, err
}

// cure says what to do about an error that a Sentinel replied, if its text does not.
func cure(err error) string {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "NOAUTH"):
		return " (Sentinels have a password of their own: ?sentinelpassword=)"
	case strings.Contains(text, "unknown command"):
		return " (this is no Sentinel: write redis:// for a server; Sentinels listen at 26379, most often)"
	}
	return ""
}

// quorum asks whether a failover is possible.
func (s *sentinel) quorum(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := s.connect(ctx)
	if err == nil {
		_, err = s.call(ctx, "SENTINEL", "CKQUORUM", s.cfg.Name)
	}
	if err != nil {
		s.drop()
		return fmt.Errorf("the Sentinel at %s: %w", s.addr, err)
	}
	return nil
}

func (s *sentinel) question(ctx context.Context) (string, error) {
	if err := s.connect(ctx); err != nil {
		return "", err
	}
	reply, err := s.call(ctx, "SENTINEL", "get-master-addr-by-name", s.cfg.Name)
	switch {
	case err != nil:
		return "", err
	case len(reply) == 0:
		return "", refusal("it monitors no primary of this name")
	case len(reply) != 2:
		return "", errReply
	}
	return net.JoinHostPort(reply[0], reply[1]), nil
}

// connect makes sure that there is a connection.
func (s *sentinel) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	raw, err := (&net.Dialer{KeepAlive: keepAlive}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	conn, err := redisengine.Secure(ctx, raw, s.addr, s.cfg.TLS)
	if err != nil {
		_ = raw.Close() // a handshake that failed has closed it, most often
		return err
	}
	s.conn, s.r = conn, bufio.NewReader(conn)
	switch {
	case s.cfg.User != "":
		_, err = s.call(ctx, "AUTH", s.cfg.User, s.cfg.Password)
	case s.cfg.Password != "":
		_, err = s.call(ctx, "AUTH", s.cfg.Password)
	}
	if err != nil {
		s.drop()
	}
	return err
}

// call sends one command and reads its reply, which is a status or a list.
func (s *sentinel) call(ctx context.Context, words ...string) ([]string, error) {
	conn := s.conn
	deadline, _ := ctx.Deadline() // ask has set one
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return nil, err
	}
	return s.reply()
}

// A refusal is an error that a Sentinel replied.
type refusal string

func (r refusal) Error() string { return string(r) }

var errReply = errors.New("the reply is no Sentinel's")

// reply reads a status (as nothing), an error, or a list of short strings.
func (s *sentinel) reply() ([]string, error) {
	kind, rest, err := s.line()
	switch {
	case err != nil:
		return nil, err
	case kind == '+':
		return nil, nil
	case kind == '-': // without what it quotes of a command that it does not know
		rest, _, _ = strings.Cut(rest, ", with args beginning with")
		return nil, refusal(rest)
	}
	n, err := strconv.Atoi(rest)
	if kind != '*' || err != nil || n > 2 {
		return nil, errReply
	}
	var list []string
	for range n {
		word, err := s.bulk()
		if err != nil {
			return nil, err
		}
		list = append(list, word)
	}
	return list, nil
}

func (s *sentinel) bulk() (string, error) {
	kind, rest, err := s.line()
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(rest)
	if kind != '$' || err != nil || n < 0 || n > 1024 {
		return "", errReply
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(s.r, b); err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

func (s *sentinel) line() (kind byte, rest string, err error) {
	b, err := s.r.ReadSlice('\n') // of bufio's size at most
	if err != nil {
		return 0, "", err
	}
	line := strings.TrimSuffix(string(b), "\r\n")
	if line == "" {
		return 0, "", errReply
	}
	return line[0], line[1:], nil
}

func (s *sentinel) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
}

// drop ends the connection; s.mu is held.
func (s *sentinel) drop() {
	if s.conn != nil {
		_ = s.conn.Close() // it is of no use any more
		s.conn = nil
	}
}
