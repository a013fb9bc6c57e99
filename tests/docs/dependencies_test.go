package docs

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A requirement is a module at a version.
type requirement struct{ path, version string }

// dependencyRow is a row of a table of docs/dependencies.md that names a
// module: its path, version, licence, last release, and who requires it.
var dependencyRow = regexp.MustCompile("(?m)^\\| `([^`]+\\.[^`]+/[^`]+)` \\| (v[^ |]+) \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")

// TestDependencies: docs/dependencies.md has every module that a go.mod of
// the repository requires directly, at that version, with who requires it;
// and nothing else.
func TestDependencies(t *testing.T) {
	want := requirements(t)
	if len(want) < 10 {
		t.Fatalf("the go.mod files require %d modules, want at least 10: were they found?", len(want))
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[requirement][]string{}
	for _, cells := range dependencyRow.FindAllStringSubmatch(string(text), -1) {
		by := strings.Split(cells[5], ", ")
		slices.Sort(by)
		got[requirement{cells[1], cells[2]}] = by
	}
	for r, by := range want {
		switch listed, ok := got[r]; {
		case !ok:
			t.Errorf("docs/dependencies.md has no row for %s %s, which %s requires", r.path, r.version, strings.Join(by, ", "))
		case !slices.Equal(listed, by):
			t.Errorf("docs/dependencies.md says that %s is required by %v, the go.mod files say %v", r.path, listed, by)
		}
	}
	for r := range got {
		if want[r] == nil {
			t.Errorf("docs/dependencies.md has a row for %s %s, which no go.mod requires directly", r.path, r.version)
		}
	}
}

// requirements returns what the go.mod files of the repository require
// directly, each with the folders of those that do; "root" is the top one.
func requirements(t *testing.T) map[requirement][]string {
	t.Helper()
	all := map[requirement][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "go.mod" {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		by := filepath.ToSlash(folder)
		if by == "." {
			by = "root"
		}
		if _, err := os.Stat(path); err != nil { // go test's cache then knows of the file
			return err
		}
		var file struct {
			Require []struct {
				Path, Version string
				Indirect      bool
			}
		}
		cmd := exec.Command("go", "mod", "edit", "-json", path)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go mod edit -json %s: %v\n%s", path, err, stderr.Bytes())
		}
		if err := json.Unmarshal(out, &file); err != nil {
			return err
		}
		for _, r := range file.Require {
			if r.Indirect || r.Path == module || strings.HasPrefix(r.Path, module+"/") {
				continue
			}
			key := requirement{r.Path, r.Version}
			all[key] = append(all[key], by)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range all {
		slices.Sort(by)
	}
	return all
}
