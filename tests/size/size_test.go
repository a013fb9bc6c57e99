// Package size holds how much larger sessions make a program.
package size

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestBinarySize builds programs with and without sessions. What is linked
// into a program that has it already costs nothing: log/slog and encoding/json
// are 526 of the kB that a hello-world grows by, or 368 stripped, and most
// servers have both.
func TestBinarySize(t *testing.T) {
	measured := runtime.GOOS == "linux" && runtime.GOARCH == "amd64" // where the limits come from
	// All four are made of the same packages, compiled once: -trimpath is a
	// flag of the compiler's.
	plain := []string{"-trimpath"}
	stripped := append(plain[:1:1], "-ldflags=-s -w")
	for _, c := range []struct {
		name          string
		without, with string
		flags         []string
		limit         int64 // kB
	}{
		{"a server that logs with slog and answers JSON, stripped", "app", "appsession", stripped, 960},
		{"a server that logs with slog and answers JSON", "app", "appsession", plain, 1470},
		{"hello-world, stripped", "hello", "hellosession", stripped, 1330},
		{"hello-world", "hello", "hellosession", plain, 2000},
	} {
		grown := (built(t, c.with, c.flags) - built(t, c.without, c.flags)) / 1000
		t.Logf("%s: %d kB larger with sessions, at most %d", c.name, grown, c.limit)
		if grown > c.limit && measured {
			t.Errorf("%s: %d kB larger with sessions, at most %d", c.name, grown, c.limit)
		}
	}
}

// built returns the size of the program, in bytes.
func built(t *testing.T, program string, flags []string) int64 {
	t.Helper()
	info, err := os.Stat(build(t, program, flags))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// build builds the program.
func build(t *testing.T, program string, flags []string) (file string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), program)
	args := append([]string{"build", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, "./testdata/"+program)...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", program, err, text)
	}
	return out
}
