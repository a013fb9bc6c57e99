package docs

import (
	"go/build/constraint"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestExamples: each package that users import has an example with its output
// checked, in a file that pkg.go.dev shows: one without a build constraint.
func TestExamples(t *testing.T) {
	sources := map[string]bool{}  // folders with a package to import
	examples := map[string]bool{} // folders with such an example
	for _, name := range tracked(t) {
		dir, base := filepath.Split(name)
		if filepath.Ext(name) != ".go" || isPrivate(dir) {
			continue
		}
		text := content(t, name)
		switch {
		case !strings.HasSuffix(base, "_test.go"):
			sources[dir] = sources[dir] || !strings.Contains(text, "\npackage main\n")
		case strings.Contains(text, "\nfunc Example") && strings.Contains(text, "// Output:") && !constrained(text):
			examples[dir] = true
		}
	}
	if len(sources) < 20 {
		t.Fatalf("%d packages, want at least 20: are they found?", len(sources))
	}
	for dir, library := range sources {
		if library && !examples[dir] {
			t.Errorf("%s has no example with its output", filepath.Join("session", dir))
		}
	}
}

// isPrivate reports whether nobody outside imports what is in dir.
func isPrivate(dir string) bool {
	return slices.ContainsFunc(strings.Split(filepath.ToSlash(dir), "/"), func(name string) bool {
		return slices.Contains([]string{"internal", "tests", "examples", "cmd", "benchmarks", "testdata"}, name)
	})
}

// constrained reports whether a file is built only with a tag.
func constrained(text string) bool {
	first, _, _ := strings.Cut(text, "\n")
	return constraint.IsGoBuild(first) || strings.Contains(text, "\n//go:build ")
}

// Without this, TestExamples would take any file for one that is shown.
func TestConstrained(t *testing.T) {
	for text, want := range map[string]bool{
		"package a\n":                                      false,
		"//go:build servers\n\npackage a\n":                true,
		"// A comment.\n//go:build servers\n\npackage a\n": true,
	} {
		if got := constrained(text); got != want {
			t.Errorf("constrained(%q) = %v, want %v", text, got, want)
		}
	}
}
