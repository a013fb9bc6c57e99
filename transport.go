package session

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
)

// TokenHeader is the header of [HeaderTransport] and [BearerTransport]
// responses, and the usual one of requests.
const TokenHeader = "X-Session-Token"

// A Transport is how tokens travel between client and server. The zero value
// is the cookie of Config.Cookie, which is right for browsers. [HeaderTransport],
// [BearerTransport] and [FirstOf] make others, for mobile applications and APIs.
type Transport struct {
	kind   transportKind
	header string      // of the request; empty for the cookie
	first  []Transport // of FirstOf
}

type transportKind uint8

const (
	byCookie transportKind = iota
	byHeader
	byBearer
	byFirstOf
)

// HeaderTransport is a transport in which the client sends its token in the request
// header of that name (X-Session-Token is usual) and gets a new one in the
// answer header of that name: at the first store, and at every Renew. When the
// session is destroyed the answer's header is empty. No cookie is ever read or
// set.
func HeaderTransport(name string) Transport {
	return Transport{kind: byHeader, header: textproto.CanonicalMIMEHeaderKey(name)}
}

// BearerTransport is a transport in which the client sends "Authorization: Bearer
// TOKEN" (RFC 6750 §2.1), and gets a new token in the answer header
// X-Session-Token. It is not for a place where somebody else sends that header:
// a proxy that authenticates users and adds a JWT of its own, say. That is
// taken for the token, and opens nothing. Use HeaderTransport there.
func BearerTransport() Transport { return Transport{kind: byBearer, header: "Authorization"} }

// FirstOf serves clients of several kinds: a request belongs to the first
// transport that it uses, and the answer goes the same way, so a token that
// came in a header is never put into a cookie. One that uses none belongs to
// the last. A client that has no token yet says that it wants one in a header
// by sending that header without a value. So with BearerTransport first, behind a
// proxy that adds an Authorization header to each request, no request belongs
// to the cookie, and no browser has a session.
//
//	Transport: session.FirstOf(session.HeaderTransport(session.TokenHeader), session.Transport{})
func FirstOf(transports ...Transport) Transport {
	return Transport{kind: byFirstOf, first: transports}
}

func (t Transport) validate() error {
	switch {
	case t.kind == byFirstOf && len(t.first) == 0:
		return fmt.Errorf("session: Config.Transport: FirstOf needs at least one transport")
	case t.kind == byHeader && t.header == "":
		return fmt.Errorf("session: Config.Transport: HeaderTransport needs the name of a header; X-Session-Token is usual")
	case strings.ContainsFunc(t.header, notHeaderName):
		return fmt.Errorf("session: Config.Transport: HeaderTransport(%q) is no header name (RFC 9110 §5.1)", t.header)
	case t.kind == byHeader && (t.header == "Cookie" || t.header == "Authorization"):
		return fmt.Errorf("session: Config.Transport: HeaderTransport(%q): use the zero Transport for cookies, and BearerTransport for Authorization", t.header)
	case t.kind == byHeader && standard(t.header):
		return fmt.Errorf("session: Config.Transport: HeaderTransport(%q) has a meaning of its own in HTTP: use X-Session-Token", t.header)
	}
	for _, one := range t.first {
		if one.kind == byFirstOf {
			return fmt.Errorf("session: Config.Transport: FirstOf within FirstOf")
		}
		if err := one.validate(); err != nil {
			return err
		}
	}
	return nil
}

// standard reports whether clients, servers or proxies act on a header of that
// name, so that a token has no place there.
func standard(name string) bool {
	switch name {
	case "Accept", "Age", "Allow", "Alt-Svc", "Cache-Control", "Clear-Site-Data", "Connection", "Date", "Etag", "Expect",
		"Expires", "Forwarded", "From", "Host", "Keep-Alive", "Last-Modified", "Link", "Location", "Max-Forwards", "Origin",
		"Pragma", "Range", "Referer", "Referrer-Policy", "Refresh", "Retry-After", "Server", "Set-Cookie", "Set-Cookie2",
		"Strict-Transport-Security", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Vary", "Via",
		"Www-Authenticate":
		return true
	}
	for _, prefix := range []string{"Accept-", "Access-Control-", "Content-", "If-", "Proxy-", "Sec-", "X-Forwarded-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// notHeaderName tells the characters that RFC 9110 §5.6.2 keeps out of a token.
func notHeaderName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// cookie reports whether t is the cookie.
func (t *Transport) cookie() bool { return t.kind == byCookie }

// choose returns the transport that a request belongs to.
func (m *Manager) choose(h http.Header) *Transport {
	t := &m.cfg.Transport
	for i := range t.first {
		one := &t.first[i]
		if i == len(t.first)-1 || m.used(one, h) {
			return one
		}
	}
	return t
}

// used reports whether a request uses t, with whatever in it.
func (m *Manager) used(t *Transport, h http.Header) bool {
	found := false
	if t.kind == byHeader {
		return h[t.header] != nil
	}
	m.tokens(t, h, func(string) bool {
		found = true
		return false
	})
	return found
}

// tokens calls yield with what the request brings as tokens, until it returns
// false.
func (m *Manager) tokens(t *Transport, h http.Header, yield func(string) bool) {
	if t.cookie() {
		m.cookie.Values(h, yield)
		return
	}
	for _, value := range h[t.header] {
		if t.kind == byBearer {
			scheme, token, ok := strings.Cut(value, " ")
			if !strings.EqualFold(scheme, "Bearer") || !ok && value != scheme {
				continue
			}
			value = strings.TrimLeft(token, " ") // 1*SP
		}
		if !yield(value) {
			return
		}
	}
}

// carrier returns the request header that brings the token, and on which the
// answer therefore depends.
func (t *Transport) carrier() string {
	if t.cookie() {
		return "Cookie"
	}
	return t.header
}

// answerHeader returns the header that a new token goes out in.
func (t *Transport) answerHeader() string {
	if t.kind == byBearer {
		return TokenHeader
	}
	return t.header
}

// shares reports whether k and other have a cookie or header in common.
func (k *cookieKey) shares(other cookieKey) bool {
	if !strings.Contains(string(*k), ";") && !strings.Contains(string(other), ";") {
		return *k == other
	}
	for one := range strings.SplitSeq(string(*k), ";") {
		for two := range strings.SplitSeq(string(other), ";") {
			if one == two && one != "" {
				return true
			}
		}
	}
	return false
}

// key names t in a context: the cookie or header of t, or several for FirstOf.
func (t Transport) key(cookieName string) cookieKey {
	switch {
	case t.kind == byFirstOf:
		key := cookieKey("")
		for _, one := range t.first {
			key += one.key(cookieName) + ";"
		}
		return key
	case t.cookie():
		return cookieKey(cookieName)
	}
	return cookieKey(t.header + ":")
}
