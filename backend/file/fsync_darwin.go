package file

import "golang.org/x/sys/unix"

// fsync flushes what fd is to the disk, and the disk's own cache, too, which
// macOS's fsync leaves alone.
func fsync(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_FULLFSYNC, 0)
	if err == unix.ENOTSUP || err == unix.EINVAL || err == unix.ENOTTY { // no disk that can
		return unix.Fsync(fd)
	}
	return err
}
