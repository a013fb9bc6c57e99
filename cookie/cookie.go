// Package cookie is how a session's token travels: the cookie's name and
// attributes, reading it from a request, setting and removing it in a response.
//
// The rules are those of RFC 6265bis. What a browser would silently drop (a
// __Host- name with a Domain, SameSite=None without Secure, a name with a
// blank) is an error of [New] here.
package cookie

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// DefaultName is the name used when [Options] has none: the one of the
	// systems that people come from.
	DefaultName = "beegosessionID"

	// MaxAge is the longest time a browser keeps a cookie, 400 days (RFC
	// 6265bis §5.5); a longer one is sent as this.
	MaxAge = 400 * 24 * time.Hour
)

// Options are the cookie's name and attributes. The zero value is the safe
// one: HttpOnly, Secure, SameSite=Lax, Path=/, host-only, and gone when the
// browser is closed.
type Options struct {
	// Name is the cookie's name; default "beegosessionID". A name that
	// starts with "__Host-", "__Secure-", "__Http-" or "__Host-Http-" puts the
	// browser's own checks on (RFC 6265bis §4.1.3); their rules are then
	// checked here, too.
	Name string

	// Path is the path prefix that the cookie is sent to; default "/".
	Path string

	// Domain also sends the cookie to all sub-domains of this one. Default
	// empty: only the host that set it gets it back, which is safer.
	Domain string

	// SameSite is Lax by default. None needs Secure; so it cannot go with
	// Insecure.
	SameSite http.SameSite

	// Partitioned keys the cookie by the embedding site (CHIPS). It needs
	// Secure; so it cannot go with Insecure.
	Partitioned bool

	// Insecure leaves Secure out: the token then crosses the network in the
	// clear and anyone on the way can take the session. By default the cookie
	// is Secure (OWASP ASVS 5 V3.3.1), whatever the request looks like: neither
	// its Host nor its connection tells what the browser sees, behind a proxy.
	// Chromium and Firefox keep a Secure cookie of http://localhost and
	// http://127.0.0.1; Safari and net/http/cookiejar do not. So a program that
	// knows that it serves plain HTTP to nobody but this machine may set Insecure.
	Insecure bool

	// ScriptReadable leaves HttpOnly out: any script on the page, an
	// attacker's too, can then read the token.
	ScriptReadable bool

	// Persistent keeps the cookie when the browser is closed, for as long
	// as the session lives (or MaxAge, if that is set). It is sent again
	// when the session's expiry moves, with a response that no shared cache
	// may keep: not with one that is public, or fresh for a while to all.
	Persistent bool

	// MaxAge is the cookie's own lifetime, in whole seconds, at most 400
	// days. It makes the cookie Persistent. The session's lifetime is the
	// server's business and does not depend on it. It counts from the user's
	// last activity, on the early side by a twentieth of it, at most a minute:
	// if it is shorter than the idle timeout, activity is noted that often,
	// and where the session's expiry cannot move any more (its absolute timeout
	// is near), the cookie goes out with every response.
	MaxAge time.Duration
}

// A Cookie is a checked set of [Options], ready for use by any number of
// goroutines.
type Cookie struct {
	opts       Options
	nameEq     string // "name="
	attributes string // "; Path=/; Domain=…"
	flags      string // "; HttpOnly; Secure; …"
}

// New checks o and fills in the defaults. The error names the field, its
// value and the cure.
func New(o Options) (*Cookie, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Path == "" {
		o.Path = "/"
	}
	if o.SameSite == 0 || o.SameSite == http.SameSiteDefaultMode {
		o.SameSite = http.SameSiteLaxMode
	}
	if o.MaxAge > 0 {
		o.Persistent = true
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Cookie{opts: o, nameEq: o.Name + "=", flags: o.flags()}
	c.attributes = "; Path=" + o.Path
	if o.Domain != "" {
		c.attributes += "; Domain=" + strings.TrimPrefix(o.Domain, ".")
	}
	return c, nil
}

func (o Options) flags() string {
	var b strings.Builder
	if !o.ScriptReadable {
		b.WriteString("; HttpOnly")
	}
	if !o.Insecure {
		b.WriteString("; Secure")
	}
	switch o.SameSite {
	case http.SameSiteStrictMode:
		b.WriteString("; SameSite=Strict")
	case http.SameSiteNoneMode:
		b.WriteString("; SameSite=None")
	default:
		b.WriteString("; SameSite=Lax")
	}
	if o.Partitioned {
		b.WriteString("; Partitioned")
	}
	return b.String()
}

// Options returns the options with the defaults filled in.
func (c *Cookie) Options() Options { return c.opts }

// Name returns the cookie's name.
func (c *Cookie) Name() string { return c.opts.Name }

// Values calls yield with the value of every cookie of this name in the
// request's header, in the order of the header, until yield returns false.
// Names are compared byte by byte and values handed over as they are, but for
// blanks and tabs around a pair (RFC 6265bis §5.6): no unquoting, no
// percent-decoding, no Unicode trimming, no $Version (see "cookie chaos",
// CVE-2020-8184). The work is linear in the header's size and
// allocates nothing.
func (c *Cookie) Values(h http.Header, yield func(value string) bool) {
	for _, line := range h["Cookie"] {
		for line != "" {
			pair, rest, _ := strings.Cut(line, ";")
			line = rest
			for pair != "" && (pair[0] == ' ' || pair[0] == '\t') {
				pair = pair[1:]
			}
			value, ok := strings.CutPrefix(pair, c.nameEq)
			if ok && !yield(strings.TrimRight(value, " \t")) {
				return
			}
		}
	}
}

// Set returns the Set-Cookie line that hands value to the browser. maxAge is
// how long a persistent cookie is kept, rounded up to seconds and cut at
// [MaxAge]; 0 means until the browser is closed. A lifetime is sent both as
// Max-Age, which goes before and does not depend on the client's clock, and as
// Expires, for clients that know no Max-Age.
func (c *Cookie) Set(value string, maxAge time.Duration) string {
	if maxAge <= 0 {
		return c.nameEq + value + c.attributes + c.flags
	}
	maxAge = (min(maxAge, MaxAge) + time.Second - 1).Truncate(time.Second)
	expires := time.Now().Add(maxAge + time.Second - 1).UTC().Format(http.TimeFormat)
	return c.nameEq + value + c.attributes + "; Expires=" + expires + "; Max-Age=" + strconv.FormatInt(int64(maxAge/time.Second), 10) + c.flags
}

// Remove returns the Set-Cookie line that removes the cookie: the same name
// and attributes as those it was set with (RFC 6265bis §5.7), Max-Age=0, and
// an Expires in the past.
func (c *Cookie) Remove() string {
	return c.nameEq + c.attributes + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0" + c.flags
}

// Secure reports whether the cookie has the Secure attribute: it does unless
// Options.Insecure is set. Nothing in a request changes that.
func (c *Cookie) Secure() bool { return !c.opts.Insecure }
