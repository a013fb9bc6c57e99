//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// TestNotAFile: what stands in the place of a record is no record, is
// not followed, and nobody waits for it.
func TestNotAFile(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	s := openAt(t, t.TempDir()+"/sessions")
	real := newRecord(3)
	mustCreate(t, s, real)
	places := map[string]func(path string) error{
		"fifo":           func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"folder":         func(path string) error { return os.Mkdir(path, 0o700) },
		"link to record": func(path string) error { return os.Symlink(s.pathOf(real.ID), path) },
		"link outside":   func(path string) error { return os.Symlink(outside, path) },
		"link to /dev":   func(path string) error { return os.Symlink("/dev/zero", path) },
		"socket":         listen,
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			rec := newRecord(3)
			rec.ID[15] = real.ID[15]
			if err := place(s.pathOf(rec.ID)); err != nil {
				t.Fatal(err)
			}
			if err := s.Create(t.Context(), rec); !errors.Is(err, backend.ErrExists) {
				t.Errorf("Create = %v, want ErrExists", err)
			}
			rec.Version = 1
			_, err := s.Load(t.Context(), rec.ID)
			for what, err := range map[string]error{
				"Load":          err,
				"Update":        s.Update(t.Context(), rec),
				"Touch":         s.Touch(t.Context(), rec.ID, rec.Expires.Add(time.Hour)),
				"DeleteVersion": s.DeleteVersion(t.Context(), rec.ID, 1),
			} {
				if !errors.Is(err, backend.ErrNotFound) {
					t.Errorf("%s = %v, want ErrNotFound", what, err)
				}
			}
			if _, err := s.Sweep(t.Context(), 10); err != nil {
				t.Errorf("Sweep: %v", err)
			}
			if n, err := s.Count(t.Context()); n != 1 || err != nil {
				t.Errorf("Count = %d, %v; want 1", n, err)
			}
			if _, err := os.Lstat(s.pathOf(rec.ID)); err != nil {
				t.Errorf("it was removed: %v", err)
			}
			if err := s.Delete(t.Context(), rec.ID); err != nil {
				t.Errorf("Delete = %v", err)
			}
		})
	}
	t.Run("link to its own file", func(t *testing.T) {
		rec, away := newRecord(3), filepath.Join(t.TempDir(), "away")
		mustCreate(t, s, rec)
		if err := errors.Join(os.Rename(s.pathOf(rec.ID), away), os.Symlink(away, s.pathOf(rec.ID))); err != nil {
			t.Fatal(err)
		}
		rec.Version = 1
		before := read(t, away)
		_, err := s.Load(t.Context(), rec.ID)
		for what, err := range map[string]error{
			"Load":   err,
			"Update": s.Update(t.Context(), rec),
			"Touch":  s.Touch(t.Context(), rec.ID, rec.Expires.Add(time.Hour)),
		} {
			if !errors.Is(err, backend.ErrNotFound) {
				t.Errorf("%s = %v, want ErrNotFound", what, err)
			}
		}
		if !bytes.Equal(read(t, away), before) {
			t.Error("the file was written to through the link")
		}
	})
	if _, err := os.Lstat(outside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written through a link: %v", err)
	}
	if got, err := s.Load(t.Context(), real.ID); err != nil || got.Version != 1 {
		t.Errorf("Load of the real record = version %d, %v; want 1", got.Version, err)
	}
}

func listen(path string) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	// Its path is too long for a socket's address.
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return err
	}
	defer os.Chdir(here)
	return syscall.Bind(fd, &syscall.SockaddrUnix{Name: filepath.Base(path)})
}

// TestModes: 0700 and 0600 whatever the umask, also after rewriting.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		t.Run(fmt.Sprintf("%03o", umask), func(t *testing.T) {
			path := t.TempDir() + "/deep/er/sessions"
			old := syscall.Umask(umask)
			defer syscall.Umask(old)
			s := openAt(t, path)
			rec := newRecord(3)
			rec.User = "u"
			mustCreate(t, s, rec)
			for version := uint64(1); version < 12; version++ {
				rec.Version, rec.Data = version, payload(version, sizeOf(5*version))
				if err := s.Update(t.Context(), rec); err != nil {
					t.Fatal(err)
				}
			}
			err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := d.Info()
				want := fs.FileMode(0o600)
				if d.IsDir() {
					want = fs.ModeDir | 0o700
				}
				if err == nil && info.Mode() != want {
					t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestRefused: a bad place is an error of New, with the cure.
func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		make func(path string) error
		want string
	}{
		"others write": {func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o777)) }, "chmod 700"},
		"sticky": {func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o777|fs.ModeSticky))
		}, "name a directory of the sessions' own"},
		"group writes": {func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o770)) }, "chmod 700"},
		"link":         {func(path string) error { return os.Symlink(filepath.Dir(path), path) }, "symbolic link"},
		"file":         {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "not a directory"},
		"shard link": {func(path string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.Symlink("/tmp", path+"/7f"))
		}, "7f"},
		"shard open": {func(path string) error {
			return errors.Join(os.MkdirAll(path+"/80", 0o700), os.Chmod(path+"/80", 0o777))
		}, "chmod 700"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sessions")
			if err := tc.make(path); err != nil {
				t.Fatal(err)
			}
			s, err := New(path, Options{})
			if err == nil {
				s.Close()
				t.Fatal("New: no error")
			}
			if !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("New: %v; want %q and the path in it", err, tc.want)
			}
		})
	}
}

// TestNoCreate: with the option neither New nor a call makes a directory or
// changes a mode, so a tool that is told a wrong one leaves no trace.
func TestNoCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	refused := func(what string) {
		t.Helper()
		s, err := New(path, Options{NoCreate: true})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("New, %s: %v, want fs.ErrNotExist", what, err)
		}
	}
	refused("nothing there")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("New made the directory (%v)", err)
	}
	if err := errors.Join(os.Mkdir(path, 0o700), os.Mkdir(path+"/00", 0o700)); err != nil {
		t.Fatal(err)
	}
	refused("one of 256")
	if got := tree(t, path); len(got) != 2 { // itself, and 00
		t.Fatalf("New made %d names in it, such as %s", len(got)-2, got[len(got)-1])
	}

	openAt(t, path) // the application
	if err := os.Chmod(path+"/7f", 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := New(path, Options{NoCreate: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if info, err := os.Stat(path + "/7f"); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("New changed the mode to %v (%v)", info.Mode(), err)
	}
	if err := os.Remove(path + "/7f"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(t.Context(), 10); err == nil {
		t.Error("Sweep without one of the directories: no error")
	}
	if _, err := os.Stat(path + "/7f"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Sweep made the directory (%v)", err)
	}
}

// TestDirectoryLost removes, moves and replaces the directory at run time: an
// outage is an error and never ErrNotFound, and it heals.
func TestDirectoryLost(t *testing.T) {
	path := t.TempDir() + "/sessions"
	s := openAt(t, path)
	rec := newRecord(3)
	rec.User = "u"
	mustCreate(t, s, rec)
	rec.Version = 1
	outage := func(what string) {
		t.Helper()
		_, errLoad := s.Load(t.Context(), rec.ID)
		for call, err := range map[string]error{
			"Load":   errLoad,
			"Update": s.Update(t.Context(), rec),
			"Touch":  s.Touch(t.Context(), rec.ID, rec.Expires.Add(time.Hour)),
			"Delete": s.Delete(t.Context(), rec.ID),
		} {
			if err == nil || errors.Is(err, backend.ErrNotFound) || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s = %v, want that the directory is gone", what, call, err)
			}
		}
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	outage("removed")

	fresh := newRecord(3)
	fresh.User = "u"
	mustCreate(t, s, fresh)
	if _, err := s.Load(t.Context(), rec.ID); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Load of the lost record, after Create made the directory = %v, want ErrNotFound", err)
	}
	if recs, err := s.ByUser(t.Context(), "u"); len(recs) != 1 || err != nil {
		t.Errorf("ByUser = %d, %v; want 1", len(recs), err)
	}

	// Another process makes it anew.
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	other := openAt(t, path)
	mustCreate(t, other, rec)
	if _, err := s.Load(t.Context(), rec.ID); err != nil {
		t.Errorf("Load from the directory of another process: %v", err)
	}

	// One shard goes, and a sweep brings it back.
	if err := os.RemoveAll(s.shardOf(rec.ID).path); err != nil {
		t.Fatal(err)
	}
	outage("one shard removed")
	if _, err := s.Sweep(t.Context(), 10); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if _, err := s.Load(t.Context(), rec.ID); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Load after Sweep = %v, want ErrNotFound", err)
	}
}

// TestForeignFiles: whatever the store did not
// make survives every sweep, however old.
func TestForeignFiles(t *testing.T) {
	path := t.TempDir() + "/sessions"
	s := openAt(t, path)
	outside := t.TempDir()
	id := uuid.Must(uuid.NewV7())
	shard := s.shardOf(id).path
	foreign := []string{
		filepath.Join(path, "notes.txt"),
		filepath.Join(path, id.String()),
		filepath.Join(shard, "notes.txt"),
		filepath.Join(shard, "core"),
		filepath.Join(shard, strings.ToUpper(uuid.NewString())),
		filepath.Join(shard, id.String()), // of the name, but not ours
		filepath.Join(shard, id.String()+".bak"),
		filepath.Join(shard, "x"+tempSuffix),
		filepath.Join(outside, "file"),
	}
	for _, name := range foreign {
		write(t, name, []byte("somebody else's"))
	}
	for _, name := range []string{"aa11", id.String() + tempSuffix, strings.Repeat("ab", 32)} {
		if err := os.Symlink(outside, filepath.Join(shard, name)); err != nil {
			t.Fatal(err)
		}
		foreign = append(foreign, filepath.Join(shard, name))
	}
	// A record in the wrong directory is not where we put it.
	wrong := newRecord(3)
	wrong.Expires = time.Now().Add(-time.Hour)
	mustCreate(t, s, wrong)
	misplaced := filepath.Join(s.shards[wrong.ID[15]^1].path, wrong.ID.String())
	if err := os.Rename(s.pathOf(wrong.ID), misplaced); err != nil {
		t.Fatal(err)
	}
	foreign = append(foreign, misplaced)
	ancient := time.Unix(1, 0)
	for _, name := range foreign {
		_ = os.Chtimes(name, ancient, ancient)
	}
	for range 3 {
		if n, err := s.Sweep(t.Context(), 1000); n != 0 || err != nil {
			t.Fatalf("Sweep = %d, %v; want 0", n, err)
		}
	}
	for _, name := range foreign {
		if _, err := os.Lstat(name); err != nil {
			t.Errorf("gone after Sweep: %v", err)
		}
	}
}
