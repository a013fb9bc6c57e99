package testserver

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"
)

// TestDirEnv: servers are where the variable says, and else in the temporary
// directory.
func TestDirEnv(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		t.Setenv(DirEnv, dir)
		made, err := TempDir("place")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(made)
		if want := filepath.Clean(cmp.Or(dir, os.TempDir())); filepath.Dir(made) != want {
			t.Errorf("with %s=%q, TempDir made %s, not in %s", DirEnv, dir, made, want)
		}
	}
}
