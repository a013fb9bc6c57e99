package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Papers that the project was planned with are not here, so nothing cites them:
// not their names, not their numbers. The pieces are apart so that this file
// does not find itself.
var papers = regexp.MustCompile(strings.Join([]string{
	"BEHAV" + "IOURS", "SECURITY" + "-BAR", "DESIGN" + `( §|\.md)`, "Test" + "Bar", "Test" + `Behaviour[A-Z]\b`, "Test" + `[0-9]`,
	`\bcas` + `es? [0-9]`,
}, "|"))

// TestNothingCitesPapers: a test is called after what it shows, and a comment
// says why itself.
func TestNothingCitesPapers(t *testing.T) {
	for _, name := range tracked(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			continue // removed, or no text
		}
		for n, line := range strings.Split(string(text), "\n") {
			if papers.MatchString(line) {
				t.Errorf("%s:%d cites what is not in the repository: %s", name, n+1, line)
			}
		}
	}
}

// tracked returns the names of the repository's files.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "-z").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}
