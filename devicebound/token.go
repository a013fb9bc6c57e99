package devicebound

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// maxToken is how long a token may be, in bytes; one with an RSA key of 4096 bits
// has 2000.
const maxToken = 4096

// A token is a JWT as the browser makes it (RFC 7519), of one fixed shape: signed
// with ES256 or RS256 and nothing else, with the challenge as its ID. What else is
// in it, an audience perhaps, is not looked at: the challenge says already what it
// is for.
type token struct {
	alg       string
	key       *jwk // of a registration; nil otherwise
	challenge string
	signed    string // what the signature is of
	signature []byte
}

// base64URL is bytes in base64url without padding, as JOSE has them.
type base64URL []byte

// UnmarshalText implements [encoding.TextUnmarshaler]. There is one spelling of what
// it takes: no padding, no spare bits, and no line breaks, which the decoder skips.
func (b *base64URL) UnmarshalText(text []byte) error {
	if bytes.ContainsAny(text, "\r\n") {
		return errToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	*b = raw
	return err
}

var errToken = errors.New("not a token of a browser")

// parseToken reads one. Whose it is, and whether it is genuine, is not known after
// that.
func parseToken(text string) (token, error) {
	signed, last, ok := cutLast(text)
	head, body, ok2 := strings.Cut(signed, ".")
	if !ok || !ok2 || len(text) > maxToken || strings.Contains(body, ".") {
		return token{}, errToken
	}
	var header struct {
		Alg  string          `json:"alg"`
		Typ  string          `json:"typ"`
		JWK  *jwk            `json:"jwk"`
		Crit json.RawMessage `json:"crit"` // extensions that must be understood (RFC 7515 §4.1.11)
	}
	var claims struct {
		JTI string `json:"jti"`
	}
	var signature base64URL
	err := errors.Join(decode(head, &header), decode(body, &claims), signature.UnmarshalText([]byte(last)))
	if err != nil || header.Typ != "dbsc+jwt" || header.Crit != nil || header.Alg != "ES256" && header.Alg != "RS256" {
		return token{}, errToken
	}
	return token{header.Alg, header.JWK, claims.JTI, signed, signature}, nil
}

// cutLast cuts text at its last dot.
func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// decode reads the JSON in one part of a token.
func decode(part string, into any) error {
	var raw base64URL
	if err := raw.UnmarshalText([]byte(part)); err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// unquoted returns the text of a header's value, which the draft has in quotes (RFC
// 9651 §3.3.3), and Chromium has not.
func unquoted(value string) string {
	value = strings.Trim(value, " \t")
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}
