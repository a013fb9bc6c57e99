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

var writeRecipes = flag.Bool("recipes", false, "write the programs of examples/recipes into docs/recipes.md")

// shown is where the page shows a file, with the code that it shows.
var shown = regexp.MustCompile("(?s)<!-- file: (\\S+) -->\n(?:```(?:go|text)\n(.*?)```\n)?")

// TestRecipes: docs/recipes.md shows the recipes as they are and as they are
// tested, each of 40 lines at the most. With -recipes it writes them there.
func TestRecipes(t *testing.T) {
	page := pages(t)[recipesPage]
	onPage := map[string]bool{}
	want := shown.ReplaceAllStringFunc(page, func(found string) string {
		name := shown.FindStringSubmatch(found)[1]
		onPage[name] = true
		code := recipe(t, name)
		if n := strings.Count(code, "\n"); n > 40 {
			t.Errorf("%s has %d lines, want at most 40", name, n)
		}
		language := "text"
		if filepath.Ext(name) == ".go" {
			language = "go"
		}
		return "<!-- file: " + name + " -->\n```" + language + "\n" + code + "```\n"
	})
	if len(onPage) == 0 {
		t.Fatalf("%s shows no file", recipesPage)
	}
	if *writeRecipes {
		if err := os.WriteFile(filepath.Join(root, recipesPage), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if page != want {
		t.Errorf("%s does not show the recipes as they are: go -C tests test ./docs -run Recipes -recipes", recipesPage)
	}
	for _, dir := range recipeFolders(t) {
		if !onPage[dir+"/main.go"] && !onPage[dir+"/main_test.go"] {
			t.Errorf("%s does not show %s", recipesPage, dir)
		}
		recipe(t, dir+"/main_test.go")
	}
}

// recipe returns the text of a file of the repository.
func recipe(t *testing.T, name string) string {
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
