package session_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/chisession/session/backend/mysql" // save paths that it refuses are tested
	_ "github.com/chisession/session/backend/redis" // and so are Redis's
	"github.com/chisession/session/internal/behaviour"
	"github.com/chisession/session/internal/leak"
	"github.com/chisession/session/internal/testserver"
)

// TestBehaviour runs what sessions promise, on the backends that need no server.
// The others are in tests/behaviour.
func TestBehaviour(t *testing.T) {
	behaviour.Run(t, behaviour.Memory, behaviour.File)
}

// The table of refusals has every call that there is.
func TestCallsAreClassified(t *testing.T) {
	for _, dir := range []string{".", "flash"} {
		for _, name := range callsIn(t, dir) {
			if !behaviour.Classified(name) {
				t.Errorf("%s is not in the table: does it change a session?", name)
			}
		}
	}
}

// callsIn returns the exported functions and methods of the package in dir
// that have a session: their receiver, or a parameter.
func callsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() {
				continue
			}
			if fn.Recv == nil && slices.ContainsFunc(fn.Type.Params.List, func(f *ast.Field) bool { return hasSession(f.Type) }) {
				names = append(names, file.Name.Name+"."+fn.Name.Name)
			}
			if fn.Recv != nil {
				if on := typeName(fn.Recv.List[0].Type); on == "Session" || on == "Flash" {
					names = append(names, on+"."+fn.Name.Name)
				}
			}
		}
	}
	return names
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func hasSession(e ast.Expr) bool { return typeName(e) == "Session" || typeName(e) == "Request" }

// TestMain fails the run if a goroutine is left over: of a manager that was not
// closed, of a request that was not released, of a store.
func TestMain(m *testing.M) {
	testserver.MoreParallel(4)
	os.Exit(leak.Main(m))
}
