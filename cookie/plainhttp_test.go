package cookie_test

import (
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chisession/session/cookie"
)

// A browser drops a Secure cookie in the response to these, or keeps it.
func TestPlainHTTP(t *testing.T) {
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	for _, tc := range []struct {
		host    string
		headers []string // name, value, …
		plain   bool
	}{
		{"shop.example", nil, true},
		{"shop.example:8080", nil, true},
		{"", nil, true},
		{"192.168.1.10:8080", nil, true},
		{"0.0.0.0:8080", nil, true},
		{"[::]:8080", nil, true},

		// Chromium and Firefox keep the cookies of loopback hosts.
		{"localhost", nil, false},
		{"LOCALHOST:8080", nil, false},
		{"app.localhost:3000", nil, false},
		{"127.0.0.1", nil, false},
		{"127.8.9.10:1", nil, false},
		{"[::1]", nil, false},
		{"[::1]:1", nil, false},
		{"128.0.0.1", nil, true},
		{"localhost.example.com", nil, true},
		{"127.0.0.1.example.com", nil, true},
		{"notlocalhost", nil, true},
		{"localhost:80:80", nil, true},

		// Unless the host is a proxy's name for us.
		{"127.0.0.1:8080", []string{"X-Forwarded-Proto", "http"}, true},
		{"127.0.0.1:8080", []string{"X-Forwarded-Proto", "http", "X-Forwarded-Host", "shop.example"}, true},
		{"127.0.0.1:8080", []string{"X-Forwarded-For", "203.0.113.9"}, true},
		{"127.0.0.1:8080", []string{"X-Real-IP", "203.0.113.9"}, true},
		{"127.0.0.1:8080", []string{"Via", "1.1 proxy"}, true},
		{"127.0.0.1:8080", []string{"Forwarded", "for=203.0.113.9"}, true},
		{"127.0.0.1:8080", []string{"User-Agent", firefox}, true}, // a silent proxy, as nginx is by default
		{"127.0.0.1:8080", []string{"User-Agent", firefox, "Sec-Fetch-Site", "none"}, false},
		{"127.0.0.1:8080", []string{"X-Forwarded-Proto", "https"}, false},

		// What proxies say.
		{"shop.example", []string{"X-Forwarded-Proto", "https"}, false},
		{"shop.example", []string{"X-Forwarded-Proto", "HTTPS"}, false},
		{"shop.example", []string{"X-Forwarded-Proto", "https, http"}, false},
		{"shop.example", []string{"X-Forwarded-Proto", "https,http,http"}, false},
		{"shop.example", []string{"X-Forwarded-Proto", " https , http"}, false},
		{"shop.example", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Proto", "http"}, false},
		{"shop.example", []string{"X-Forwarded-Proto", "wss"}, false},
		{"shop.example", []string{"X-Forwarded-Proto", "http, https"}, true},
		{"shop.example", []string{"X-Forwarded-Proto", "http"}, true},
		{"shop.example", []string{"X-Forwarded-Proto", "httpsx"}, true},
		{"shop.example", []string{"X-Forwarded-Proto", ""}, true},
		{"shop.example", []string{"X-Forwarded-Protocol", "https"}, false},
		{"shop.example", []string{"X-Forwarded-Scheme", "https"}, false},
		{"shop.example", []string{"X-Forwarded-Scheme", "http"}, true},
		{"shop.example", []string{"X-Scheme", "https"}, false},
		{"shop.example", []string{"X-Url-Scheme", "https"}, false},
		{"shop.example", []string{"CloudFront-Forwarded-Proto", "https"}, false},
		{"shop.example", []string{"X-Forwarded-Ssl", "on"}, false},
		{"shop.example", []string{"X-Forwarded-SSL", "On"}, false},
		{"shop.example", []string{"X-Forwarded-Ssl", "off"}, true},
		{"shop.example", []string{"Front-End-Https", "on"}, false},
		{"shop.example", []string{"Front-End-Https", "off"}, true},
		{"shop.example", []string{"X-Forwarded-Proto", "http", "X-Forwarded-Ssl", "on"}, false}, // a second proxy overwrote one of two

		// Forwarded (RFC 7239 §4).
		{"shop.example", []string{"Forwarded", `proto=https`}, false},
		{"shop.example", []string{"Forwarded", `proto="https"`}, false},
		{"shop.example", []string{"Forwarded", `Proto="HTTPS"`}, false},
		{"shop.example", []string{"Forwarded", `proto="ht\tps"`}, false}, // a quoted pair
		{"shop.example", []string{"Forwarded", `for=192.0.2.60;proto=https;by=203.0.113.43`}, false},
		{"shop.example", []string{"Forwarded", `for="[2001:db8:cafe::17]:4711";proto=https`}, false},
		{"shop.example", []string{"Forwarded", `for="a,b;proto=http";proto=https`}, false},
		{"shop.example", []string{"Forwarded", `for="a\";proto=http";proto=https`}, false},
		{"shop.example", []string{"Forwarded", `for=192.0.2.43, for=198.51.100.17;proto=https`}, false},
		{"shop.example", []string{"Forwarded", `proto=https, proto=http`}, false},
		{"shop.example", []string{"Forwarded", `for=192.0.2.43`, "Forwarded", `proto=https`}, false},
		{"shop.example", []string{"Forwarded", `for=x; proto=https ;by=y`}, false},
		{"shop.example", []string{"Forwarded", `;;proto=https`}, false},
		{"shop.example", []string{"Forwarded", `proto=http, proto=https`}, true},
		{"shop.example", []string{"Forwarded", `for=192.0.2.60;proto=http`}, true},
		{"shop.example", []string{"Forwarded", `host="proto=https"`}, true},
		{"shop.example", []string{"Forwarded", `xproto=https`}, true},
		{"shop.example", []string{"Forwarded", `proto="https`}, true},
		{"shop.example", []string{"Forwarded", `proto`}, true},
		{"shop.example", []string{"Forwarded", `proto=`}, true},

		// What the browser says: it sends this to trustworthy URLs only.
		{"shop.example", []string{"User-Agent", firefox, "Sec-Fetch-Site", "same-origin"}, false},
		{"shop.example", []string{"X-Forwarded-Proto", "http", "Sec-Fetch-Site", "none"}, false},
		{"shop.example", []string{"User-Agent", firefox}, true},
	} {
		r := httptest.NewRequest("GET", "http://x/", nil)
		r.Host = tc.host
		for i := 0; i < len(tc.headers); i += 2 {
			r.Header.Add(tc.headers[i], tc.headers[i+1])
		}
		if got := cookie.PlainHTTP(r); got != tc.plain {
			t.Errorf("Host %q with %q: PlainHTTP = %v, want %v", tc.host, tc.headers, got, tc.plain)
		}
		r.TLS = &tls.ConnectionState{}
		if cookie.PlainHTTP(r) {
			t.Errorf("Host %q with %q and TLS: PlainHTTP = true", tc.host, tc.headers)
		}
	}
	old := httptest.NewRequest("GET", "http://localhost/", nil)
	if old.Proto, old.ProtoMinor = "HTTP/1.0", 0; !cookie.PlainHTTP(old) {
		t.Error("HTTP/1.0 to localhost: PlainHTTP = false; no browser speaks that")
	}
}

// FuzzPlainHTTP looks for panics and endless loops in what a client sends.
func FuzzPlainHTTP(f *testing.F) {
	f.Add("localhost", `for="[::1]";proto="https", proto=http`, "https, http")
	f.Add("[::1", `a="\`, ",")
	f.Fuzz(func(t *testing.T, host, forwarded, proto string) {
		r := httptest.NewRequest("GET", "http://x/", nil)
		r.Host = host
		r.Header.Set("X-Forwarded-Proto", proto)
		r.Header.Set("Forwarded", forwarded)
		plain := cookie.PlainHTTP(r)
		if !plain && !strings.Contains(strings.ToLower(proto), "s") && !strings.Contains(strings.ToLower(forwarded), "s") {
			t.Errorf("Forwarded %q, X-Forwarded-Proto %q: neither says https", forwarded, proto)
		}
	})
}
