package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"testing"
)

const sample = `package p

var limit = 4

type T struct{}

// M has a receiver without a name.
func (T) M(_ int, name string, more ...byte) (n int, err error) {
	return len(more), nil
}

func (t *T) quiet(a, b int) {
	limit = a - b
}

func generic[E any](e E) E { return e }

func twice() int { return limit + limit }
`

func TestAlternativesCompile(t *testing.T) {
	file, err := newSwitchFile("sample.go", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for number, f := range map[string]fault{
		"1": {what: "one", old: "len(more), nil", new: "len(more) + 1, nil"},
		"2": {what: "two", old: "	return len(more), nil\n", new: "	return 0, nil\n"},
		"3": {what: "three", old: "a - b", new: "b - a"},
		"4": {what: "four", old: "func twice() int { return limit", new: "func twice() int { return 0"},
	} {
		if !file.add(f, number) {
			t.Errorf("%q is no alternative", f.old)
		}
	}
	text := string(file.text())
	set := token.NewFileSet()
	var files []*ast.File
	for name, src := range map[string]string{"sample.go": text, "planted_fault.go": "package p\n\nvar plantedFault string\n"} {
		parsed, err := parser.ParseFile(set, name, src, 0)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, src)
		}
		files = append(files, parsed)
	}
	if _, err := new(types.Config).Check("p", set, files, nil); err != nil {
		t.Errorf("%v in:\n%s", err, text)
	}
	for _, want := range []string{
		"case \"1\":\n\t\treturn receiver0.MFault1(unnamed0, name, more...)",
		"case \"3\":\n\t\tt.quietFault3(a, b)\n",
		"default:\n\t\treturn twiceSound()",
		"//line two:1\nfunc (T) MFault2(_ int, name string, more ...byte) (n int, err error) {\n\treturn 0, nil\n}",
		"//line sample.go:18\nfunc twiceSound() int { return limit + limit }",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

// What cannot be an alternative is planted alone.
func TestNoAlternative(t *testing.T) {
	file, err := newSwitchFile("sample.go", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]fault{
		"a variable":              {old: "limit = 4", new: "limit = 5"},
		"twice":                   {old: "limit", new: "0"},
		"not there":               {old: "unlimited", new: "0"},
		"a generic function":      {old: "return e }", new: "panic(0) }"},
		"more than one function":  {old: "nil\n}\n\nfunc (t *T) quiet(a, b int) {\n", new: "nil\n}\n\nfunc (t *T) quiet(a, b int) {\nreturn\n"},
		"a function that becomes": {old: "limit = a - b", new: "}\n\nfunc (t *T) other() {"},
		"no Go any more":          {old: "limit = a - b", new: "}}"},
	} {
		if file.add(f, "1") {
			t.Errorf("%s: %q is an alternative", what, f.old)
		}
	}
}
