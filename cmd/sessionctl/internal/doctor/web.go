package doctor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

const webTimeout = 15 * time.Second

// A Site is an address of the application.
type Site struct {
	URL string

	// Cookie is the session cookie's name.
	Cookie string

	// ForwardedProto, if set, is sent as X-Forwarded-Proto: the request then
	// stands for one that a proxy passed on.
	ForwardedProto string

	// Transport makes the request; nil is the default one.
	Transport http.RoundTripper
}

// Web makes one request to the site, as a browser does that comes for the
// first time, and returns the checks of the response.
func Web(ctx context.Context, s Site) []Check {
	resp, err := s.get(ctx)
	if err != nil {
		return []Check{known("web", fail("start the application; correct its address or its certificate", "%v", err))}
	}
	a := answer{site: s, resp: resp, https: resp.Request.URL.Scheme == "https", cookies: sessionCookies(resp, s.Cookie)}
	checks := []Check{known("transport", a.transport())}
	if len(a.cookies) == 0 {
		return append(checks, known("session cookie", a.absent()))
	}
	return append(checks,
		known("session cookie", a.one()),
		known("Secure", a.secure()),
		known("HttpOnly", a.httpOnly()),
		known("SameSite", a.sameSite()),
		known("Vary", a.vary()),
		known("Cache-Control", a.cacheControl()),
	)
}

// get makes the request. Its error repeats neither a password nor a query.
func (s Site) get(ctx context.Context) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, webTimeout)
	defer cancel()
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("--url takes an address such as https://shop.example/login")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("--url takes an address such as https://shop.example/login")
	}
	req.Header.Set("User-Agent", "sessionctl doctor")
	if s.ForwardedProto != "" {
		req.Header.Set("X-Forwarded-Proto", s.ForwardedProto)
	}
	client := http.Client{
		Transport:     s.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the rest is the URL
		}
		return nil, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // only the header matters
	return resp, resp.Body.Close()
}

// sessionCookies returns the Set-Cookie lines of the session.
func sessionCookies(resp *http.Response, name string) []*http.Cookie {
	return slices.DeleteFunc(resp.Cookies(), func(c *http.Cookie) bool { return c.Name != name })
}

// An answer is what the site said.
type answer struct {
	site    Site
	resp    *http.Response
	https   bool
	cookies []*http.Cookie // of the session
}

// private reports whether the browser, or the proxy that this request stands
// for, had it over TLS.
func (a answer) private() bool { return a.https || strings.EqualFold(a.site.ForwardedProto, "https") }

const plainCure = "serve HTTPS: a proxy with TLS in front that sends X-Forwarded-Proto: https; then ask its https:// address " +
	"(or, to ask this one as the proxy does, add --forwarded-proto https)"

func (a answer) transport() Result {
	location, err := a.resp.Location()
	switch {
	case a.https && a.resp.Header.Get("Strict-Transport-Security") == "":
		return warn("Strict-Transport-Security: max-age=31536000", "HTTPS, but nothing keeps a browser from coming over plain HTTP next time (no Strict-Transport-Security)")
	case a.https:
		return ok("HTTPS, and browsers come back over nothing else")
	case a.private():
		return ok("plain HTTP, as behind a proxy that says X-Forwarded-Proto: %s", a.site.ForwardedProto)
	case err == nil && location.Scheme == "https" && len(a.cookies) == 0:
		return ok("plain HTTP, which leads on to HTTPS: ask that address, too")
	case place.Loopback(a.resp.Request.URL.Host):
		return fail(plainCure, "plain HTTP and no proxy header: fine while you develop on this machine; from anywhere else, logins could be read on the way")
	}
	return fail(plainCure, "plain HTTP and no proxy header: passwords and sessions can be read on the way")
}

func (a answer) absent() Result {
	return warn("ask for a page that stores something in a session without a login (a first item in a cart, a message)",
		"the response (%s) sets no cookie %s, so there is nothing to look at: a response that stores nothing has none, and is right", a.resp.Status, a.site.Cookie)
}

func (a answer) one() Result {
	c := a.cookies[0]
	switch {
	case len(a.cookies) > 1:
		return fail("mount one middleware for this path, or give each a cookie name of its own", "the response sets %s %d times", c.Name, len(a.cookies))
	case strings.HasPrefix(c.Name, "__Host-") && (!c.Secure || c.Path != "/" || c.Domain != ""):
		return fail("Secure, Path=/ and no Domain", "browsers drop a %s cookie with these attributes", c.Name)
	case strings.HasPrefix(c.Name, "__Secure-") && !c.Secure:
		return fail("Secure", "browsers drop a %s cookie without Secure", c.Name)
	}
	return ok("%s is set", c.Name)
}

func (a answer) secure() Result {
	c := a.cookies[0]
	switch {
	case c.Secure && !a.private():
		return fail(plainCure, "%s is Secure and came over plain HTTP: browsers drop it, so logins do not stick", c.Name)
	case c.Secure:
		return ok("the cookie goes over HTTPS alone")
	case !a.private() && place.Loopback(a.resp.Request.URL.Host):
		return ok("left out, as this is plain HTTP on this machine")
	}
	return fail("remove Cookie.Insecure (sessioncookieinsecure)", "%s lacks Secure: one request over plain HTTP gives the session away", c.Name)
}

func (a answer) httpOnly() Result {
	if !a.cookies[0].HttpOnly {
		return fail("remove Cookie.ScriptReadable (sessiondisablehttponly)", "the cookie lacks HttpOnly: one injected script takes every session")
	}
	return ok("scripts cannot read the cookie")
}

func (a answer) sameSite() Result {
	switch a.cookies[0].SameSite {
	case http.SameSiteLaxMode:
		return ok("Lax")
	case http.SameSiteStrictMode:
		return ok("Strict")
	case http.SameSiteNoneMode:
		return warn("SameSite=Lax, unless other sites must embed this one", "SameSite=None: the cookie comes with requests from every other site")
	}
	return fail("SameSite=Lax", "the cookie has no SameSite: browsers do not agree what that means")
}

// list returns the parts of a header, in lower case.
func (a answer) list(name string) (parts []string) {
	for _, line := range a.resp.Header.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			parts = append(parts, strings.ToLower(strings.TrimSpace(part)))
		}
	}
	return parts
}

func (a answer) vary() Result {
	if parts := a.list("Vary"); !slices.Contains(parts, "cookie") && !slices.Contains(parts, "*") {
		return fail("let proxy and handler leave Vary alone: the middleware adds Cookie", "Vary lacks Cookie: a cache may show one user's page to another")
	}
	return ok("caches know that the response depends on the cookie")
}

func (a answer) cacheControl() Result {
	parts := a.list("Cache-Control")
	private := slices.ContainsFunc(parts, func(p string) bool {
		return p == "no-store" || p == "private" || p == "no-cache" // RFC 9111: a shared cache asks first
	})
	if !private {
		return fail("Cache-Control: no-store on answers that set the cookie (the middleware adds it where the handler says nothing)",
			"an answer that sets the cookie may be cached: a shared cache would hand one user's session to another")
	}
	return ok("%s", strings.Join(parts, ", "))
}
