//go:build unix

package postgres

import (
	"errors"
	"net"
	"syscall"
)

// quiet reports whether nothing has come on an idle connection, not even its
// end. ok is false if that cannot be told.
func quiet(conn net.Conn) (quiet, ok bool) {
	sys, isSys := conn.(syscall.Conn)
	if !isSys {
		return false, false
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return false, false
	}
	// Not raw.Read, which has an error if the last deadline has passed.
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
	})
	return quiet, err == nil
}
