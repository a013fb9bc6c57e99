package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	// What the pages show: imported so that a change of theirs runs these
	// tests again, which go test would otherwise answer from its cache.
	_ "github.com/chisession/session"
	_ "github.com/chisession/session/admin"
	_ "github.com/chisession/session/backend/backendtest"
	_ "github.com/chisession/session/backend/file"
	_ "github.com/chisession/session/backend/memory"
	_ "github.com/chisession/session/backend/mysql"
	_ "github.com/chisession/session/backend/redis"
	_ "github.com/chisession/session/conf"
	_ "github.com/chisession/session/cookie"
	_ "github.com/chisession/session/devicebound"
	_ "github.com/chisession/session/flash"
	_ "github.com/chisession/session/migrate/beego"
	_ "github.com/chisession/session/migrate/gorilla"
	_ "github.com/chisession/session/migrate/scs"
	_ "github.com/chisession/session/sessiontest"
)

const root = "../.."

// pages returns the Markdown files of the module by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".md" {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.ToSlash(rel)] = string(text)
	}
	if texts["README.md"] == "" {
		t.Fatal("README.md is not there")
	}
	return texts
}

// compiled returns an importer of the packages that the module builds, and
// of those that all name, from the compiler's own export data.
func compiled(t *testing.T, all []block) types.Importer {
	t.Helper()
	paths := slices.Collect(maps.Values(packages))
	for _, b := range all {
		f, _, err := b.parse(token.NewFileSet())
		if err != nil {
			continue // it is reported where it is checked
		}
		for _, spec := range f.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	args := append([]string{"list", "-e", "-export", "-deps", "-json=ImportPath,Export"}, slices.Compact(paths)...)
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	exports := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no package %s\n%s", path, stderr.Bytes())
		}
		return os.Open(exports[path])
	})
}

// TestCodeCompiles checks every Go block of README.md and docs.
func TestCodeCompiles(t *testing.T) {
	var all []block
	perPage := map[string]int{}
	for name, text := range pages(t) {
		found, err := blocks(name, text)
		if err != nil {
			t.Error(err)
		}
		all = append(all, found...)
		perPage[name] = len(found)
	}
	if perPage["README.md"] < 3 {
		t.Errorf("README.md has %d Go blocks: are they found?", perPage["README.md"])
	}
	packages := compiled(t, all)
	for _, b := range all {
		if err := b.check(packages); err != nil {
			t.Errorf("the block at %s:%d is wrong:\n%v", b.file, b.line, err)
		}
	}
}

// TestProgramIsShort keeps the README's first program one to be read at a
// glance.
func TestProgramIsShort(t *testing.T) {
	found, err := blocks("README.md", pages(t)["README.md"])
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(found, func(b block) bool { return strings.HasPrefix(b.code, "package main") })
	if i < 0 {
		t.Fatal("README.md has no complete program")
	}
	if n := strings.Count(found[i].code, "\n"); n > 30 {
		t.Errorf("the first program has %d lines, want about 20", n)
	}
}

func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(pages(t)["README.md"], "\n"); n > 220 {
		t.Errorf("README.md has %d lines, want at most 220", n)
	}
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	verbatim = regexp.MustCompile("(?ms)^```.*?^```|`[^`\n]*`") // where Key[T]("name") is no link
)

// TestLinks finds relative links that lead nowhere.
func TestLinks(t *testing.T) {
	texts := pages(t)
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(verbatim.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := name
			if target != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(texts[to]), anchor) {
				t.Errorf("%s links to %s: %s has no such heading", name, m[1], to)
			}
		}
	}
}

// anchors returns the names that GitHub gives to the headings of a page.
func anchors(text string) []string {
	var names []string
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		heading := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
				return r
			}
			return -1
		}, heading))
	}
	return names
}

// A check that finds nothing wrong with anything would pass all the same.
func TestCheckFindsMistakes(t *testing.T) {
	fence := func(code string) string { return "text\n\n```go\n" + code + "```\n" }
	tests := []struct {
		name, text string
		want       string // in the error; empty: there is none
	}{
		{"program", fence("package main\n\nfunc main() { println(1) }\n"), ""},
		{"statements", fence("m, err := session.New(session.Config{})\n"), ""},
		{"declarations", fence("func f(r *http.Request) { session.FromContext(r).NoTouch() }\n"), ""},
		{"declared twice", fence("cfg, err := conf.Load(\"a\")\ncfg, err := conf.FromEnv(\"A_\")\n"), ""},
		{"own import", fence("import \"math/bits\"\n\nvar n = bits.Len(3)\n"), ""},
		{"parameters", "<!-- go: s *session.Session -->\n" + fence("s.Set(\"a\", 1)\n")[6:], ""},
		{"parameters of declarations", "<!-- go: h http.Handler, n int -->\n" + fence("func f() { h.ServeHTTP(nil, nil); n++ }\n")[6:], ""},
		{"import with parameters", "<!-- go: n int -->\n" + fence("import \"math/bits\"\n\nvar m = bits.Len(uint(n))\n")[6:], ""},
		{"a file of another module", "<!-- file: a/main.go -->\n" + fence("nonsense()\n")[6:], ""},
		{"only the block behind the comment", "<!-- file: a/main.go -->\n" + fence("nonsense()\n")[6:] + fence("nonsense()\n"), "undefined: nonsense"},
		{"other language", "```text\nthis is no code\n```\n", ""},
		{"no such function", fence("session.Nonsense()\n"), "\ndocs/a.md:4: undefined: session.Nonsense"},
		{"no such method", fence("func f(s *session.Session) { s.Put(1) }\n"), "s.Put undefined"},
		{"no such field", fence("cfg := session.Config{Backend: \"file\"}\n"), "unknown field Backend"},
		{"wrong type", fence("cfg := session.Config{IdleTimeout: \"1h\"}\n"), "a.md:4"},
		{"wrong arguments", fence("func f(s *session.Session) { s.Set(\"a\") }\n"), "not enough arguments"},
		{"undefined name", fence("s.Set(\"a\", 1)\n"), "undefined: s"},
		{"syntax", fence("m := session.New(\n"), "a.md:"},
		{"unused in a program", fence("package main\n\nfunc main() { a := 1 }\n"), "declared and not used"},
		{"missing import in a program", fence("package main\n\nfunc main() { fmt.Println() }\n"), "undefined: fmt"},
		{"no such package", fence("import \"example.invalid/nothing\"\n\nvar _ = nothing.A\n"), "example.invalid/nothing"},
		{"no end", "```go\nx := 1\n", "no end"},
		{"comment without a block", "<!-- go: n int -->\ntext\n", "no block"},
	}
	var all []block
	for _, tt := range tests {
		found, _ := blocks("docs/a.md", tt.text)
		all = append(all, found...)
	}
	packages := compiled(t, all)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := blocks("docs/a.md", tt.text)
			for _, b := range found {
				err = errors.Join(err, b.check(packages))
			}
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("check: %v, want no error", err)
			case tt.want != "" && (err == nil || !strings.Contains("\n"+err.Error(), tt.want)):
				t.Errorf("check: %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// Every name in packages is that of the package.
func TestPackages(t *testing.T) {
	importer := compiled(t, nil)
	for name, path := range packages {
		p, err := importer.Import(path)
		if err != nil {
			t.Error(err)
		} else if p.Name() != name {
			t.Errorf("package %s is called %s", path, p.Name())
		}
	}
}
