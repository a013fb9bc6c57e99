package behaviour

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chisession/session/backend"
	_ "github.com/chisession/session/backend/file"   // File is opened by name
	_ "github.com/chisession/session/backend/memory" // and so is Memory
)

// A Kind is a backend to test, as its users see it: a name and save paths.
type Kind struct {
	Name string

	// Fresh returns the save path of a place of its own, empty and shared
	// with nobody.
	Fresh func(t testing.TB) string

	// Lasts says that what is opened again at a save path has what was there.
	Lasts bool

	// Count counts the records at a save path. Nil means that the store
	// itself does, as a backend.Counter.
	Count func(t testing.TB, savePath string) int

	// Dump returns all bytes that are kept at a save path, read without the
	// store. Nil means that there is nothing at rest.
	Dump func(t testing.TB, savePath string) []byte

	// LockUp makes every write at a save path wait for somebody else, until
	// release is called. Nil means that nothing can.
	LockUp func(t testing.TB, savePath string) (release func())
}

// The backends that need no server.
var (
	Memory = Kind{Name: "memory", Fresh: func(testing.TB) string { return "" }}
	File   = Kind{
		Name:   "file",
		Lasts:  true,
		Fresh:  func(t testing.TB) string { return filepath.Join(memoryDir(t), "sessions") },
		Dump:   dumpFiles,
		LockUp: lockFiles,
	}
)

// memoryDir returns a temporary directory in a file system in memory, where
// there is one. A new file store makes 256 directories, and nearly every case
// has a store of its own: on a disk that takes twenty times as long.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "session-behaviour-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// opened remembers where the stores of running tests are, for Count.
var opened sync.Map // backend.Store → func(testing.TB) int

// open opens a store in a place of its own.
func (k Kind) open(t *testing.T) backend.Store {
	t.Helper()
	return k.openAt(t, k.Fresh(t))
}

// openAt opens the store at savePath; it is closed when the test ends.
func (k Kind) openAt(t *testing.T, savePath string) backend.Store {
	t.Helper()
	store, err := backend.Open(k.Name, savePath)
	if err != nil {
		t.Fatal(err)
	}
	if k.Count != nil {
		opened.Store(store, func(t testing.TB) int { return k.Count(t, savePath) })
	}
	t.Cleanup(func() {
		opened.Delete(store)
		if err := closeStore(store); err != nil {
			t.Errorf("close the %s store: %v", k.Name, err)
		}
	})
	return store
}

func closeStore(store backend.Store) error {
	if c, ok := store.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

// records returns how many records a store has.
func records(t testing.TB, store backend.Store) int {
	t.Helper()
	if count, ok := opened.Load(store); ok {
		return count.(func(testing.TB) int)(t)
	}
	counter, ok := store.(backend.Counter)
	if !ok {
		t.Fatalf("%T does not count its records, and its Kind has no Count", store)
	}
	n, err := counter.Count(context.Background())
	if err != nil {
		t.Fatalf("Count: %v", err)
	}
	return n
}

func dumpFiles(t testing.TB, savePath string) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(savePath, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(append(all, path...), content...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shards are the directories in which the file store keeps its sessions.
func shards(savePath string) (paths []string) {
	for i := range 256 {
		paths = append(paths, filepath.Join(savePath, fmt.Sprintf("%02x", i)))
	}
	return paths
}

// errTest is what a store says in tests that make it fail.
var errTest = errors.New("the store says no")
