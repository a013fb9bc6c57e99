package faults

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// TestCanaries checks that a leak would be found.
func TestCanaries(t *testing.T) {
	raw := []byte(strings.Repeat("0123456789abcdef", 3))
	token := base64.RawURLEncoding.EncodeToString(raw)
	for what, text := range map[string]string{
		"the token":           "msg=x cookie=" + token,
		"half of its secret":  "secret " + token[24:50],
		"its secret in hex":   hex.EncodeToString(raw[16:]),
		"its secret as bytes": "\x00" + string(raw[16:40]),
		"a value":             `{"error":"cannot store ` + mark + `.1"}`,
		"a password":          "dial redis://:" + redisPassword + "@127.0.0.1",
		"nothing":             "the ID " + token[:21] + " is public",
	} {
		b := &birdcage{tokens: map[string]bool{}}
		b.token(token)
		b.hear("a log", text)
		if err := b.found(); (err != nil) != (what != "nothing") {
			t.Errorf("a log with %s: got %v", what, err)
		}
	}
}

// A witness takes down what a check complains about.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Helper() {}
func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

// TestTruth checks that a browser would notice a lie.
func TestTruth(t *testing.T) {
	b := &browser{user: "ada"}
	honest := response{status: 200, state: state{User: "ada", Value: b.value(7)}}
	refusal := response{status: 503, body: "Service Unavailable\n", retryHint: "1"}
	for what, lie := range map[string]struct {
		from  response
		spoil func(*response)
	}{
		"nothing, 200":          {honest, func(*response) {}},
		"nothing, 503":          {refusal, func(*response) {}},
		"another user":          {honest, func(r *response) { r.User = "bob" }},
		"logged out":            {honest, func(r *response) { r.User, r.New, r.Value = "", true, "" }},
		"a lost write":          {honest, func(r *response) { r.Value = b.value(6) }},
		"a write from nowhere":  {honest, func(r *response) { r.Value = b.value(9) }},
		"half a value":          {honest, func(r *response) { r.Value = r.Value[:5] }},
		"another one's value":   {honest, func(r *response) { r.Value = (&browser{user: "bob"}).value(7) }},
		"a cookie":              {honest, func(r *response) { r.token = "x" }},
		"a removed cookie":      {honest, func(r *response) { r.removed = true }},
		"an error with a body":  {refusal, func(r *response) { r.body = "{}\n" }},
		"an error and a cookie": {refusal, func(r *response) { r.token = "x" }},
		"a 500":                 {refusal, func(r *response) { r.status = 500 }},
	} {
		w := &witness{TB: t}
		b := &browser{t: w, user: "ada"}
		a := lie.from
		lie.spoil(&a)
		b.truth(a, 7, 8)
		if noticed := len(w.said) > 0; noticed == strings.HasPrefix(what, "nothing") {
			t.Errorf("%s: the browser said %q", what, w.said)
		}
	}
}
