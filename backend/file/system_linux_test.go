package file

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/chisession/session/backend"
)

// smallDisk mounts a file system of size bytes, which takes root.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Fatalf("mount a small tmpfs (run as root, with CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	return path
}

// TestDiskFull: an error, the old records intact, and all well when
// there is room again.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t, "256k")
	s := openAt(t, disk)
	small, large := newRecord(10), newRecord(2000)
	mustCreate(t, s, small)
	mustCreate(t, s, large)
	full := filepath.Join(disk, "full")
	if err := os.WriteFile(full, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}

	fresh := newRecord(3)
	if err := s.Create(t.Context(), fresh); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Create on a full disk = %v, want ENOSPC", err)
	}
	if _, err := s.Load(t.Context(), fresh.ID); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Load of what could not be created = %v, want ErrNotFound", err)
	}
	// A session of up to one page has its room already.
	small.Version, small.Data = 1, payload(2, 100)
	if err := s.Update(t.Context(), small); err != nil {
		t.Errorf("Update of a small record on a full disk: %v", err)
	}
	large.Version, large.Data = 1, payload(2, 2000) // the other slot has no room
	grown := large
	grown.Data = payload(2, 5000) // nor has a new file
	for _, rec := range []backend.Record{large, grown} {
		if err := s.Update(t.Context(), rec); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Update on a full disk = %v, want ENOSPC", err)
		}
		if got, err := s.Load(t.Context(), large.ID); err != nil || got.Version != 1 || checkPayload(got) != nil {
			t.Errorf("Load after that = version %d, %v; want version 1 whole", got.Version, err)
		}
	}
	if left := temporaries(t, disk); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}

	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), large); err != nil {
		t.Errorf("Update when there is room again: %v", err)
	}
	grown.Version, grown.Data = 2, payload(3, 5000)
	if err := s.Update(t.Context(), grown); err != nil {
		t.Errorf("Update, with a new file, when there is room again: %v", err)
	}
	if err := s.Create(t.Context(), fresh); err != nil {
		t.Errorf("Create when there is room again: %v", err)
	}
}

// TestReadOnly: reading goes on, writing is an error, and it heals.
func TestReadOnly(t *testing.T) {
	disk := smallDisk(t, "4m")
	s := openAt(t, disk)
	rec := newRecord(10)
	mustCreate(t, s, rec)
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	if _, err := s.Load(t.Context(), rec.ID); err != nil {
		t.Errorf("Load: %v", err)
	}
	rec.Version = 1
	for what, err := range map[string]error{
		"Create": s.Create(t.Context(), newRecord(1)),
		"Update": s.Update(t.Context(), rec),
		"Touch":  s.Touch(t.Context(), rec.ID, rec.Expires.Add(1e9)),
		"Delete": s.Delete(t.Context(), rec.ID),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s on a read-only disk = %v, want EROFS", what, err)
		}
	}
	if other, err := New(filepath.Join(disk, "more"), Options{}); err == nil {
		other.Close()
		t.Error("New on a read-only disk: no error")
	}
	remount(0)
	if err := s.Update(t.Context(), rec); err != nil {
		t.Errorf("Update when writable again: %v", err)
	}
}

// TestDescriptors opens, uses and closes stores: no descriptor stays.
func TestDescriptors(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := count()
	for range 3 {
		path := t.TempDir() + "/sessions"
		s, err := New(path, Options{Sync: true})
		if err != nil {
			t.Fatal(err)
		}
		rec := newRecord(3)
		rec.User = "u"
		mustCreate(t, s, rec)
		rec.Version, rec.Data = 1, bytes.Repeat(rec.Data, 300)
		for what, err := range map[string]error{
			"Update": s.Update(t.Context(), rec),
			"Delete": s.Delete(t.Context(), rec.ID),
			"exists": s.Create(t.Context(), newRecord(3)),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		mustCreate(t, s, newRecord(3)) // opens all directories again
		_, _ = s.ByUser(t.Context(), "u")
		_, _ = s.Sweep(t.Context(), 10)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New("/dev/null", Options{}); err == nil {
		t.Error("New(/dev/null): no error")
	}
	if after := count(); after > before { // fewer: the collector has closed what tests before have left
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
}
