//go:build linux || darwin || freebsd

package behaviour

import (
	"os"
	"syscall"
	"testing"
)

// lockFiles holds the locks of all shards, as another process would.
func lockFiles(t testing.TB, savePath string) (release func()) {
	t.Helper()
	var locked []*os.File
	for _, shard := range shards(savePath) {
		d, err := os.Open(shard)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		locked = append(locked, d)
	}
	return func() {
		for _, d := range locked {
			d.Close()
		}
	}
}
