package redis

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
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

// A call is one call of session.lua on one key.
type call struct {
	key  string
	args []any // the operation and what it needs
}

// script makes one call. A server that does not have the script gets it, which
// costs one round trip more.
func (l lease) script(c call) (any, error) {
	reply, err := l.do("EVALSHA", c.words(scriptHash)...)
	if refusal, ok := errors.AsType[redis.Error](err); ok && noScript(refusal) {
		return l.do("EVAL", c.words(scriptSource)...)
	}
	return reply, err
}

// scripts makes calls, in this order and in one round trip, and returns the
// answer to the last. It fails if any does.
func (l lease) scripts(calls ...call) (any, error) {
	replies, err := l.each("EVALSHA", scriptHash, calls)
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		if !noScript(reply) {
			continue
		}
		// Only those that were not executed are sent again.
		retried, err := l.each("EVAL", scriptSource, calls[i:i+1])
		if err != nil {
			return nil, err
		}
		replies[i] = retried[0]
	}
	for _, reply := range replies {
		if err, ok := reply.(redis.Error); ok {
			return nil, err
		}
	}
	return replies[len(replies)-1], nil
}

// each sends the calls in one write and returns their answers, the server's
// errors among them.
func (l lease) each(command string, script any, calls []call) ([]any, error) {
	for _, c := range calls {
		if err := l.c.Send(command, c.words(script)...); err != nil {
			return nil, err
		}
	}
	return redis.Values(l.do(""))
}

func (c call) words(script any) []any {
	return append(append(make([]any, 0, 3+len(c.args)), script, 1, c.key), c.args...)
}

func noScript(reply any) bool {
	err, ok := reply.(redis.Error)
	return ok && strings.HasPrefix(string(err), "NOSCRIPT")
}
