package proxies

import (
	"strings"
	"testing"

	"github.com/chisession/session/internal/testserver"
)

// nginxSays are the headers that nginx sends to the application: in many setups
// none of its own, and Host is the address of the application.
var nginxSays = []struct {
	name, config string
	silent       bool
}{
	{name: "nothing", silent: true},
	{name: "host", config: `proxy_set_header Host $host;`, silent: true},
	{name: "proto", config: `proxy_set_header X-Forwarded-Proto $scheme;`},
	{name: "everything", config: `
		proxy_set_header Host $host;
		proxy_set_header X-Real-IP $remote_addr;
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		proxy_set_header X-Forwarded-Host $host;
		proxy_set_header X-Forwarded-Proto $scheme;`},
	{name: "forwarded", config: `
		proxy_set_header Host $host;
		proxy_set_header Forwarded 'for=192.0.2.1;host=$host;proto="https"';`},
	{name: "forwarded by two", config: `
		proxy_set_header Host $host;
		proxy_set_header Forwarded 'for=192.0.2.1; Proto=HTTPS, for="[2001:db8::1]";proto=http';`},
	{name: "ssl", config: `
		proxy_set_header Host $host;
		proxy_set_header X-Forwarded-Ssl on;`},
	{name: "front end", config: `
		proxy_set_header Host $host;
		proxy_set_header Front-End-Https on;`},
	{name: "scheme", config: `
		proxy_set_header Host $host;
		proxy_set_header X-Forwarded-Scheme $scheme;`},
	{name: "list", config: `
		proxy_set_header Host $host;
		proxy_set_header X-Forwarded-Proto "$scheme, http";`},
}

// A second hop, from a proxy with TLS to one without, says "http" of itself.
var secondHops = []struct {
	name, config string
	silent       bool
}{
	{"two hops, nothing", ``, false},
	{"two hops, proto", `proxy_set_header X-Forwarded-Proto $scheme;`, true},
	{"two hops, proto and host", `
		proxy_set_header Host $host;
		proxy_set_header X-Forwarded-Host $http_x_forwarded_host;
		proxy_set_header X-Forwarded-Proto $scheme;`, true},
	{"two hops, proto added", `
		proxy_set_header Host $host;
		proxy_set_header X-Forwarded-Host $http_x_forwarded_host;
		proxy_set_header X-Forwarded-Proto "$http_x_forwarded_proto, $scheme";`, false},
}

func nginxTLS() string {
	return "ssl_certificate " + certificate.Cert + ";\nssl_certificate_key " + certificate.Key + ";\n"
}

func nginxPass(to, version, more string) string {
	return "location / {\nproxy_pass http://" + to + ";\nproxy_http_version " + version + ";\nproxy_set_header Connection '';\n" + more + "\n}\n"
}

// TestNginx: a session behind nginx, whatever it tells the application.
func TestNginx(t *testing.T) {
	var places []*place
	var sites []testserver.ProxySite
	add := func(p *place, to func(addr string) string) {
		p.app = newApp(t)
		p.config = to(p.app.addr)
		places = append(places, p)
		sites = append(sites, testserver.ProxySite{Name: siteName(p.name), Listen: p.listen, Config: p.config})
	}
	for _, version := range []string{"1.0", "1.1"} {
		for _, says := range nginxSays {
			for _, listen := range []string{"ssl", "ssl http2"} {
				p := &place{name: "HTTP " + version + ", " + listen + ", " + says.name, protocol: "HTTP/" + version, silent: says.silent, listen: listen}
				add(p, func(addr string) string { return nginxTLS() + nginxPass(addr, version, says.config) })
			}
		}
		for _, hop := range secondHops {
			p := &place{name: "HTTP " + version + ", " + hop.name, protocol: "HTTP/" + version, silent: hop.silent, listen: "ssl"}
			inner := siteName("inner " + p.name)
			add(p, func(addr string) string {
				sites = append(sites, testserver.ProxySite{Name: inner, Config: nginxPass(addr, version, hop.config)})
				return nginxTLS() + nginxPass(inner, version, `
					proxy_set_header Host $host;
					proxy_set_header X-Forwarded-Host $host;
					proxy_set_header X-Forwarded-Proto $scheme;`)
			})
		}
	}
	nginx, err := testserver.StartNginx(sites, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, nginx) })
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			p.addr = nginx.Addr(siteName(p.name))
			story(t, p)
		})
	}
}

// TestNginxPlainHTTP: without TLS at the proxy the cookie is Secure all the
// same, and the log says why nobody stays logged in.
func TestNginxPlainHTTP(t *testing.T) {
	says := map[string]string{
		"nothing": ``,
		"host":    `proxy_set_header Host $host;`,
		"proto":   `proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto $scheme;`,
		"both":    `proxy_set_header Host $host; proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-Proto $scheme;`,
		"ssl":     `proxy_set_header Host $host; proxy_set_header X-Forwarded-Ssl off;`,
	}
	var places []*place
	var sites []testserver.ProxySite
	for name, config := range says {
		p := &place{name: name, app: newApp(t)}
		places = append(places, p)
		sites = append(sites, testserver.ProxySite{Name: name, Config: nginxPass(p.app.addr, "1.1", config)})
	}
	nginx, err := testserver.StartNginx(sites, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, nginx) })
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			p.addr = nginx.Addr(p.name)
			plainStory(t, p)
		})
	}
}

// siteName makes the name of a place one that a configuration file takes.
func siteName(name string) string {
	return strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(strings.ToLower(name))
}

func stop(t *testing.T, p *testserver.Proxy) {
	if t.Failed() {
		t.Logf("the proxy said:\n%s", p.Log())
	}
	if err := p.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
}
