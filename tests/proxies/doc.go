// Package proxies tests sessions with real proxies in front: nginx, haproxy and
// Go's httputil.ReverseProxy, each in the ways that people configure them. A
// client speaks TLS to the proxy, the proxy speaks cleartext to the
// application, and the application is told much, little or nothing about it.
//
//	make servers                                   # installs nginx and haproxy where they are missing
//	cd tests && go test ./proxies                  # all
//	cd tests && go test ./proxies -run /nginx -v   # what nginx does
package proxies
