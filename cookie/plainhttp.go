package cookie

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// PlainHTTP reports whether the browser that sent r will drop a Secure cookie
// in its response, because it reached the site over plain HTTP. It is a guess,
// good for a warning and for nothing else: whoever sends the request can write
// these headers.
//
// The request came over HTTPS if it has TLS here, if a browser says so (it
// sends Sec-Fetch-Site to trustworthy URLs only), or if a proxy does, by
// Forwarded (RFC 7239), X-Forwarded-Proto or one of their older relatives. In
// a list of values the first counts, which is that of the proxy that is
// nearest to the browser. Otherwise it came over plain HTTP, which only a
// loopback host may do: Chromium and Firefox keep Secure cookies there.
func PlainHTTP(r *http.Request) bool {
	switch {
	case r.TLS != nil, r.Header["Sec-Fetch-Site"] != nil, saysHTTPS(r.Header):
		return false
	case loopback(r.Host):
		return proxied(r)
	}
	return true
}

// schemeHeaders name the scheme that the browser used. CloudFront, ingress-nginx
// and some frameworks have names of their own for it.
var schemeHeaders = []string{"X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Scheme", "X-Scheme", "X-Url-Scheme", "Cloudfront-Forwarded-Proto"}

// saysHTTPS reports whether a proxy says that the browser used HTTPS. One word
// of it is enough: a second proxy that does not know of the first writes
// X-Forwarded-Proto: http over it, and leaves the other headers as they are.
func saysHTTPS(h http.Header) bool {
	for _, name := range schemeHeaders {
		scheme, _, _ := strings.Cut(h.Get(name), ",")
		if secureScheme(scheme) {
			return true
		}
	}
	return strings.EqualFold(h.Get("X-Forwarded-Ssl"), "on") || strings.EqualFold(h.Get("Front-End-Https"), "on") ||
		secureScheme(forwardedProto(strings.Join(h["Forwarded"], ",")))
}

func secureScheme(s string) bool {
	s = strings.TrimSpace(s)
	return strings.EqualFold(s, "https") || strings.EqualFold(s, "wss")
}

// forwardedProto returns the first proto parameter of a Forwarded header (RFC
// 7239 §4), empty if there is none: a list of elements at commas, each a list
// of pairs at semicolons, whose values may be quoted, with either in them.
func forwardedProto(line string) string {
	for line != "" {
		name, rest, _ := strings.Cut(line, "=")
		name = strings.TrimSpace(name[strings.LastIndexAny(name, ",;")+1:])
		var value string
		value, line = forwardedValue(rest)
		if strings.EqualFold(name, "proto") {
			return value
		}
	}
	return ""
}

// forwardedValue reads a token or a quoted string (RFC 9110 §5.6.4) at the
// start of s, and returns what follows it.
func forwardedValue(s string) (value, rest string) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ",;")
		if end < 0 {
			end = len(s)
		}
		return strings.TrimSpace(s[:end]), s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "" // no end: not a quoted string
}

// proxyHeaders are what proxies add to a request.
var proxyHeaders = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip"}

// proxied reports whether the Host of r, a loopback one, is a proxy's name for
// us and not the browser's. A proxy says so by its headers, or by HTTP/1.0,
// which no browser speaks. One that says nothing still passes on what a browser
// sends, and on a loopback host that would include Sec-Fetch-Site.
func proxied(r *http.Request) bool {
	return r.ProtoMajor == 1 && r.ProtoMinor == 0 ||
		slices.ContainsFunc(proxyHeaders, func(name string) bool { return r.Header[name] != nil }) ||
		strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

// loopback reports whether host, as it stands in a request, with or without a
// port, is one where Chromium and Firefox keep a Secure cookie over plain HTTP:
// localhost and its sub-domains (RFC 6761 §6.3), 127.0.0.0/8 and [::1].
func loopback(host string) bool {
	if addr, err := netip.ParseAddrPort(host); err == nil {
		return addr.Addr().IsLoopback()
	}
	if name, _, ok := strings.Cut(host, ":"); ok && !strings.Contains(host, "[") && strings.Count(host, ":") == 1 {
		host = name
	}
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
