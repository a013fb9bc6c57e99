package docs

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// A block is the Go code between two fences.
type block struct {
	file   string
	line   int    // of its first line of code
	params string // from the comment before it
	code   string
}

// ofFile begins the comment before a block that is a file of a module of its own,
// which compiles it; TestRecipes compares.
const ofFile = "<!-- file:"

// blocks finds the Go blocks of a Markdown text.
func blocks(file, text string) ([]block, error) {
	const comment = "<!-- go:"
	var found []block
	var params string
	var inside, isGo, isFile bool
	var b block
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case !inside && strings.HasPrefix(trimmed, "```"):
			inside, isGo, isFile = true, trimmed == "```go" && !isFile, false
			b = block{file: file, line: i + 2, params: params}
			params = ""
		case inside && trimmed == "```":
			inside = false
			if isGo {
				found = append(found, b)
			}
		case inside:
			b.code += line + "\n"
		case strings.HasPrefix(trimmed, comment):
			params = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(trimmed, comment), "-->"))
		case strings.HasPrefix(trimmed, ofFile):
			isFile = true
		case trimmed != "":
			if params != "" {
				return nil, fmt.Errorf("%s:%d: there is no block after the comment %s", file, i+1, comment)
			}
		}
	}
	if inside {
		return nil, fmt.Errorf("%s:%d: the block has no end", file, b.line)
	}
	return found, nil
}

const module = "github.com/chisession/session"

// packages are those that fragments can name without an import.
var packages = map[string]string{
	"session":     module,
	"backend":     module + "/backend",
	"backendtest": module + "/backend/backendtest",
	"memory":      module + "/backend/memory",
	"file":        module + "/backend/file",
	"mysql":       module + "/backend/mysql",
	"redis":       module + "/backend/redis",
	"admin":       module + "/admin",
	"migrate":     module + "/migrate",
	"beego":       module + "/migrate/beego",
	"scs":         module + "/migrate/scs",
	"conf":        module + "/conf",
	"cookie":      module + "/cookie",
	"flash":       module + "/flash",
	"sessiontest": module + "/sessiontest",
	"devicebound": module + "/devicebound",
	"chi":         "github.com/go-chi/chi/v5",
	"sqlx":        "github.com/jmoiron/sqlx",
	"context":     "context",
	"sql":         "database/sql",
	"errors":      "errors",
	"fmt":         "fmt",
	"http":        "net/http",
	"httptest":    "net/http/httptest",
	"log":         "log",
	"os":          "os",
	"signal":      "os/signal",
	"slog":        "log/slog",
	"strings":     "strings",
	"synctest":    "testing/synctest",
	"syscall":     "syscall",
	"testing":     "testing",
	"time":        "time",
	"url":         "net/url",
}

// parse returns the block as a file, and whether it is a fragment.
func (b block) parse(fset *token.FileSet) (*ast.File, bool, error) {
	if strings.HasPrefix(b.code, "package ") {
		f, err := parser.ParseFile(fset, "", b.at(b.code), parser.SkipObjectResolution)
		return f, false, err
	}
	// Declarations, or else statements. What is to be imported is found in
	// the text when it parses without.
	forms := [2]string{
		"package p;%s\n%s\n" + b.variables(),
		"package p;%s\nfunc _(" + b.params + ") {\n%s}\n",
	}
	var errs [2]error
	for i, form := range forms {
		var f *ast.File
		f, errs[i] = parser.ParseFile(fset, "", fmt.Sprintf(form, "", b.at(b.code)), parser.SkipObjectResolution)
		if errs[i] == nil {
			f, err := parser.ParseFile(fset, "", fmt.Sprintf(form, imports(f), b.at(b.code)), parser.SkipObjectResolution)
			return f, true, err
		}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(b.code), " ")
	if slices.Contains([]string{"func", "type", "import", "const", "var"}, first) {
		return nil, true, errs[0]
	}
	return nil, true, errs[1]
}

// variables declares the parameters for a block of declarations.
func (b block) variables() string {
	if b.params == "" {
		return ""
	}
	return "var " + strings.Join(strings.Split(b.params, ", "), ";var ")
}

// at makes positions in code those of the Markdown file.
func (b block) at(code string) string { return fmt.Sprintf("//line %s:%d\n%s", b.file, b.line, code) }

// imports returns the import declarations of the packages that f names and
// does not import itself.
func imports(f *ast.File) string {
	own := map[string]bool{}
	for _, spec := range f.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		own[name] = true
	}
	named := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && packages[x.Name] != "" && !own[x.Name] {
				named[x.Name] = true
			}
		}
		return true
	})
	var b strings.Builder
	for name := range named {
		fmt.Fprintf(&b, "import %s %q;", name, packages[name])
	}
	return b.String()
}

// check returns what a compiler has to say against the block. A fragment may
// leave unused what it declares, and declare it twice.
func (b block) check(importer types.Importer) error {
	fset := token.NewFileSet()
	f, fragment, err := b.parse(fset)
	if err != nil {
		return err
	}
	var wrong []error
	conf := types.Config{
		Importer: importer,
		Error: func(err error) {
			var e types.Error
			if fragment && errors.As(err, &e) && e.Soft {
				return
			}
			wrong = append(wrong, err)
		},
	}
	conf.Check(f.Name.Name, fset, []*ast.File{f}, nil) // its error is the first of wrong
	return errors.Join(wrong...)
}
