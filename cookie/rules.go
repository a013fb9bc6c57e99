package cookie

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	hostPrefix   = "__host-"
	securePrefix = "__secure-"

	// Not for cookies that a script has set (RFC 6265bis, draft 20 and later).
	httpPrefix     = "__http-"
	hostHTTPPrefix = "__host-http-"

	// Browsers drop a cookie whose name and value together are longer than
	// 4096 bytes, and ignore an attribute longer than 1024 (RFC 6265bis
	// §5.6). The value is a token of 64.
	maxName      = 4096 - 64
	maxAttribute = 1024
)

func (o Options) validate() error {
	switch {
	case len(o.Name) > maxName:
		return fmt.Errorf("cookie.Options.Name is %d bytes long, browsers take at most %d", len(o.Name), maxName)
	case strings.IndexFunc(o.Name, notToken) >= 0:
		return fmt.Errorf("cookie.Options.Name %q: use letters, digits and !#$%%&'*+-.^_`|~ (RFC 6265 §4.1.1)", o.Name)
	case o.Path[0] != '/':
		return fmt.Errorf("cookie.Options.Path %q: must begin with a slash", o.Path)
	case len(o.Path) > maxAttribute:
		return fmt.Errorf("cookie.Options.Path is %d bytes long, browsers take at most %d", len(o.Path), maxAttribute)
	case strings.IndexFunc(o.Path, notPath) >= 0:
		return fmt.Errorf("cookie.Options.Path %q: no semicolon, blank, control or non-ASCII character may be in it", o.Path)
	case o.Domain != "" && !validDomain(o.Domain):
		return fmt.Errorf("cookie.Options.Domain %q: must be a host name with a dot in it, no address, without scheme, port or blanks, such as example.com", o.Domain)
	case o.SameSite < http.SameSiteDefaultMode || o.SameSite > http.SameSiteNoneMode:
		return fmt.Errorf("cookie.Options.SameSite %d: use http.SameSiteLaxMode, SameSiteStrictMode or SameSiteNoneMode", o.SameSite)
	case o.MaxAge < 0:
		return fmt.Errorf("cookie.Options.MaxAge %v: must not be negative; 0 is a cookie that goes with the browser", o.MaxAge)
	case o.MaxAge > 0 && o.MaxAge < time.Second:
		return fmt.Errorf("cookie.Options.MaxAge %v: less than a second cannot be said in a cookie", o.MaxAge)
	case o.MaxAge > MaxAge:
		return fmt.Errorf("cookie.Options.MaxAge %v: browsers keep a cookie for at most 400 days (%v)", o.MaxAge, MaxAge)
	}
	return o.contradiction()
}

// contradiction finds the combinations that a browser answers by dropping the
// cookie.
func (o Options) contradiction() error {
	lower := strings.ToLower(o.Name) // prefixes are matched without case (RFC 6265bis §5.7)
	switch {
	case o.Insecure && o.SameSite == http.SameSiteNoneMode:
		return fmt.Errorf("cookie.Options.SameSite None needs Secure: unset cookie.Options.Insecure, or use Lax")
	case o.Insecure && o.Partitioned:
		return fmt.Errorf("cookie.Options.Partitioned needs Secure: unset cookie.Options.Insecure")
	case o.Insecure && prefixed(o.Name):
		return fmt.Errorf("cookie.Options.Name %q needs Secure: unset cookie.Options.Insecure, or use a name without the prefix", o.Name)
	case o.ScriptReadable && (strings.HasPrefix(lower, httpPrefix) || strings.HasPrefix(lower, hostHTTPPrefix)):
		return fmt.Errorf("cookie.Options.Name %q needs HttpOnly: unset cookie.Options.ScriptReadable, or use a name without Http-", o.Name)
	case strings.HasPrefix(lower, hostPrefix) && o.Domain != "":
		return fmt.Errorf("cookie.Options.Name %q forbids a Domain: unset cookie.Options.Domain, or use a __Secure- name", o.Name)
	case strings.HasPrefix(lower, hostPrefix) && o.Path != "/":
		return fmt.Errorf("cookie.Options.Name %q needs Path \"/\": unset cookie.Options.Path (%q), or use a __Secure- name", o.Name, o.Path)
	}
	return nil
}

func prefixed(name string) bool {
	lower := strings.ToLower(name)
	for _, prefix := range []string{hostPrefix, securePrefix, httpPrefix} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}

// notToken tells the characters that RFC 9110 §5.6.2 keeps out of a token.
func notToken(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func notPath(r rune) bool { return r <= ' ' || r >= 0x7f || r == ';' || r == ',' }

// validDomain accepts host names in ASCII (RFC 1034 §3.5, with the leading
// digit of RFC 1123 and the leading dot of old cookies).
func validDomain(domain string) bool {
	domain = strings.TrimPrefix(domain, ".")
	if domain == "" || len(domain) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(domain); err == nil || !strings.Contains(domain, ".") && domain != "localhost" {
		return false // browsers drop a cookie for an address or a whole top-level domain
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && (r >= 0x80 || notToken(r) || strings.ContainsRune("!#$%&'*+.^_`|~", r)) {
				return false
			}
		}
	}
	return true
}
