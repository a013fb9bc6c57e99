package testserver

import (
	"fmt"
	"strings"
)

const haproxyCure = "apt-get install haproxy (Debian, Ubuntu), brew install haproxy (macOS)"

// StartHAProxy starts a private haproxy with these sites, and returns when it
// answers. more are further sections, such as the backends that the sites use.
func StartHAProxy(sites []ProxySite, more string) (*Proxy, error) {
	path, err := Find(haproxyCure, "haproxy")
	if err != nil {
		return nil, err
	}
	args := func(config string) []string { return []string{"-db", "-f", config} }
	return startProxy("haproxy", path, "show info\n", sites, args, func(_, socket string, addrs map[string]string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "global\n stats socket %s mode 600\n maxconn 200\n ssl-server-verify none\n", socket)
		fmt.Fprint(&b, "defaults\n mode http\n timeout connect 10s\n timeout client 30s\n timeout server 30s\n")
		for _, site := range sites {
			fmt.Fprintf(&b, "frontend %s\n bind %s %s\n%s\n", site.Name, addrs[site.Name], site.Listen, site.Config)
		}
		fmt.Fprintf(&b, "%s\n", more)
		return b.String()
	})
}
