//go:build linux || freebsd || netbsd || openbsd || dragonfly

package file

import "golang.org/x/sys/unix"

// fsync flushes what fd is to the disk.
func fsync(fd int) error { return unix.Fsync(fd) }
