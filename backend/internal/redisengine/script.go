package redisengine

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"

	"github.com/chisession/session/backend"
)

// ScriptSource is session.lua.
//
//go:embed session.lua
var ScriptSource string

// The script's name under which servers cache it, and its text. SHA-1 is their
// choice and guards nothing.
var (
	scriptHash any = func() string {
		sum := sha1.Sum([]byte(ScriptSource))
		return hex.EncodeToString(sum[:])
	}()
	scriptText any = ScriptSource
)

// A call is one call of session.lua on one key, or also on the index of the
// record's user, where both are on one server.
type call struct {
	key   string
	index string // or ""
	again bool   // it may be sent again
	wait  bool   // it waits for replicas
	args  []any  // the operation and what it needs
}

// with returns the call that also works on an index, with the record's ID.
func (c call) with(index string, id []byte) call {
	c.index, c.args = index, append(c.args, id)
	return c
}

// script makes one call. A server that does not have the script gets it, which
// costs one round trip more.
func (s *Store) script(ctx context.Context, c call) (any, error) {
	reply, err := s.scriptWords(ctx, s.waiting(Command{Words: c.words(), Key: c.key, Again: c.again}, c.wait))
	if errors.Is(err, backend.ErrNotReplicated) {
		s.followed.slot(c.key).Store(nil)
	}
	return reply, err
}

// scriptWords sends an EVALSHA of session.lua, or if the server does not have that,
// an EVAL.
func (s *Store) scriptWords(ctx context.Context, cmd Command) (any, error) {
	reply, err := s.do(ctx, cmd)
	if Refused(err, "NOSCRIPT") {
		cmd.Words[0], cmd.Words[1] = "EVAL", scriptText
		reply, err = s.do(ctx, cmd)
	}
	return reply, err
}

func (c call) words() []any {
	words := make([]any, 0, 5+len(c.args))
	if c.index == "" {
		words = append(words, "EVALSHA", scriptHash, 1, c.key)
	} else {
		words = append(words, "EVALSHA", scriptHash, 2, c.key, c.index)
	}
	return append(words, c.args...)
}

func asRefusal(err error) (Refusal, bool) {
	if err == nil {
		return "", false
	}
	return errors.AsType[Refusal](err)
}

// number reads a reply that must be one.
func number(reply any, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	n, ok := reply.(int64)
	if !ok {
		return 0, errReply
	}
	return n, nil
}

var errReply = errors.New("the server's reply is of another type than it should be")
