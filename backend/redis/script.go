package redis

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/gomodule/redigo/redis"
)

//go:embed session.lua
var scriptSource string

// scriptHash is the name under which servers cache the script. SHA-1 is their
// choice and guards nothing.
var scriptHash = func() any {
	sum := sha1.Sum([]byte(scriptSource))
	return hex.EncodeToString(sum[:])
}()

// A call is one call of session.lua on one key, or also on the index of the
// record's user, where both are on one server.
type call struct {
	key   string
	index string // or ""
	args  []any  // the operation and what it needs
}

// with returns the call that also works on the index of rec's user.
func (c call) with(index string, id []byte) call {
	c.index, c.args = index, append(c.args, id)
	return c
}

// script makes one call. A server that does not have the script gets it, which
// costs one round trip more.
func (l lease) script(c call) (any, error) {
	reply, err := l.do("EVALSHA", c.words(scriptHash)...)
	if refused(err, "NOSCRIPT") {
		return l.do("EVAL", c.words(scriptSource)...)
	}
	return reply, err
}

func (c call) words(script any) []any {
	words := make([]any, 0, 4+len(c.args))
	if c.index == "" {
		words = append(words, script, 1, c.key)
	} else {
		words = append(words, script, 2, c.key, c.index)
	}
	return append(words, c.args...)
}

// refused reports whether err is a server's error of that code.
func refused(err error, codes ...string) bool {
	refusal, ok := errors.AsType[redis.Error](err)
	code, _, _ := strings.Cut(string(refusal), " ")
	return ok && slices.Contains(codes, code)
}
