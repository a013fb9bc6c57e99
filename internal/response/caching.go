package response

import (
	"iter"
	"net/http"
	"strings"
	"time"
)

// Silent reports whether a response says nothing of caching, as one of a file
// does at least by the time of its last change. While its handler runs, it may
// become anything: a page of the session that the handler asks for next.
func Silent(h http.Header) bool {
	return h["Cache-Control"] == nil && h["Expires"] == nil && h["Etag"] == nil && h["Last-Modified"] == nil
}

// Confine keeps a response with a token out of shared caches, whatever the
// handler allowed them: they would hand the token to the next visitor
// (CVE-2023-30861). One that is private, or not stored at all, stays as it is.
// Headers that overrule Cache-Control in a CDN or proxy go. line is memory for
// Cache-Control.
func Confine(h http.Header, line *[1]string) {
	if h["Cache-Control"] == nil || !directive(h, "no-store") && !directive(h, "private") {
		line[0] = "no-store"
		h["Cache-Control"] = line[:1:1]
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

// Shareable reports whether a shared cache may hand the response to others
// without asking: a static file, say. A token is not sent again with it, only
// to be kept for longer (CVE-2023-30861).
func Shareable(h http.Header) bool {
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

// Varies reports whether these lines of Vary say already that the response
// depends on that header.
func Varies(lines []string, on string) bool {
	for _, line := range lines {
		for field := range strings.SplitSeq(line, ",") {
			field = strings.TrimSpace(field)
			if field == "*" || strings.EqualFold(field, on) {
				return true
			}
		}
	}
	return false
}
