package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inRoot makes the root of the module the current directory, as for the
// command.
func inRoot(t *testing.T) {
	t.Helper()
	t.Chdir("../..")
}

// TestFaultsAreUpToDate fails when the code that a fault is planted in, or the
// test that finds it, is not what the list says.
func TestFaultsAreUpToDate(t *testing.T) {
	inRoot(t)
	tests := map[string][]string{} // by package
	names := map[string]bool{}
	for _, f := range all() {
		code, err := os.ReadFile(f.file)
		if err != nil {
			t.Errorf("%s: %v", f.what, err)
		}
		if n := strings.Count(string(code), f.old); n != 1 {
			t.Errorf("%s: this text is %d times in %s, not once:\n%s", f.what, n, f.file, f.old)
		}
		if f.old == f.new {
			t.Errorf("%s: it changes nothing", f.what)
		}
		if names[f.what] {
			t.Errorf("%s: two faults of this name", f.what)
		}
		names[f.what] = true
		if tests[f.pkg] == nil {
			tests[f.pkg] = testsIn(t, f.pkg)
		}
		if fn := f.function(); !slices.Contains(tests[f.pkg], fn) {
			t.Errorf("%s: package %s has no test %s", f.what, f.pkg, fn)
		}
	}
}

// testsIn returns the names of the test functions of the package in dir.
func testsIn(t *testing.T, dir string) (tests []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && isTest(fn.Name.Name) {
				tests = append(tests, fn.Name.Name)
			}
		}
	}
	return tests
}

// TestAskedFaultsAreThere: the faults that every list must have are in it.
func TestAskedFaultsAreThere(t *testing.T) {
	for _, a := range asked {
		for _, name := range a.faults {
			if !slices.ContainsFunc(all(), func(f fault) bool { return f.what == name }) {
				t.Errorf("%s: there is no fault %q", a.what, name)
			}
		}
	}
}

// TestPageIsUpToDate: docs/evidence/mutations.md is what the list and the recorded
// results make.
func TestPageIsUpToDate(t *testing.T) {
	inRoot(t)
	kept, err := readResults(resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, page(all(), kept)) {
		t.Errorf("%s is not what the faults and %s make: go -C tests run ./mutate -table", pageFile, resultsFile)
	}
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")
}
