package browser

import (
	"net"
	"strings"
	"testing"
)

// TestBrowsersKeepSecureCookiesOfLoopback: the cookie is Secure without TLS,
// too, and both browsers keep it where nobody can listen: on this machine.
func TestBrowsersKeepSecureCookiesOfLoopback(t *testing.T) {
	inEachBrowser(t, func(t *testing.T, visit func(t *testing.T, url string) visitor) {
		for _, host := range []string{"localhost", "127.0.0.1"} {
			t.Run(host, func(t *testing.T) {
				s := startSlowShop(t, setup{}, 0)
				v := visit(t, s.at(host))
				v.clicks("#add", 1, 0)
				v.wait("tea in the cart", whoIs("user= cart=tea"))
				s.pair <- struct{}{} // one click
				v.clicks("#login", 1, 0)
				v.wait("logged in", whoIs("user=ada cart=tea"))
				v.openURL(s.at(host))
				v.wait("still logged in", whoIs("user=ada cart=tea"))
				if all := v.stored("beegosessionID"); len(all) != 1 || !all[0].secure {
					t.Errorf("the browser has %d cookies, the first Secure: %t; want one that is", len(all), len(all) > 0 && all[0].secure)
				}
			})
		}
	})
}

// at returns the shop's URL under another name of this machine.
func (s *slowShop) at(host string) string {
	scheme, rest, _ := strings.Cut(s.url, "://")
	_, port, _ := net.SplitHostPort(rest)
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}
