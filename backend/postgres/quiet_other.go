//go:build !unix

package postgres

import "net"

// quiet cannot tell.
func quiet(net.Conn) (quiet, ok bool) { return false, false }
