package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asUser runs fn with the rights to files of another user, which takes root.
func asUser(t *testing.T, uid int, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("run as root: the rights of another account are needed")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		if err := unix.Setfsuid(uid); err != nil {
			t.Error(err)
			return
		}
		fn()
	}()
	<-done
}

// TestOpenWithoutRights: an account that may look at the directory, but not
// write to it or to one in it, is told so at start. A tool may look.
func TestOpenWithoutRights(t *testing.T) {
	const uid = 65534
	path := filepath.Join(t.TempDir(), "sessions")
	for dir := filepath.Dir(path); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o055 != 0o055 {
			if err := os.Chmod(dir, info.Mode().Perm()|0o055); err != nil {
				t.Fatal(err)
			}
		}
	}
	openAt(t, path)
	setModes := func(mode fs.FileMode, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Chmod(filepath.Join(path, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	all, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"."}
	for _, entry := range all {
		names = append(names, entry.Name())
	}
	refused := func(what string) {
		t.Helper()
		asUser(t, uid, func() {
			s, err := New(path, Options{})
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "the account (user ID ") || !strings.Contains(err.Error(), "run chown") {
				t.Errorf("New, %s: %v; want that it is a matter of rights, and the cure", what, err)
			}
		})
	}
	refused("when the directories are root's alone")
	setModes(0o755, names...)
	refused("when it may only read")
	asUser(t, uid, func() {
		s, err := New(path, Options{NoCreate: true})
		if err != nil {
			t.Errorf("New with NoCreate, when it may only read: %v", err)
			return
		}
		defer s.Close()
		if n, err := s.Count(t.Context()); n != 0 || err != nil {
			t.Errorf("Count when it may only read = %d, %v; want 0", n, err)
		}
	})
}
