package session

import (
	"iter"
	"maps"
	"net/http"
	"strings"
	"time"
)

// header puts the session's lines into the response's header h, mu held. after
// says that the handler has not returned, and can use the session after it.
func (x *exchange) header(h http.Header, failed error, after bool) {
	s := x.session.Load()
	if failed != nil && s.cookie == cookieSet && !s.exists {
		s.cookie = cookieAlone
	}
	if s.cookie == cookieSlide && (shareable(h) || !s.exists) {
		s.cookie = cookieAlone
	}
	depends := s.used || after && (x.handed.Load() || s.live && silent(h))
	if s.cookie != cookieAlone {
		x.setCookie(h)
		confine(h)
	} else if failed == nil {
		s.limit(h, depends)
	}
	if depends || s.cookie != cookieAlone {
		x.setVary(h)
	}
}

// silent reports whether a response says nothing of caching, as one of a file
// does at least by the time of its last change. While its handler runs, it may
// become anything: a page of the session that the handler asks for next.
func silent(h http.Header) bool {
	return h["Cache-Control"] == nil && h["Expires"] == nil && h["Etag"] == nil && h["Last-Modified"] == nil
}

// limit keeps a response that is somebody's own out of caches, unless the
// handler has said itself what they may do. What a request changed or took (a
// flash message) must not be shown again by a cache, and what came out of a
// live session, on which the response depends, must not be there for the old
// token after a logout.
func (s *Session) limit(h http.Header, depends bool) {
	caching := &s.x.caching
	said := h["Cache-Control"]
	switch {
	case said != nil && (len(said) != 1 || &said[0] != &caching[0]): // by the handler, and not by this
		return
	case s.altered:
		caching[0] = "no-store"
	case s.live && depends:
		caching[0] = "private"
	default:
		return
	}
	h["Cache-Control"] = caching[:1:1]
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

// confine keeps a response with a token out of shared caches, whatever the
// handler allowed them: they would hand the token to the next visitor
// (CVE-2023-30861). One that is private, or not stored at all, stays as it is.
// Headers that overrule Cache-Control in a CDN or proxy go.
func confine(h http.Header) {
	if !directive(h, "no-store") && !directive(h, "private") {
		h["Cache-Control"] = noStore()
	}
	for name := range h {
		if overrules(name) {
			delete(h, name)
		}
	}
}

// overrules reports whether some shared caches look at the header of that name
// before Cache-Control: the targeted ones of RFC 9213, the older one of CDNs,
// and that of nginx.
func overrules(name string) bool {
	return name == "Surrogate-Control" || name == "X-Accel-Expires" || strings.HasSuffix(name, "-Cache-Control")
}

// shareable reports whether a shared cache may hand the response to others
// without asking: a static file, say. A token is not sent again with it, only
// to be kept for longer (CVE-2023-30861).
func shareable(h http.Header) bool {
	for name := range h {
		if overrules(name) {
			return true
		}
	}
	switch {
	case directive(h, "no-store"), directive(h, "private"):
		return false
	case directive(h, "public"), directive(h, "immutable"):
		return true
	case directive(h, "no-cache"):
		return false
	}
	for _, name := range []string{"s-maxage", "max-age"} { // RFC 9111 §4.2.1: the first that is there
		if directive(h, name) {
			return lasts(h, name)
		}
	}
	if h["Expires"] == nil {
		return false
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	return err == nil && expires.After(time.Now()) // 0 and -1 are in the past (RFC 9111 §5.3)
}

// lasts reports whether a lifetime in Cache-Control is not 0 everywhere. What
// is no number is taken for one: somebody might.
func lasts(h http.Header, name string) bool {
	for argument := range directives(h, name) {
		argument = strings.Trim(argument, `" 	`)
		if strings.Trim(argument, "0") != "" && !strings.HasPrefix(argument, "-") || argument == "" {
			return true
		}
	}
	return false
}

// directive reports whether Cache-Control has that directive (RFC 9111 §5.2).
// private="field" and no-cache="field", which hold for no more than that field,
// are not private and no-cache.
func directive(h http.Header, name string) bool {
	for argument := range directives(h, name) {
		if argument == "" || name != "private" && name != "no-cache" {
			return true
		}
	}
	return false
}

// directives yields the arguments of that directive, empty where it has none.
func directives(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h["Cache-Control"] {
			for part := range strings.SplitSeq(line, ",") {
				got, argument, _ := strings.Cut(strings.TrimSpace(part), "=")
				if strings.EqualFold(strings.TrimRight(got, " \t"), name) && !yield(argument) {
					return
				}
			}
		}
	}
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
		x.cookie[0] = s.cred.Token()
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
	return m.cookie.Set(s.cred.Token(), s.maxAge())
}
