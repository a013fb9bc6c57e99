package proxies

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// haproxySays are the headers that haproxy adds; Host is what the browser sent.
var haproxySays = []struct {
	name, config string
	silent       bool
}{
	{name: "nothing", silent: true},
	{name: "for", config: " option forwardfor", silent: true},
	{name: "proto", config: " http-request set-header X-Forwarded-Proto https if { ssl_fc }"},
	{name: "everything", config: ` option forwardfor
 http-request set-header X-Forwarded-Proto https if { ssl_fc }
 http-request set-header X-Forwarded-Host %[req.hdr(Host)]
 http-request set-header X-Forwarded-Port %[dst_port]`},
	{name: "forwarded", config: ` http-request set-header Forwarded "for=%[src];proto=\"https\""`},
	{name: "ssl", config: " http-request set-header X-Forwarded-Ssl on if { ssl_fc }"},
}

// TestHAProxy: a session behind haproxy, over HTTP/1.1 and cleartext HTTP/2.
func TestHAProxy(t *testing.T) {
	var places []*place
	var sites []testserver.ProxySite
	var backends strings.Builder
	for _, upstream := range []struct{ name, server, protocol string }{{"HTTP 1.1", "", "HTTP/1.1"}, {"h2c", "proto h2", "HTTP/2.0"}} {
		for _, says := range haproxySays {
			for _, alpn := range []string{"http/1.1", "h2"} {
				p := &place{name: upstream.name + ", " + alpn + ", " + says.name, protocol: upstream.protocol, silent: says.silent, app: newApp(t)}
				name := siteName(p.name)
				places = append(places, p)
				sites = append(sites, testserver.ProxySite{Name: name, Listen: "ssl crt " + certificate.Both + " alpn " + alpn, Config: says.config + "\n default_backend app-" + name})
				fmt.Fprintf(&backends, "backend app-%s\n server app %s %s\n", name, p.app.addr, upstream.server)
			}
		}
	}
	haproxy, err := testserver.StartHAProxy(sites, backends.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, haproxy) })
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			p.addr = haproxy.Addr(siteName(p.name))
			story(t, p)
		})
	}
}
