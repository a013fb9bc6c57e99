//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package file

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// tree returns the paths below dir.
func tree(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// TestNoInputIsAPath calls every method with users, and with IDs,
// whose bytes spell a path: nothing is made, read or removed outside of the
// store's directory, and inside it all names are the store's own.
func TestNoInputIsAPath(t *testing.T) {
	parent := t.TempDir()
	victim := filepath.Join(parent, "victim")
	write(t, victim, []byte("mine"))
	dir := filepath.Join(parent, "sessions")
	s := openAt(t, dir)
	outside := func() (paths []string) {
		return slices.DeleteFunc(tree(t, parent), func(p string) bool { return strings.HasPrefix(p, dir+"/") })
	}
	before := outside()
	inputs := []string{
		"../victim", "../../victim", "../x", "..", ".", "/", "//", "/etc/passwd", "..\\victim", "a/b", "a/../../victim", "\x00", "../victim\x00", "~", "~root",
		"%2e%2e/victim", "..%2fvictim", "....//victim", "\xc0\xae\xc0\xae/victim", "con", "nul", "CON.txt", "a\n", "-rf", "*", strings.Repeat("../", 80) + "etc/x", strings.Repeat("a", 255), victim,
	}
	for _, input := range inputs {
		rec := newRecord(3)
		if len(input) <= backend.MaxUser {
			rec.User = input
		}
		copy(rec.ID[:], input) // what is no UUIDv7 comes to no store; here it does
		later := rec.Expires.Add(time.Hour)
		_, _ = s.Load(t.Context(), rec.ID)
		if err := s.Create(t.Context(), rec); err != nil {
			t.Errorf("Create of an ID and user %q: %v", input, err)
		}
		rec.Version = 1
		if err := s.Update(t.Context(), rec); err != nil {
			t.Errorf("Update of %q: %v", input, err)
		}
		if err := s.Touch(t.Context(), rec.ID, later); err != nil {
			t.Errorf("Touch of %q: %v", input, err)
		}
		if got, err := s.Load(t.Context(), rec.ID); err != nil || got.User != rec.User || got.Version != 2 {
			t.Errorf("Load of %q: user %q, version %d, %v", input, got.User, got.Version, err)
		}
		if recs, err := s.ByUser(t.Context(), input); err != nil || rec.User != "" && len(recs) != 1 {
			t.Errorf("ByUser(%q): %d, %v", input, len(recs), err)
		}
		if err := s.DeleteVersion(t.Context(), rec.ID, 1); err == nil {
			t.Errorf("DeleteVersion of %q: no conflict", input)
		}
		if _, err := s.Sweep(t.Context(), 10); err != nil {
			t.Errorf("Sweep with %q: %v", input, err)
		}
		for _, path := range tree(t, dir) {
			if name := filepath.Base(path); path != dir && strings.Trim(name, "0123456789abcdef-") != "" && !strings.HasSuffix(name, tempSuffix) && !strings.HasPrefix(name, ".") {
				t.Errorf("after %q there is %q", input, path)
			}
		}
		if err := s.Delete(t.Context(), rec.ID); err != nil {
			t.Errorf("Delete of %q: %v", input, err)
		}
		if after := outside(); !slices.Equal(after, before) {
			t.Fatalf("%q: outside of the directory there is %q, was %q", input, after, before)
		}
	}
	if got := read(t, victim); string(got) != "mine" {
		t.Errorf("the file beside it is %q", got)
	}
}

// TestSweepTakesFlatMemory sweeps 20 times as many expired files of one
// directory: they go, and the memory that it takes at a time does not grow
// with their number.
func TestSweepTakesFlatMemory(t *testing.T) {
	peak := func(files int) uint64 {
		s := openAt(t, t.TempDir()+"/sessions")
		for range files {
			rec := newRecord(1)
			rec.ID[15] = 7 // one directory
			rec.Expires = time.Now().Add(-time.Second)
			mustCreate(t, s, rec)
		}
		runtime.GC()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		before, most, removed := mem.HeapAlloc, uint64(0), 0
		for removed < files {
			n, err := s.Sweep(t.Context(), 100)
			if err != nil || n == 0 {
				t.Fatalf("Sweep = %d, %v; %d of %d are gone", n, err, removed, files)
			}
			removed += n
			runtime.GC() // what one batch leaves is no part of the next one's
			runtime.ReadMemStats(&mem)
			most = max(most, mem.HeapAlloc-min(before, mem.HeapAlloc))
		}
		if n, err := s.Count(t.Context()); n != 0 || err != nil || removed != files {
			t.Errorf("%d removed, %d left (%v)", removed, n, err)
		}
		return most
	}
	few, many := peak(200), peak(4000)
	if many > few+256<<10 {
		t.Errorf("a sweep of 200 files takes %d bytes at a time, one of 4000 %d", few, many)
	}
}

// TestListsInBatches: names are listed 256 at a time.
func TestListsInBatches(t *testing.T) {
	s := openAt(t, t.TempDir()+"/sessions")
	sh := s.shardOf(uuid.UUID{15: 7})
	for i := range 1000 {
		write(t, filepath.Join(sh.path, fmt.Sprintf("n%d", i)), nil)
	}
	most, all := 0, 0
	err := s.list(sh, func(names []string) error {
		most, all = max(most, len(names)), all+len(names)
		return nil
	})
	if err != nil || all < 1000 || most > 256 {
		t.Errorf("%d names, %d at a time, %v; want 1000 and at most 256", all, most, err)
	}
}
