//go:build unix

package redis

import "syscall"

// quiet reports whether a read from fd, which does not block, would have to
// wait.
func quiet(fd uintptr) bool {
	var b [1]byte
	_, err := syscall.Read(int(fd), b[:])
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK || err == syscall.EINTR
}
