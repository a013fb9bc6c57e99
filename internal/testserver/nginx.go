package testserver

import (
	"fmt"
	"strings"
)

const nginxCure = "apt-get install nginx (Debian, Ubuntu), brew install nginx (macOS)"

// StartNginx starts a private nginx with these sites, and returns when it
// answers. more are lines of the http block. There, and in the sites, DIR is
// the server's temporary directory, and the name of a site is an upstream that
// leads to it ("proxy_pass http://inner;").
func StartNginx(sites []ProxySite, more string) (*Proxy, error) {
	path, err := Find(nginxCure, "nginx")
	if err != nil {
		return nil, err
	}
	args := func(config string) []string { return []string{"-c", config, "-e", "stderr"} }
	return startProxy("nginx", path, "GET / HTTP/1.0\r\n\r\n", sites, args, func(dir, socket string, addrs map[string]string) string {
		var b strings.Builder
		// One process, so that killing it leaves no workers behind.
		fmt.Fprint(&b, "daemon off;\nmaster_process off;\npid DIR/pid;\nevents {}\nhttp {\naccess_log off;\n")
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			fmt.Fprintf(&b, "%s_temp_path DIR/%s;\n", kind, kind)
		}
		fmt.Fprintf(&b, "%s\nserver { listen unix:%s; return 204; }\n", more, socket)
		for _, site := range sites {
			addr := addrs[site.Name]
			fmt.Fprintf(&b, "upstream %s { server %s; }\nserver {\nlisten %s %s;\n%s\n}\n", site.Name, addr, addr, site.Listen, site.Config)
		}
		b.WriteString("}\n")
		return strings.ReplaceAll(b.String(), "DIR", dir)
	})
}
