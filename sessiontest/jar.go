package sessiontest

import (
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
)

// NewJar returns an empty cookie jar for clients of an [net/http/httptest.Server]. It
// does as Chromium and Firefox do, and sends Secure cookies back to a loopback
// host over plain HTTP; [cookiejar.Jar] sends them over HTTPS only, so with it
// a login at http://127.0.0.1 does not stick.
func NewJar() http.CookieJar {
	inner, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it has no error to return without a public suffix list
	}
	return jar{inner}
}

type jar struct{ inner *cookiejar.Jar }

func (j jar) SetCookies(u *url.URL, cookies []*http.Cookie) { j.inner.SetCookies(trusted(u), cookies) }

func (j jar) Cookies(u *url.URL) []*http.Cookie { return j.inner.Cookies(trusted(u)) }

// trusted returns u with the scheme that its host is trusted like.
func trusted(u *url.URL) *url.URL {
	if u.Scheme != "http" || !loopback(u.Hostname()) {
		return u
	}
	https := *u
	https.Scheme = "https"
	return &https
}

func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
