//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wantRefused expects New to fail, with each of want in its error.
func wantRefused(t *testing.T, path string, o Options, want ...string) {
	t.Helper()
	s, err := New(path, o)
	if err == nil {
		s.Close()
		t.Fatalf("New(%s, %+v): no error, want one that says %q", path, o, want)
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("New(%s, %+v): %v; want %q in it", path, o, err, text)
		}
	}
}

// TestOpenParentsThatOthersMayWriteTo: who may rename what is above the
// sessions can put others in their place. With the sticky bit nobody can.
func TestOpenParentsThatOthersMayWriteTo(t *testing.T) {
	for _, below := range []string{"sessions", "shop/sessions", "shop/var/sessions"} {
		parent := filepath.Join(t.TempDir(), "shared")
		if err := errors.Join(os.Mkdir(parent, 0o700), os.Chmod(parent, 0o777)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(parent, below)
		wantRefused(t, path, Options{}, parent, "chmod +t")
		if err := errors.Join(os.MkdirAll(path, 0o700)); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, path, Options{}, parent, "chmod +t")
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(filepath.Dir(path), link); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, filepath.Join(link, filepath.Base(path)), Options{}, "chmod +t")
		if err := os.Chmod(parent, 0o777|fs.ModeSticky); err != nil {
			t.Fatal(err)
		}
		openAt(t, path)
		openAt(t, filepath.Join(link, filepath.Base(path)))
	}
}

// TestOpenSharedDirectoryItself: the cure for /tmp as the save path must not be
// one that breaks the machine.
func TestOpenSharedDirectoryItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tmp")
	if err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	_, err := New(path, Options{})
	if err == nil || strings.Contains(err.Error(), "chmod") || !strings.Contains(err.Error(), "a directory of the sessions' own") {
		t.Errorf("New of a directory with the sticky bit: %v, want the advice to take a directory of its own, and no chmod", err)
	}
}

// TestOpenRefusesBeegosDirectory: its collector removes by age what is in any
// directory below.
func TestOpenRefusesBeegosDirectory(t *testing.T) {
	path := t.TempDir()
	openAt(t, filepath.Join(path, "ours"))
	if err := os.MkdirAll(filepath.Join(path, "b", "e"), 0o700); err != nil {
		t.Fatal(err)
	}
	const id = "be57a1c0ffee57a1c0ffee57a1c0ffee"
	openAt(t, path) // its directories stay when its sessions have moved
	write(t, filepath.Join(path, "b", "e", id), []byte("gob"))
	_, err := New(path, Options{})
	if err == nil || !strings.Contains(err.Error(), "Beego application") || !strings.Contains(err.Error(), "name another directory") {
		t.Errorf("New of a directory of Beego's: %v, want that it is, and the cure", err)
	}
	if err != nil && strings.Contains(err.Error(), id) {
		t.Errorf("New: %v tells a session ID of Beego's, which is a token", err)
	}
	tool, err := New(path, Options{NoCreate: true})
	if err != nil {
		t.Errorf("New with NoCreate, for a tool that looks: %v", err)
	} else {
		tool.Close()
	}
}

// TestOpenProbesEachRight lets each step of the probe fail: New says which, and
// what the account needs; nothing of the probe stays.
func TestOpenProbesEachRight(t *testing.T) {
	s, err := New(t.TempDir()+"/sessions", Options{Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := len(tree(t, s.path))
	failed := map[step]bool{}
	for at := 0; ; at++ {
		disk := &brokenDisk{at: at, times: 1}
		s.fault = disk.fault
		err := s.probe()
		if len(disk.steps) <= at {
			if err != nil {
				t.Errorf("the probe without a fault: %v", err)
			}
			break
		}
		st := disk.steps[at]
		failed[st] = true
		if !errors.Is(err, errDisk) {
			t.Errorf("the probe when step %d, %q, fails: %v, want that error", at, st, err)
		} else if st != stepFlushDir && !strings.Contains(err.Error(), "the account (user ID ") {
			t.Errorf("the probe when step %d, %q, fails: %v; want the cure in it", at, st, err)
		}
	}
	for _, st := range []step{stepWrite, stepHead, stepFlush, stepFlushDir, stepRename, stepRemove} {
		if !failed[st] {
			t.Errorf("the probe does not try to %s", st)
		}
	}
	s.fault = nil
	for _, name := range temporaries(t, s.path) { // where removing was what failed
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
	if after := len(tree(t, s.path)); after != before {
		t.Errorf("%d names in the directory after the probe, %d before", after, before)
	}
}

// TestOpenWithoutCreateWritesNothing: a tool that looks needs no right to write.
func TestOpenWithoutCreateWritesNothing(t *testing.T) {
	path := t.TempDir() + "/sessions"
	openAt(t, path)
	s, err := New(path, Options{NoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	disk := &brokenDisk{at: -1}
	s.fault = disk.fault
	if err := s.probe(); err != nil || len(disk.steps) > 0 {
		t.Errorf("the probe took the steps %q (%v), want none", disk.steps, err)
	}
}
