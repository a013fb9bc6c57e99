package cookie_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session/cookie"
)

func newCookie(t *testing.T, o cookie.Options) *cookie.Cookie {
	t.Helper()
	c, err := cookie.New(o)
	if err != nil {
		t.Fatalf("New(%+v): %v", o, err)
	}
	return c
}

// TestLines: TO-6 of SECURITY-BAR.
func TestLines(t *testing.T) {
	https := httptest.NewRequest("GET", "https://example.com/", nil)
	for _, tc := range []struct {
		name        string
		opts        cookie.Options
		maxAge      time.Duration
		set, remove string
	}{
		{"default", cookie.Options{}, 0,
			"beegosessionID=v; Path=/; HttpOnly; Secure; SameSite=Lax", "beegosessionID=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"persistent", cookie.Options{Name: "a"}, 90*time.Second + 1,
			"a=v; Path=/; Max-Age=91; HttpOnly; Secure; SameSite=Lax", "a=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"cut at 400 days", cookie.Options{Name: "a"}, 500 * 24 * time.Hour,
			"a=v; Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax", "a=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{"everything", cookie.Options{Name: "__Secure-a", Path: "/x", Domain: ".example.com", SameSite: http.SameSiteNoneMode, Partitioned: true, ScriptReadable: true}, 0,
			"__Secure-a=v; Path=/x; Domain=example.com; Secure; SameSite=None; Partitioned", "__Secure-a=; Path=/x; Domain=example.com; Max-Age=0; Secure; SameSite=None; Partitioned"},
		{"insecure", cookie.Options{Insecure: true, SameSite: http.SameSiteStrictMode}, 0,
			"beegosessionID=v; Path=/; HttpOnly; SameSite=Strict", "beegosessionID=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"},
	} {
		c := newCookie(t, tc.opts)
		if got := c.Set(https, "v", tc.maxAge); got != tc.set {
			t.Errorf("%s: Set\n got %s\nwant %s", tc.name, got, tc.set)
		}
		if got := c.Remove(https); got != tc.remove {
			t.Errorf("%s: Remove\n got %s\nwant %s", tc.name, got, tc.remove)
		}
	}
}

// TestSecure: CK-2 of SECURITY-BAR.
func TestSecure(t *testing.T) {
	request := func(host string, headers ...string) *http.Request {
		r := httptest.NewRequest("GET", "http://example.com/", nil)
		r.Host = host
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r
	}
	oldHTTP := request("localhost:8080")
	oldHTTP.Proto, oldHTTP.ProtoMinor = "HTTP/1.0", 0
	withTLS := request("localhost")
	withTLS.TLS = &tls.ConnectionState{}
	for _, tc := range []struct {
		name string
		r    *http.Request
		opts cookie.Options
		want bool
	}{
		{"a host", request("example.com"), cookie.Options{}, true},
		{"a port", request("example.com:8080"), cookie.Options{}, true},
		{"no host", request(""), cookie.Options{}, true},
		{"localhost", request("localhost"), cookie.Options{}, false},
		{"localhost:8080", request("localhost:8080"), cookie.Options{}, false},
		{"LOCALHOST", request("LOCALHOST:1"), cookie.Options{}, false},
		{"app.localhost", request("app.localhost:1"), cookie.Options{}, false},
		{"127.0.0.1", request("127.0.0.1"), cookie.Options{}, false},
		{"127.8.9.10:1", request("127.8.9.10:1"), cookie.Options{}, false},
		{"[::1]", request("[::1]"), cookie.Options{}, false},
		{"[::1]:1", request("[::1]:1"), cookie.Options{}, false},
		{"128.0.0.1", request("128.0.0.1"), cookie.Options{}, true},
		{"10.0.0.1", request("10.0.0.1"), cookie.Options{}, true},
		{"localhost.example.com", request("localhost.example.com"), cookie.Options{}, true},
		{"127.0.0.1.example.com", request("127.0.0.1.example.com"), cookie.Options{}, true},
		{"notlocalhost", request("notlocalhost"), cookie.Options{}, true},
		{"localhost over TLS", withTLS, cookie.Options{}, true},
		{"localhost behind a TLS proxy", request("localhost", "X-Forwarded-Proto", "https"), cookie.Options{}, true},
		{"localhost behind a plain proxy", request("localhost", "X-Forwarded-Proto", "http"), cookie.Options{}, false},
		{"localhost behind a silent proxy", request("localhost", "X-Forwarded-For", "203.0.113.9"), cookie.Options{}, true},
		{"localhost behind nginx", request("localhost", "X-Real-IP", "203.0.113.9"), cookie.Options{}, true},
		{"localhost behind a host", request("localhost", "X-Forwarded-Host", "example.com"), cookie.Options{}, true},
		{"localhost over HTTP/1.0", oldHTTP, cookie.Options{}, true},
		{"a __Host- name on localhost", request("localhost"), cookie.Options{Name: "__Host-s"}, true},
		{"SameSite=None on localhost", request("localhost"), cookie.Options{SameSite: http.SameSiteNoneMode}, true},
		{"insecure", request("example.com"), cookie.Options{Insecure: true}, false},
	} {
		if got := newCookie(t, tc.opts).Secure(tc.r); got != tc.want {
			t.Errorf("%s: Secure = %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestNewRefuses: CK-4, CK-6, CK-12 of SECURITY-BAR.
func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		field string
		opts  cookie.Options
	}{
		{"Name", cookie.Options{Name: "a b"}}, {"Name", cookie.Options{Name: "a;b"}}, {"Name", cookie.Options{Name: "a\r\nb"}},
		{"Name", cookie.Options{Name: "ä"}}, {"Name", cookie.Options{Name: "a=b"}}, {"Name", cookie.Options{Name: "a\x00"}},
		{"Name", cookie.Options{Name: strings.Repeat("a", 4097)}},
		{"Path", cookie.Options{Path: "x"}}, {"Path", cookie.Options{Path: "/;x"}}, {"Path", cookie.Options{Path: "/\n"}},
		{"Path", cookie.Options{Path: "/" + strings.Repeat("a", 1024)}}, {"Path", cookie.Options{Path: "/ä"}},
		{"Domain", cookie.Options{Domain: "a b"}}, {"Domain", cookie.Options{Domain: "https://example.com"}}, {"Domain", cookie.Options{Domain: "example.com:80"}},
		{"Domain", cookie.Options{Domain: "example.com; Secure"}}, {"Domain", cookie.Options{Domain: ".."}}, {"Domain", cookie.Options{Domain: "127.0.0.1"}}, {"Domain", cookie.Options{Domain: "com"}}, {"Domain", cookie.Options{Domain: "-a.com"}},
		{"SameSite", cookie.Options{SameSite: 9}}, {"SameSite", cookie.Options{SameSite: -1}},
		{"MaxAge", cookie.Options{MaxAge: -1}}, {"MaxAge", cookie.Options{MaxAge: time.Millisecond}}, {"MaxAge", cookie.Options{MaxAge: 401 * 24 * time.Hour}},
		{"Insecure", cookie.Options{Insecure: true, SameSite: http.SameSiteNoneMode}}, {"Insecure", cookie.Options{Insecure: true, Partitioned: true}},
		{"Insecure", cookie.Options{Insecure: true, Name: "__host-a"}}, {"Insecure", cookie.Options{Insecure: true, Name: "__Secure-a"}},
		{"Domain", cookie.Options{Name: "__Host-a", Domain: "example.com"}}, {"Path", cookie.Options{Name: "__HOST-a", Path: "/x"}},
	} {
		if _, err := cookie.New(tc.opts); err == nil || !strings.Contains(err.Error(), "cookie.Options."+tc.field) {
			t.Errorf("New(%+v): %v, want an error that names %s", tc.opts, err, tc.field)
		}
	}
}

func values(c *cookie.Cookie, lines ...string) (got []string) {
	c.Values(http.Header{"Cookie": lines}, func(v string) bool {
		got = append(got, v)
		return true
	})
	return got
}

// TestValues: CK-15 of SECURITY-BAR.
func TestValues(t *testing.T) {
	c := newCookie(t, cookie.Options{Name: "s"})
	for _, tc := range []struct {
		lines []string
		want  []string
	}{
		{nil, nil},
		{[]string{"s=1"}, []string{"1"}},
		{[]string{"a=0; s=1; b=2; s=3"}, []string{"1", "3"}},
		{[]string{"s=1", "s=2"}, []string{"1", "2"}},
		{[]string{"S=1; ss=2; s =3; \u2000s=4; %73=5; $Version=1,s=6; x-s=7"}, nil},
		{[]string{`s="1"; s=1 ; s=%31; s=`}, []string{`"1"`, "1 ", "%31", ""}},
		{[]string{";;; s=1;;\ts=2"}, []string{"1", "2"}},
		{[]string{"s; =s; s"}, nil},
	} {
		if got := values(c, tc.lines...); !slices.Equal(got, tc.want) {
			t.Errorf("Values(%q) = %q, want %q", tc.lines, got, tc.want)
		}
	}
}

func TestValuesStopsAndAllocatesNothing(t *testing.T) {
	c := newCookie(t, cookie.Options{Name: "s"})
	h := http.Header{"Cookie": {strings.Repeat("s=1; ", 1000)}}
	n := 0
	allocs := testing.AllocsPerRun(10, func() {
		n = 0
		c.Values(h, func(string) bool { n++; return n < 3 })
	})
	if n != 3 || allocs != 0 {
		t.Errorf("Values yielded %d values with %v allocations, want 3 with none", n, allocs)
	}
}

// FuzzValues compares with net/http on what net/http accepts, and looks for
// panics on the rest.
func FuzzValues(f *testing.F) {
	f.Add("s=1; t=2; s=3")
	f.Add(`s="quoted"; s=a b`)
	f.Add(";;=;s=;s==")
	c, err := cookie.New(cookie.Options{Name: "s"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := values(c, line)
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		for _, theirs := range r.CookiesNamed("s") {
			if theirs.Quoted || strings.ContainsAny(line, " \t\r\n") {
				continue // net/http trims and unquotes, which would give one token several spellings
			}
			if theirs.Value == "" {
				continue // net/http takes a name without "=" for an empty value, which is no token either way
			}
			if !slices.Contains(got, theirs.Value) {
				t.Errorf("Values(%q) = %q, net/http sees %q", line, got, theirs.Value)
			}
		}
	})
}
