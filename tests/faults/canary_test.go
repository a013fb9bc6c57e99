package faults

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// mark is in every value that the tests store, and in no user name: the names
// are readable in the store by design.
var mark = "canary" + strings.ToLower(rand.Text())[:10]

// passwords are those of the servers.
const redisPassword = "redis-pass-canary"

// birdcage collects the secrets that were used, and what was said where.
type birdcage struct {
	mu     sync.Mutex
	tokens map[string]bool
	said   []saying
	leaks  []error
	bytes  int
}

type saying struct{ where, text string }

var canaries = &birdcage{tokens: map[string]bool{}}

// token remembers a token that a server gave out.
func (b *birdcage) token(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens[token] = true
}

// hear takes a log, or the body of an error response.
func (b *birdcage) hear(where, text string) {
	if text == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes += len(text)
	for _, secret := range []string{mark, redisPassword, "pw-of-session"} {
		if strings.Contains(text, secret) {
			b.leaks = append(b.leaks, fmt.Errorf("%s has %q in it:\n%s", where, secret, around(text, secret)))
		}
	}
	b.said = append(b.said, saying{where, text})
}

// The parts of a secret that are searched for: 15 of its 32 bytes in base64,
// 16 in hex, 16 as they are.
const inBase64, inHex, inBytes = 20, 32, 16

// found searches all that was said for the secret half of every token, and
// returns what leaked.
func (b *birdcage) found() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	secrets := make(map[string]bool, 3*len(b.tokens))
	for token := range b.tokens {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(raw) != 48 {
			return fmt.Errorf("a token is no token: %q", token)
		}
		secrets[token[24:24+inBase64]] = true
		secrets[hex.EncodeToString(raw[16:16+inHex/2])] = true
		secrets[string(raw[16:16+inBytes])] = true
	}
	leaks := b.leaks
	for _, s := range b.said {
		for i := range len(s.text) {
			for _, n := range []int{inBase64, inHex, inBytes} {
				if end := i + n; end <= len(s.text) && secrets[s.text[i:end]] {
					leaks = append(leaks, fmt.Errorf("%s has a token in it:\n%s", s.where, around(s.text, s.text[i:end])))
				}
			}
		}
	}
	return errors.Join(leaks...)
}

// figures says what was searched, for the table.
func (b *birdcage) figures() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("%d tokens, every value and the servers' passwords, in %d KB of logs and error responses", len(b.tokens), b.bytes>>10)
}

func around(text, needle string) string {
	at := strings.Index(text, needle)
	return text[max(0, at-300):min(len(text), at+len(needle)+100)]
}
