package faults

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// nothingReadable searches the whole of a store, as a thief would have it,
// for the values.
func nothingReadable(t *testing.T, k kind, savePath string) {
	t.Helper()
	dir := savePath
	switch k.name {
	case "mysql":
		dir = filepath.Join(mariaDB.get(t).Dir(), "data")
	case "redis":
		dir = redisServer.get(t).Dir() // with the append-only file
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // a file may go while we walk
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		if bytes.Contains(b, []byte(mark)) {
			t.Errorf("a value is readable in %s", path)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("searched %d files of the store: %v", files, err)
	}
}
