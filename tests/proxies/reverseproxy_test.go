package proxies

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// goProxies are the ways in which people set up httputil.ReverseProxy.
var goProxies = []struct {
	name   string
	silent bool
	proxy  func(to *url.URL) *httputil.ReverseProxy
}{
	{"SetURL", true, func(to *url.URL) *httputil.ReverseProxy {
		return &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(to) }}
	}},
	{"SetURL and SetXForwarded", false, func(to *url.URL) *httputil.ReverseProxy {
		return &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(to)
			pr.SetXForwarded()
		}}
	}},
	{"SetURL and SetXForwarded, with the host", false, func(to *url.URL) *httputil.ReverseProxy {
		return &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(to)
			pr.SetXForwarded()
			pr.Out.Host = pr.In.Host
		}}
	}},
	{"SetURL, with the host", true, func(to *url.URL) *httputil.ReverseProxy {
		return &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(to)
			pr.Out.Host = pr.In.Host
		}}
	}},
	{"NewSingleHostReverseProxy", true, httputil.NewSingleHostReverseProxy},
}

// TestReverseProxy: a session behind Go's own proxy, over HTTP/1.1 and
// cleartext HTTP/2.
func TestReverseProxy(t *testing.T) {
	for _, setup := range goProxies {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(setup.name+", "+siteName(protocol), func(t *testing.T) {
				p := &place{protocol: protocol, silent: setup.silent, app: newApp(t)}
				proxy := setup.proxy(&url.URL{Scheme: "http", Host: p.app.addr})
				proxy.Transport = transport(t, protocol)
				p.addr = serve(t, proxy, true)
				story(t, p)
			})
		}
	}
}

// TestReverseProxyTwoHops: the second hop, without TLS, says of itself that it
// was reached over http.
func TestReverseProxyTwoHops(t *testing.T) {
	for _, keepHost := range []bool{false, true} {
		name := map[bool]string{false: "the host of the application", true: "the host of the site"}[keepHost]
		t.Run(name, func(t *testing.T) {
			hop := func(to string) *httputil.ReverseProxy {
				return &httputil.ReverseProxy{Transport: transport(t, "HTTP/1.1"), Rewrite: func(pr *httputil.ProxyRequest) {
					pr.SetURL(&url.URL{Scheme: "http", Host: to})
					pr.SetXForwarded()
					if keepHost {
						pr.Out.Host = pr.In.Host
					}
				}}
			}
			p := &place{protocol: "HTTP/1.1", silent: true, app: newApp(t)}
			inner := serve(t, hop(p.app.addr), false)
			p.addr = serve(t, hop(inner), true)
			story(t, p)
		})
	}
}

// transport returns what a proxy speaks to the application.
func transport(t *testing.T, protocol string) *http.Transport {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(protocol == "HTTP/1.1")
	tr.Protocols.SetUnencryptedHTTP2(protocol == "HTTP/2.0")
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// serve runs a proxy of this process, and returns its address.
func serve(t *testing.T, proxy http.Handler, secure bool) string {
	t.Helper()
	server := httptest.NewUnstartedServer(proxy)
	if secure {
		pair, err := tls.LoadX509KeyPair(certificate.Cert, certificate.Key)
		if err != nil {
			t.Fatal(err)
		}
		server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
