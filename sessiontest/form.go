package sessiontest

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

// Form returns a POST of a form over HTTPS, as a browser sends it: the fields
// in the body, and Sec-Fetch-Site as from a page of the same site, so that
// [net/http.CrossOriginProtection] lets it through. With one or more setups it
// comes with the cookie of a new session, as of Request.
func (c *Client) Form(target string, fields url.Values, with ...Setup) *http.Request {
	c.t.Helper()
	return c.Attach(form(target, fields), with...)
}

// NextForm returns the form that this browser sends after the response: as
// [Client.Form] makes it, with the cookies that the browser has now.
func (r *Response) NextForm(target string, fields url.Values) *http.Request {
	r.c.t.Helper()
	return r.with(form(target, fields))
}

func form(target string, fields url.Values) *http.Request {
	r := httptest.NewRequest("POST", target, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return overHTTPS(r)
}

// overHTTPS makes r one that came over TLS, so that nothing warns of cookies
// which a browser would drop.
func overHTTPS(r *http.Request) *http.Request {
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: r.Host}
	return r
}
