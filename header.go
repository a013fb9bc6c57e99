package session

import (
	"maps"
	"net/http"
	"strings"
)

// header puts the session's lines into the answer's header h, mu held.
func (x *exchange) header(h http.Header, failed error) {
	s := x.session.Load()
	if failed != nil && s.cookie == cookieSet && !s.exists {
		s.cookie = cookieAlone
	}
	if s.cookie == cookieSlide && !mayslide(h) {
		s.cookie = cookieAlone
	}
	if s.cookie != cookieAlone {
		x.setCookie(h)
		confine(h)
	}
	if s.used || s.cookie != cookieAlone {
		x.setVary(h)
	}
}

// setVary says that the answer depends on what carried the token, and on what
// would have been looked at first.
func (x *exchange) setVary(h http.Header) {
	for i := range x.m.cfg.Transport.first {
		earlier := &x.m.cfg.Transport.first[i]
		if earlier == x.transport {
			break
		}
		x.varyOn(h, earlier.carrier())
	}
	x.varyOn(h, x.transport.carrier())
}

func (x *exchange) varyOn(h http.Header, on string) {
	if varies(h, on) {
		return
	}
	if old := h["Vary"]; len(old) > 0 {
		h["Vary"] = append(old, on)
		return
	}
	x.vary[0] = on // the first line; others are appended to a copy
	h["Vary"] = x.vary[:1:1]
}

// mayslide reports whether a token may be sent again, only to be kept for
// longer, in an answer with this header. It must not ride on one that a cache
// may keep: a static file, say (CVE-2023-30861).
func mayslide(h http.Header) bool { return !cacheable(h) }

// confine keeps an answer with a token out of shared caches, whatever the
// handler allowed them: they would hand the token to the next visitor
// (CVE-2023-30861). One that is private, or not stored at all, stays as it is.
func confine(h http.Header) {
	if !directive(h, "no-store") && !directive(h, "private") {
		h["Cache-Control"] = noStore()
	}
}

// cacheable reports whether any cache may keep the answer.
func cacheable(h http.Header) bool {
	if directive(h, "no-store") {
		return false
	}
	for _, name := range []string{"public", "s-maxage", "max-age", "immutable"} {
		if directive(h, name) {
			return true
		}
	}
	return h["Expires"] != nil
}

// directive reports whether Cache-Control has that directive (RFC 9111 §5.2).
// private="field", which confines no more than that field, is not private.
func directive(h http.Header, name string) bool {
	for _, line := range h["Cache-Control"] {
		for part := range strings.SplitSeq(line, ",") {
			got, _, argument := strings.Cut(strings.TrimSpace(part), "=")
			if strings.EqualFold(got, name) && !(argument && name == "private") {
				return true
			}
		}
	}
	return false
}

// resetHeader makes h what it was before the handler, for the error answer. Only
// other Set-Cookie lines stay, whoever set them: we cannot know whose they are.
func (x *exchange) resetHeader(h http.Header) {
	cookies := h["Set-Cookie"]
	clear(h)
	maps.Copy(h, x.before)
	if cookies != nil {
		h["Set-Cookie"] = cookies
	}
}

func noStore() []string { return []string{"no-store"} }

// varies reports whether the answer says already that it depends on that
// header.
func varies(h http.Header, on string) bool {
	for _, line := range h["Vary"] {
		for field := range strings.SplitSeq(line, ",") {
			field = strings.TrimSpace(field)
			if field == "*" || strings.EqualFold(field, on) {
				return true
			}
		}
	}
	return false
}

// setCookie adds the session's Set-Cookie line; those of others stay. Where the
// token travels in a header, it goes there.
func (x *exchange) setCookie(h http.Header) {
	if !x.transport.cookie() {
		x.setToken(h)
		return
	}
	line := x.cookieLine()
	if old := h["Set-Cookie"]; len(old) > 0 {
		h["Set-Cookie"] = append(old, line)
		return
	}
	x.cookie[0] = line
	h["Set-Cookie"] = x.cookie[:1:1]
}

// setToken puts the token that the client is to use from now on, or none, into
// the answer's header.
func (x *exchange) setToken(h http.Header) {
	s := x.session.Load()
	x.cookie[0] = ""
	if s.cookie != cookieRemove {
		x.cookie[0] = s.cred.token()
	}
	h[x.transport.answerHeader()] = x.cookie[:1:1]
}

func (x *exchange) cookieLine() string {
	s := x.session.Load()
	m := s.m
	if s.cookie == cookieRemove {
		return m.cookie.Remove()
	}
	s.warnPlainHTTP()
	return m.cookie.Set(s.cred.token(), s.maxAge())
}
