package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// Most of what a fault costs is the compilation of tests that it has nothing
// to do with. So the copy keeps, of a package's test files, the one with the
// fault's test and those that it needs.

// A testFile is what decides whether a test file is needed.
type testFile struct {
	declares map[string]bool // names of the package
	methods  map[string]bool // types that it has methods of
	uses     map[string]bool // names that it does not declare itself
}

// testFiles reads the test files in dir.
func testFiles(dir string) (map[string]testFile, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	files := map[string]testFile{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return nil, err
		}
		files[name] = newTestFile(file)
	}
	return files, nil
}

func newTestFile(file *ast.File) testFile {
	f := testFile{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, id := range file.Unresolved {
		f.uses[id.Name] = true
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				f.declares[decl.Name.Name] = true
			} else {
				f.methods[receiver(decl.Recv.List[0].Type)] = true
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					f.declares[spec.Name.Name] = true
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						f.declares[id.Name] = true
					}
				}
			}
		}
	}
	return f
}

// receiver returns the name of a method's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// needed returns the files that a build of the test function fn needs: the one
// that declares it, TestMain's, and again and again those that declare what
// these use or have methods of their types.
func needed(files map[string]testFile, fn string) map[string]bool {
	need := map[string]bool{}
	wanted := map[string]bool{fn: true, "TestMain": true}
	for grown := true; grown; {
		grown = false
		for name, f := range files {
			if need[name] || !meet(f.declares, wanted) && !meet(f.methods, wanted) {
				continue
			}
			need[name], grown = true, true
			for use := range f.uses {
				wanted[use] = true
			}
			for own := range f.declares {
				if !strings.HasPrefix(own, "Test") {
					wanted[own] = true // its methods may be elsewhere
				}
			}
		}
	}
	return need
}

func meet(a, b map[string]bool) bool {
	for name := range a {
		if b[name] && name != "_" && name != "init" {
			return true
		}
	}
	return false
}

const aside = ".aside" // what it is called while it is not needed

// prune leaves the test files of pkg in the tree that the test fn needs.
func (t *tree) prune(pkg, fn string) error {
	if err := t.restore(pkg); err != nil {
		return err
	}
	files, err := testFiles(filepath.Join(t.dir, pkg))
	if err != nil {
		return err
	}
	need := needed(files, fn)
	for name := range files {
		if !need[name] {
			err = errors.Join(err, os.Rename(name, name+aside))
		}
	}
	return err
}

// restore brings the test files of pkg back.
func (t *tree) restore(pkg string) error {
	names, err := filepath.Glob(filepath.Join(t.dir, pkg, "*"+aside))
	for _, name := range names {
		err = errors.Join(err, os.Rename(name, strings.TrimSuffix(name, aside)))
	}
	if err != nil {
		return fmt.Errorf("bring the tests of %s back: %w", pkg, err)
	}
	return nil
}
