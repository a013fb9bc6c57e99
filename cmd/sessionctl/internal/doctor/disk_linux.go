package doctor

import "golang.org/x/sys/unix"

// Magic numbers of file systems of other machines (statfs(2)), on which flock
// and rename are not what they are here.
var remote = map[int64]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x517b: "SMB", 0x01021997: "9P"}

// disk looks at the file system below the directory.
func disk(dir string) Result {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return ok("nothing there yet")
	}
	block := int64(st.Bsize) // its type is the machine's
	free, size := int64(st.Bavail)*block, int64(st.Blocks)*block
	switch name, far := remote[int64(st.Type)]; {
	case far:
		return fail("use a local directory, or mysql or redis for several machines", "the directory is on a file system of another machine (%s), whose locks cannot be relied upon", name)
	case size > 0 && free < size/20 && free < 1<<30:
		return fail("make room", "%s free of %s: soon no session can be stored", Bytes(free), Bytes(size))
	case st.Files > 0 && st.Ffree < st.Files/50:
		return fail("make room: a session is a file", "%d of %d inodes free", st.Ffree, st.Files)
	}
	return ok("%s free", Bytes(free))
}
