package docs

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const recipesPage, recipesFolder = "docs/recipes.md", "examples/recipes"

var writeRecipes = flag.Bool("recipes", false, "write the programs of examples/recipes into the pages that show them")

// shown is where a page shows a file, with the code that it shows.
var shown = regexp.MustCompile("(?s)<!-- file: (\\S+) -->\n(?:```(?:go|text)\n(.*?)```\n)?")

// TestShownFiles: the pages show files as they are, and as they are tested. With
// -recipes it writes them there.
func TestShownFiles(t *testing.T) {
	for name, page := range pages(t) {
		want := shown.ReplaceAllStringFunc(page, func(found string) string {
			file := shown.FindStringSubmatch(found)[1]
			language := "text"
			if filepath.Ext(file) == ".go" {
				language = "go"
			}
			return "<!-- file: " + file + " -->\n```" + language + "\n" + content(t, file) + "```\n"
		})
		if page == want {
			continue
		}
		if !*writeRecipes {
			t.Errorf("%s does not show files as they are: go -C tests test ./docs -run ShownFiles -recipes", name)
		} else if err := os.WriteFile(filepath.Join(root, name), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRecipes: docs/recipes.md has each recipe, of 40 lines at the most, and each
// has a test.
func TestRecipes(t *testing.T) {
	onPage := map[string]bool{}
	for _, m := range shown.FindAllStringSubmatch(pages(t)[recipesPage], -1) {
		onPage[filepath.Dir(m[1])] = true
		if n := strings.Count(content(t, m[1]), "\n"); n > 40 {
			t.Errorf("%s has %d lines, want at most 40", m[1], n)
		}
	}
	for _, dir := range recipeFolders(t) {
		if !onPage[dir] && dir != recipesFolder+"/beego" { // which is docs/from-beego.md's
			t.Errorf("%s does not show %s", recipesPage, dir)
		}
		content(t, dir+"/main_test.go")
	}
}

// content returns the text of a file of the repository.
func content(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// recipeFolders returns the folders of the programs, relative to the repository.
func recipeFolders(t *testing.T) (dirs []string) {
	t.Helper()
	mains, err := filepath.Glob(filepath.Join(root, recipesFolder, "*", "main.go"))
	if err != nil || len(mains) < 10 {
		t.Fatalf("%s has %d programs (%v), want at least 10", recipesFolder, len(mains), err)
	}
	for _, path := range mains {
		dirs = append(dirs, recipesFolder+"/"+filepath.Base(filepath.Dir(path)))
	}
	return dirs
}
