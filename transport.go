package session

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/chisession/session/cookie"
	"github.com/chisession/session/internal/record"
	"github.com/chisession/session/internal/response"
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
// response header of that name: at the first store, and at every Renew. When the
// session is destroyed the response's header is empty. No cookie is ever read or
// set.
func HeaderTransport(name string) Transport {
	return Transport{kind: byHeader, header: textproto.CanonicalMIMEHeaderKey(name)}
}

// BearerTransport is a transport in which the client sends "Authorization: Bearer
// TOKEN" (RFC 6750 §2.1), and gets a new token in the response header
// X-Session-Token. It is not for a place where somebody else sends that header:
// a proxy that authenticates users and adds a JWT of its own, say. That is
// taken for the token, and opens nothing. Use HeaderTransport there.
func BearerTransport() Transport { return Transport{kind: byBearer, header: "Authorization"} }

// FirstOf serves clients of several kinds: a request belongs to the first
// transport that it uses, and the response goes the same way, so a token that
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
// response therefore depends.
func (t *Transport) carrier() string {
	if t.cookie() {
		return "Cookie"
	}
	return t.header
}

// responseHeader returns the header that a new token goes out in.
func (t *Transport) responseHeader() string {
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

// token decides which token the response brings, and whose it is: the one place
// that does. The middleware asks when the session has been stored, Manager.Start
// after every change, when it may not have been yet.
func (s *Session) token(h http.Header) (cookieState, *record.Credentials) {
	switch {
	case s.trouble.broken: // nothing goes out for what could not be stored
	case s.rec.Exists && s.want.changed&changedSecret != 0:
		return cookieSet, s.want.next
	case !s.rec.Exists && s.trouble.lost == nil && s.trouble.err == nil && s.dirty() && !s.uninvited():
		s.ensureID()
		return cookieSet, &s.rec.Cred
	case s.want.removal != nil:
		return s.removalCookie(), nil
	}
	switch state := s.reply.cookie; {
	case state == cookieSet && !s.rec.Exists && s.trouble.broken:
	case state == cookieSlide && (response.Shareable(h) || !s.rec.Exists):
	default:
		return state, &s.rec.Cred
	}
	return cookieAlone, nil
}

// bring puts the token that the response brings into its header h, in place of
// one that an earlier call has put there, and reports whether there is one. The
// Set-Cookie lines of others stay.
func (s *Session) bring(h http.Header) bool {
	if s.m.complete != nil {
		s.m.complete(s, h)
	}
	state, cred := s.token(h)
	switch {
	case !s.x.transport.cookie():
		s.bringInHeader(h, state, cred)
	case state == cookieAlone:
		s.setCookie(h, "")
	case state == cookieRemove:
		s.setCookie(h, s.m.cookie.Remove())
	default:
		s.warnPlainHTTP()
		s.setCookie(h, s.m.cookie.Set(cred.Token(), s.maxAge()))
	}
	s.reply.token = state != cookieAlone
	if s.reply.token {
		response.Confine(h, &s.lines.caching)
	}
	return s.reply.token
}

// bringInHeader is bring where the token travels in a header.
func (s *Session) bringInHeader(h http.Header, state cookieState, cred *record.Credentials) {
	name := s.x.transport.responseHeader()
	switch state {
	case cookieAlone:
		if s.reply.token {
			h.Del(name)
		}
		return
	case cookieRemove:
		s.lines.cookie[0] = ""
	default:
		s.lines.cookie[0] = cred.Token()
	}
	h[name] = s.lines.cookie[:1:1]
}

// setCookie puts line in the place of the Set-Cookie line that it put there
// before; either may be empty.
func (s *Session) setCookie(h http.Header, line string) {
	lines, at := h["Set-Cookie"], -1
	if s.reply.token {
		at = slices.Index(lines, s.lines.cookie[0])
	}
	switch {
	case at >= 0 && line == "":
		h["Set-Cookie"] = slices.Concat(lines[:at], lines[at+1:])
	case at >= 0:
		lines[at] = line
	case line != "" && len(lines) > 0:
		h["Set-Cookie"] = append(lines, line)
	case line != "":
		h["Set-Cookie"] = s.lines.cookie[:1:1]
	}
	s.lines.cookie[0] = line
}

// removalCookie returns what Destroy does to the cookie: nothing if this request
// brought none, so that the browser has none to forget.
func (s *Session) removalCookie() cookieState {
	if s.m.used(s.x.transport, s.x.request.Header) {
		return cookieRemove
	}
	return cookieAlone
}

// header puts the session's lines into the response's header h, mu held. after
// says that the handler has not returned, and can use the session after it.
func (s *Session) header(h http.Header, failed error, after bool) {
	depends := s.reply.used || after && (s.x.handed.Load() || s.reply.live && response.Silent(h))
	brings := s.bring(h)
	if !brings && failed == nil {
		s.limit(h, depends)
	}
	if depends || brings {
		s.setVary(h)
	}
}

// cookieLines returns the Set-Cookie lines in h, the header of s's own response.
func (s *Session) cookieLines(h http.Header) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(h["Set-Cookie"])
}

// announce puts what the header of a response says whose session was made by
// Manager.Start there at once, mu held: that library cannot see it leave.
func (s *Session) announce() {
	h := s.start.header
	if h == nil || s.phase == phaseReleased {
		return
	}
	s.setVary(h)
	s.reply.altered = s.reply.altered || s.unstored()
	s.limit(h, true)
	s.bring(h)
}

// limit keeps a response that is somebody's own out of caches, unless the
// handler has said itself what they may do. What a request changed or took (a
// flash message) must not be shown again by a cache, and what came out of a
// live session, on which the response depends, must not be there for the old
// token after a logout.
func (s *Session) limit(h http.Header, depends bool) {
	caching := &s.lines.caching
	said := h["Cache-Control"]
	switch {
	case said != nil && (len(said) != 1 || &said[0] != &caching[0]): // by the handler, and not by this
		return
	case s.reply.altered, caching[0] == "no-store": // which went out with a token
		caching[0] = "no-store"
	case s.reply.live && depends:
		caching[0] = "private"
	default:
		return
	}
	h["Cache-Control"] = caching[:1:1]
}

// setVary says that the response depends on what carried the token, and on what
// would have been looked at first.
func (s *Session) setVary(h http.Header) {
	for i := range s.m.cfg.Transport.first {
		earlier := &s.m.cfg.Transport.first[i]
		if earlier == s.x.transport {
			break
		}
		s.varyOn(h, earlier.carrier())
	}
	s.varyOn(h, s.x.transport.carrier())
}

func (s *Session) varyOn(h http.Header, on string) {
	lines := h["Vary"]
	switch {
	case response.Varies(lines, on):
	case len(lines) > 0:
		h["Vary"] = append(lines, on)
	default:
		s.lines.vary[0] = on // the first line; others are appended to a copy
		h["Vary"] = s.lines.vary[:1:1]
	}
}

// resetHeader makes h what it was before the handler, for the error response. Only
// other Set-Cookie lines stay, whoever set them: we cannot know whose they are.
func (x *exchange) resetHeader(h http.Header) {
	cookies := h["Set-Cookie"]
	clear(h)
	maps.Copy(h, x.before)
	if cookies != nil {
		h["Set-Cookie"] = cookies
	}
}

// slides reports whether the browser's cookie has a lifetime, which has to move
// with the session's expiry.
func (s *Session) slides() bool { return s.x.transport.cookie() && s.persistent() }

// outrun reports whether the cookie ends before the session, whose expiry
// cannot move any more: then nothing tells when the cookie went out last.
func (s *Session) outrun(now int64) bool {
	fixed := s.m.cookie.Options().MaxAge
	if fixed == 0 || !s.rec.Exists || s.want.noTouch || !s.slides() {
		return false
	}
	idle, absolute := s.m.store.Timeouts(s.rec.Head.Idle, s.rec.Head.Absolute)
	return fixed < idle && now+idle.Milliseconds() > record.CreatedMillis(s.rec.Cred.ID())+absolute.Milliseconds()
}

// slide sends a persistent cookie again when the expiry has moved.
func (s *Session) slide() {
	if s.reply.cookie == cookieAlone && s.slides() {
		s.reply.cookie = cookieSlide
	}
}

// persistent reports whether the browser is to keep the cookie when it is
// closed.
func (s *Session) persistent() bool {
	switch {
	case s.rec.Head.Flags&record.FlagPersist != 0:
		return true
	case s.rec.Head.Flags&record.FlagTransient != 0:
		return false
	}
	return s.m.persistent
}

// maxAge returns how long the browser is to keep the cookie; 0 is until it is
// closed.
func (s *Session) maxAge() time.Duration {
	if !s.persistent() {
		return 0
	}
	if fixed := s.m.cookie.Options().MaxAge; fixed > 0 {
		return fixed
	}
	return time.Until(time.UnixMilli(s.rec.Expires))
}

// uninvited reports whether s, a new session, would take the place of one that
// the browser has and did not send (RFC 6265bis §5.8.3). It is asked for by
// SetUser with a name and by Renew, which are logins, and not by a Set: of an error,
// say, in the form_post of a login elsewhere that has failed, or beside SetUser("")
// in that of a logout.
func (s *Session) uninvited() bool {
	r := s.x.request
	if s.start.candidate { // of an old session, which came by another cookie
		return false
	}
	switch {
	case !s.x.transport.cookie() || s.m.cfg.AllowCrossSite:
		return false
	case s.want.changed&(changedSecret|changedUser) == changedSecret || s.currentUser() != "":
		return false
	case s.reply.foreign: // the one that it has did come, and was refused
		return true
	case r.Header.Get("Sec-Fetch-Site") != "cross-site" || s.m.used(s.x.transport, r.Header):
		return false
	}
	switch s.m.cookie.Options().SameSite {
	case http.SameSiteNoneMode:
		return false // it would have come
	case http.SameSiteStrictMode:
		return true
	}
	// A Lax cookie comes when the user follows a link. Who comes so without one
	// is new here.
	return !safe(r.Method) || !oneOf(r.Header.Get("Sec-Fetch-Mode"), "", "navigate") || !oneOf(r.Header.Get("Sec-Fetch-Dest"), "", "document")
}

// turnAway drops what would have started an uninvited session.
func (s *Session) turnAway() error {
	s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)
	s.want.changed, s.trouble.refused = 0, ErrCrossSite
	x := s.x
	s.later(func() { x.log(slog.LevelWarn, "session: not started", slog.Any("error", ErrCrossSite)) })
	return ErrCrossSite
}

// safe reports whether requests of that method are not meant to change
// anything (RFC 9110 §9.2.1).
func safe(method string) bool { return oneOf(method, "", "GET", "HEAD", "OPTIONS", "TRACE") }

func oneOf(s string, all ...string) bool {
	for _, one := range all {
		if s == one {
			return true
		}
	}
	return false
}

// warnPlainHTTP says once why logins will not stick.
func (s *Session) warnPlainHTTP() {
	m, r := s.m, s.x.request
	if m.warned.Load() || !m.cookie.Secure() || !cookie.PlainHTTP(r) || m.warned.Swap(true) {
		return
	}
	s.later(func() {
		s.x.log(slog.LevelWarn, "session: a Secure cookie goes out over what looks like plain HTTP; browsers drop it, so logins will not stick: "+
			plainHTTPCure(m.cookie.Options()), slog.String("host", r.Host))
	})
}

// plainHTTPCure says what to do about plain HTTP: nothing that [New] would refuse,
// as it refuses Insecure beside SameSite=None, Partitioned or a __Host- name.
func plainHTTPCure(o cookie.Options) string {
	o.Insecure = true
	if _, err := cookie.New(o); err != nil {
		return "serve HTTPS, or let the proxy send X-Forwarded-Proto: https"
	}
	return "serve HTTPS, let the proxy send X-Forwarded-Proto: https, or set Config.Cookie.Insecure"
}
