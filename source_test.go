package session_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	gotypes "go/types"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chisession/session"
)

// TestNoShortCircuit: no code compares a secret or its hash with ==,
// bytes.Equal or the like, but where the line says why.
func TestNoShortCircuit(t *testing.T) {
	allowed := map[string]string{
		"got.Hash == w.after.Head.Hash": "stored: is the record that has our random ID our own write? both are ours, no client sent either",
		"*next == c.Cred":               "stored: has this request itself renewed?",
	}
	secretive := regexp.MustCompile(`(?i)(^|[.*&(])(hash|cred|next|secret|token|own)(\(\))?(\[.*\])?\)?$`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"record", "stored"} {
		more, err := filepath.Glob("internal/" + dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	constantTime, looked := 0, 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		looked++
		ast.Inspect(f, func(n ast.Node) bool {
			var operands []ast.Expr
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					operands = []ast.Expr{n.X, n.Y}
				}
			case *ast.CallExpr:
				switch gotypes.ExprString(n.Fun) {
				case "subtle.ConstantTimeCompare":
					constantTime++
				case "bytes.Equal", "bytes.Compare", "slices.Equal", "slices.Compare", "strings.Compare", "strings.EqualFold", "reflect.DeepEqual":
					operands = n.Args
				}
			}
			hits := 0
			for _, e := range operands {
				if text := gotypes.ExprString(e); text == "nil" || text == "0" {
					return true
				} else if secretive.MatchString(text) {
					hits++
				}
			}
			if hits == len(operands) && hits > 0 && allowed[gotypes.ExprString(n.(ast.Expr))] == "" {
				t.Errorf("%s: %s", set.Position(n.Pos()), gotypes.ExprString(n.(ast.Expr)))
			}
			return true
		})
	}
	if looked < 20 || constantTime != 1 {
		t.Errorf("%d files have %d constant-time comparisons, want one, in Credentials.Matches", looked, constantTime)
	}
}

// TestNoGob: nothing but package migrate, which reads what Beego wrote,
// has gob, and it only after a check of its own.
func TestNoGob(t *testing.T) {
	for _, dir := range []string{".", "backend", "backend/file", "backend/memory", "backend/mysql", "backend/redis", "internal/record", "internal/stored", "flash", "cookie"} {
		packages, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range packages {
			if !strings.HasSuffix(file.Name(), ".go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), dir+"/"+file.Name(), nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range f.Imports {
				if spec.Path.Value == `"encoding/gob"` {
					t.Errorf("%s/%s imports %s", dir, file.Name(), spec.Path.Value)
				}
			}
		}
	}
}

// A key may be of any length; a log line may not.
func TestLongKeyInErrors(t *testing.T) {
	err := &session.ValueError{Key: strings.Repeat("é", 1<<20), Type: "int", Err: session.ErrTooLarge}
	if text := err.Error(); len(text) > 300 || !strings.Contains(text, "éé…") {
		t.Errorf("the error is %d bytes: %.300s", len(text), text)
	}
}

// TestNoMathRandForTokens lists who uses math/rand, and for what: nobody for
// tokens.
func TestNoMathRandForTokens(t *testing.T) {
	allowed := map[string]string{
		"internal/record/head.go":  "commit IDs, which are readable and open nothing",
		"internal/stored/retry.go": "the pause before a retry", "gc/gc.go": "the collector's jitter",
		"internal/watch/pass.go":              "the poller's jitter",
		"backend/internal/sqlcall/sqlcall.go": "the pause before a retry", "backend/internal/redistest/duel.go": "whose turn it is in a benchmark",
		"backend/sqlite/call.go": "the pause before a retry", "backend/file/shard.go": "the pause before a lock is tried again",
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			top, _, _ := strings.Cut(path, "/")
			if strings.HasPrefix(d.Name(), ".") && path != "." || !strings.Contains(" . backend cookie gc flash conf internal ", " "+top+" ") || d.Name() == "backendtest" || d.Name() == "testserver" || d.Name() == "behaviour" {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			if strings.HasPrefix(spec.Path.Value, `"math/rand`) && allowed[path] == "" {
				t.Errorf("%s imports %s", path, spec.Path.Value)
			}
			if path == "internal/record/token.go" && spec.Path.Value == `"crypto/rand"` {
				allowed["seen"] = "crypto/rand"
			}
		}
		return nil
	})
	if err != nil || allowed["seen"] == "" {
		t.Errorf("internal/record/token.go does not import crypto/rand, or is not there: %v", err)
	}
}
