//go:build servers

package testserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// Each proxy passes a request on over TLS, ends when it is told to, and takes
// its directory with it.
func TestProxiesLive(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello "+r.Header.Get("X-Way"))
	}))
	defer app.Close()
	cert, err := NewCertificate(t.TempDir(), "shop.example")
	if err != nil {
		t.Fatal(err)
	}
	target := app.Listener.Addr().String()
	for name, start := range map[string]func() (*Proxy, error){
		"nginx": func() (*Proxy, error) {
			return StartNginx([]ProxySite{
				{"front", "ssl", "ssl_certificate " + cert.Cert + "; ssl_certificate_key " + cert.Key + "; location / { proxy_pass http://inner; }"},
				{"inner", "", "location / { proxy_pass http://" + target + "; proxy_set_header X-Way inner; }"},
			}, "")
		},
		"haproxy": func() (*Proxy, error) {
			return StartHAProxy([]ProxySite{
				{"front", "ssl crt " + cert.Both, " http-request set-header X-Way inner\n default_backend app"},
			}, "backend app\n server app "+target)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := start()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Stop()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: cert.Pool, ServerName: "shop.example"}}}
			response, err := client.Get("https://" + p.Addr("front") + "/")
			if err != nil {
				t.Fatalf("%v; the log:\n%s", err, p.Log())
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if got := string(body); err != nil || got != "hello inner" {
				t.Errorf("GET / = %q, %v, want hello inner", got, err)
			}
			for range 2 {
				if err := p.Stop(); err != nil {
					t.Errorf("Stop: %v", err)
				}
			}
			if c, err := net.Dial("tcp", p.Addr("front")); err == nil {
				c.Close()
				t.Error("a stopped proxy answers")
			}
			if _, err := os.Stat(p.Dir()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Stop left %s behind (%v)", p.Dir(), err)
			}
		})
	}
}

// A mistake in the configuration is told in the proxy's own words.
func TestProxyErrorsQuoteTheLog(t *testing.T) {
	if _, err := StartNginx(nil, "nonsense on;"); err == nil || !strings.Contains(err.Error(), `unknown directive "nonsense"`) {
		t.Errorf("StartNginx = %v, want what nginx says about it", err)
	}
	if _, err := StartHAProxy(nil, "nonsense on"); err == nil || !strings.Contains(err.Error(), "unknown keyword 'nonsense'") {
		t.Errorf("StartHAProxy = %v, want what haproxy says about it", err)
	}
}

// Without the program, the error says how to get it.
func TestMissingProxyNamesTheCure(t *testing.T) {
	for binary, cure := range map[string]string{"no-such-nginx": nginxCure, "no-such-haproxy": haproxyCure} {
		if _, err := Find(cure, binary); err == nil || !strings.Contains(err.Error(), "apt-get install") || !strings.Contains(err.Error(), "brew install") {
			t.Errorf("Find(%s) = %v, want an error with the cure", binary, err)
		}
	}
}
