package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFileRefuses needs a small disk. Mounting a small disk needs root, and to root
// permissions mean nothing, so that case gives it up.
func TestFileRefuses(t *testing.T) {
	cases := []refusal{permissionLost, readOnly}
	if os.Geteuid() != 0 {
		if full {
			t.Fatal("this mounts small disks and changes users: run it as root, in a container for instance")
		}
		mortal := permissionLost // who is not root needs no other user
		mortal.user = nil
		cases = []refusal{mortal}
	}
	refuse(t, cases)
	if os.Geteuid() == 0 {
		t.Run("disk full", testDiskFull)
	}
}

var readOnly = refusal{row: row{name: "file system remounted read-only"}, backend: smallDisk, cause: "read-only file system", readable: true,
	arrange: func(t *testing.T, p place) (func(), func()) {
		disk := filepath.Dir(p.savePath)
		remount := func(flags uintptr) {
			must(t, "remount", syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|flags, "size=512k"))
		}
		return func() { remount(syscall.MS_RDONLY) }, func() { remount(0) }
	}}

var permissionLost = refusal{row: row{name: "permission to the directories lost"}, backend: publicFile, user: asNobody, cause: "permission denied",
	arrange: func(t *testing.T, p place) (func(), func()) {
		shards, err := filepath.Glob(p.savePath + "/*")
		must(t, "list the directories", err)
		set := func(mode os.FileMode) {
			for _, shard := range shards {
				must(t, "chmod", os.Chmod(shard, mode))
			}
		}
		return func() { set(0) }, func() { set(0o700) }
	}}

var diskFull = row{storeRefuses, "disk full",
	"reading: 200 with all values; new sessions and growing ones: a bare 503, the cause in the log, the old values intact; logout works; with room again all is well"}

func testDiskFull(t *testing.T) {
	on(t, diskFull, []kind{smallDisk}, func(t *testing.T, k kind, note noter) {
		savePath := k.fresh(t)
		c := start(t, options{Provider: k.name, SavePath: savePath})
		w := gather(t, c, 4)
		leaver := login(t, c)
		ballast := filepath.Join(filepath.Dir(savePath), "ballast")
		fill(t, ballast)
		large := strings.Repeat("x", 20<<10)
		stored := 0
		for range 10 {
			for _, b := range w.browsers {
				b.there(c)
				b.sent++
				c.refused(b.token, fmt.Sprintf("/set?value=%s.%s.%d.%s", mark, b.user, b.sent, large))
				c.refused("", "/set?value="+mark)
				b.there(c)
				// One that has room already goes on, or is told.
				if ok, err := b.write(c); err != nil {
					t.Errorf("write: %v", err)
				} else if ok {
					stored++
				}
				b.there(c)
			}
		}
		if !c.ok(leaver.token, "/logout").removed || !c.ok(leaver.token, "/get").New {
			t.Error("logout on a full disk: the session is still there")
		}
		if n := c.logged("session: request failed", "no space left"); n < 70 {
			t.Errorf("%d log lines have the cause, want about 80", n)
		}
		must(t, "make room", os.Remove(ballast))
		w.there(c)
		w.browsers[0].sent++
		c.ok(w.browsers[0].token, fmt.Sprintf("/set?value=%s.%s.%d.%s", mark, w.browsers[0].user, w.browsers[0].sent, large))
		login(t, c)
		if m := c.measures(); m.Stats.Unreadable != 0 || m.Count != 5 {
			t.Errorf("%d unreadable, %d sessions; want 0 and 5", m.Stats.Unreadable, m.Count)
		}
		c.end()
		note("80 refusals; %d of 40 small changes were stored meanwhile, in the room that their sessions had", stored)
	})
}

var directoryGone = row{storeRefuses, "the directory removed",
	"a session that cannot be looked up: 503, never \"no session\"; a login makes the directory anew, without a restart; who was in the lost one is anonymous, and can log in"}

func TestDirectoryGone(t *testing.T) {
	on(t, directoryGone, []kind{file}, func(t *testing.T, k kind, note noter) {
		savePath := k.fresh(t)
		c := start(t, options{Provider: k.name, SavePath: savePath})
		b := login(t, c)
		must(t, "remove", os.RemoveAll(savePath))
		for range 3 {
			c.refused(b.token, "/get")
			c.refused(b.token, "/set?value="+b.value(1))
			c.refused(b.token, "/logout")
		}
		if n := c.logged("session: request failed", "directory is gone"); n < 8 {
			t.Errorf("%d log lines have the cause, want 9", n)
		}
		next := login(t, c)
		next.there(c)
		if a := c.ok(b.token, "/get"); !a.New || a.User != "" || a.token != "" {
			t.Errorf("the lost session: %+v, a cookie: %v", a.state, a.token != "")
		}
		if a := c.ok(b.token, "/login?user="+b.user); a.token == "" || a.User != b.user {
			t.Errorf("its user logs in again: %+v", a.state)
		}
		c.end()
	})
}

// smallDisk is a file system of half a megabyte with the sessions on it.
var smallDisk = kind{"file", func(t testing.TB) string {
	disk := t.TempDir()
	must(t, "mount a small tmpfs (it takes root, with CAP_SYS_ADMIN)", syscall.Mount("tmpfs", disk, "tmpfs", 0, "mode=0755,size=512k"))
	t.Cleanup(func() { must(t, "unmount", syscall.Unmount(disk, 0)) })
	return filepath.Join(disk, "sessions")
}}

// publicFile is a directory that another user can reach.
var publicFile = kind{"file", func(t testing.TB) string {
	dir, err := os.MkdirTemp("", "chisession-faults-")
	must(t, "make a directory", err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, "chmod", os.Chmod(dir, 0o755))
	return filepath.Join(dir, "sessions")
}}

const nobody = 65534

// asNobody gives the place to a user without rights, to whom the directory of
// the test binary is closed: it gets a copy beside the place.
func asNobody(t testing.TB, savePath string) func(*exec.Cmd) {
	t.Helper()
	must(t, "mkdir", os.MkdirAll(savePath, 0o700))
	must(t, "chown", os.Chown(savePath, nobody, nobody))
	binary, err := os.ReadFile(os.Args[0])
	must(t, "read the test binary", err)
	path := filepath.Join(filepath.Dir(savePath), "server")
	must(t, "copy the test binary", os.WriteFile(path, binary, 0o755))
	return func(cmd *exec.Cmd) {
		cmd.Path = path
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}

// fill writes until the disk is full.
func fill(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, "create", err)
	defer f.Close()
	for size := 4096; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
