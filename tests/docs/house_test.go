package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestHouse compares the house that CONTRIBUTING.md draws with the folders: it
// has each package and each file of the root, and nothing that is not there.
func TestHouse(t *testing.T) {
	drawn := house(t, pages(t)["CONTRIBUTING.md"])
	for _, dir := range []string{".", "backend", "internal", "tests"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			t.Fatal(err)
		}
		var there []string
		for _, e := range entries {
			name := e.Name()
			isRoom := e.IsDir() && !strings.HasPrefix(name, ".") && hasGo(t, filepath.Join(root, dir, name))
			isFile := dir == "." && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
			if isRoom || isFile || dir == "." && name == "docs" {
				there = append(there, name)
			}
		}
		for _, name := range there {
			if !slices.Contains(drawn[dir], name) {
				t.Errorf("CONTRIBUTING.md does not draw %s", filepath.Join(dir, name))
			}
		}
		for _, name := range drawn[dir] {
			if !slices.Contains(there, name) {
				t.Errorf("CONTRIBUTING.md draws %s, which is not there", filepath.Join(dir, name))
			}
		}
	}
}

// house returns what the drawing has in each folder.
func house(t *testing.T, page string) map[string][]string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "## The house\n\n```text\nsession/")
	drawing, _, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatal("CONTRIBUTING.md has no drawing of the house")
	}
	drawn, parent := map[string][]string{}, "."
	for _, line := range strings.Split(drawing, "\n")[1:] {
		indented := strings.HasPrefix(line, "  ")
		for _, name := range strings.Fields(line) {
			room, isRoom := strings.CutSuffix(name, "/")
			if !isRoom && !strings.HasSuffix(name, ".go") {
				break // its description begins
			}
			switch {
			case !isRoom || !indented:
				drawn["."] = append(drawn["."], room)
			default:
				drawn[parent] = append(drawn[parent], room)
			}
			if isRoom && !indented {
				parent = room
			}
		}
	}
	return drawn
}

// hasGo reports whether there is Go code below dir.
func hasGo(t *testing.T, dir string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			found = true
			return filepath.SkipAll
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
