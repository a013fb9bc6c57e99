package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Nearly all the time that a fault costs is for compiling. So most faults are
// planted together: a function with faults becomes one that looks at an
// environment variable and calls the function as it was, or as it is with one
// of the faults. A build then serves for all of them.

// faultEnv holds the number of the fault that is on.
const faultEnv = "PLANTED_FAULT"

// plantTogether makes those of the faults that are within one Go function
// alternatives in the tree. It returns their numbers by name.
func (t *tree) plantTogether(faults []fault) (map[string]string, error) {
	byFile := map[string][]int{}
	for i, f := range faults {
		byFile[f.file] = append(byFile[f.file], i)
	}
	numbers := map[string]string{}
	for name, own := range byFile {
		if filepath.Ext(name) != ".go" {
			continue
		}
		path := filepath.Join(t.dir, name)
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file, err := newSwitchFile(filepath.Base(name), src)
		if err != nil {
			return nil, err
		}
		for _, i := range own {
			if number := strconv.Itoa(i); file.add(faults[i], number) {
				numbers[faults[i].what] = number
			}
		}
		if len(file.functions) == 0 {
			continue
		}
		if err := os.WriteFile(path, file.text(), 0o644); err != nil {
			return nil, err
		}
		global := fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar plantedFault = os.Getenv(%q)\n", file.ast.Name.Name, faultEnv)
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "planted_fault.go"), []byte(global), 0o644); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// A switchFile is a Go file in which some functions have alternatives.
type switchFile struct {
	name      string
	src       []byte
	ast       *ast.File
	functions map[*ast.FuncDecl][]alternative
}

// An alternative is a function's text with a fault, under a name of its own.
type alternative struct{ what, number, text string }

func newSwitchFile(name string, src []byte) (*switchFile, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", src, parser.SkipObjectResolution)
	return &switchFile{name, src, file, map[*ast.FuncDecl][]alternative{}}, err
}

// The positions of a file that was parsed alone are its offsets, plus one.
func (s *switchFile) between(from, to token.Pos) string { return string(s.src[from-1 : to-1]) }

// add makes f an alternative, and reports whether it could: its text must be
// there once, within one function, and leave it one.
func (s *switchFile) add(f fault, number string) bool {
	if bytes.Count(s.src, []byte(f.old)) != 1 {
		return false
	}
	from := token.Pos(bytes.Index(s.src, []byte(f.old)) + 1)
	to := from + token.Pos(len(f.old))
	for _, decl := range s.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || from < fn.Pos() || to > fn.End() || fn.Type.TypeParams != nil {
			continue
		}
		text, ok := renamed(s.between(fn.Pos(), from)+f.new+s.between(to, fn.End()), "Fault"+number)
		if ok {
			s.functions[fn] = append(s.functions[fn], alternative{f.what, number, text})
		}
		return ok
	}
	return false
}

// renamed returns the text of one function with suffix added to its name.
func renamed(function, suffix string) (string, bool) {
	const before = "package p;"
	file, err := parser.ParseFile(token.NewFileSet(), "", before+function, parser.SkipObjectResolution)
	if err != nil || len(file.Decls) != 1 {
		return "", false
	}
	fn, ok := file.Decls[0].(*ast.FuncDecl)
	if !ok {
		return "", false
	}
	at := int(fn.Name.End()) - 1 - len(before)
	return function[:at] + suffix + function[at:], true
}

// text is the file with the functions that choose, and their alternatives.
func (s *switchFile) text() []byte {
	var b bytes.Buffer
	end := s.ast.FileStart
	for _, decl := range s.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || s.functions[fn] == nil {
			continue
		}
		b.WriteString(s.between(end, fn.Pos()))
		s.writeSwitch(&b, fn)
		end = fn.End()
	}
	b.WriteString(s.between(end, s.ast.FileEnd))
	return b.Bytes()
}

func (s *switchFile) writeSwitch(b *bytes.Buffer, fn *ast.FuncDecl) {
	params, args := s.parameters(fn.Type.Params, "unnamed")
	header, callee := "func ", fn.Name.Name
	if fn.Recv != nil {
		recv, name := s.parameters(fn.Recv, "receiver")
		header += "(" + recv + ") "
		callee = name + "." + callee
	}
	header += fn.Name.Name + "(" + params + ") "
	call := "\t\t"
	if results := fn.Type.Results; results != nil {
		header += s.between(results.Pos(), results.End()) + " "
		call += "return "
	}
	b.WriteString(header + "{\n\tswitch plantedFault {\n")
	for _, a := range s.functions[fn] {
		fmt.Fprintf(b, "\tcase %q:\n%s%sFault%s(%s)\n", a.number, call, callee, a.number, args)
	}
	fmt.Fprintf(b, "\tdefault:\n%s%sSound(%s)\n\t}\n}\n", call, callee, args)
	// The compiler is to name the fault that it does not like.
	for _, a := range s.functions[fn] {
		fmt.Fprintf(b, "\n//line %s:1\n%s\n", a.what, a.text)
	}
	sound, _ := renamed(s.between(fn.Pos(), fn.End()), "Sound")
	fmt.Fprintf(b, "\n//line %s:%d\n%s", s.name, bytes.Count(s.src[:fn.Pos()-1], []byte("\n"))+1, sound)
}

// parameters returns the list as it is declared, with a name for each, which
// may be made of unnamed, and as it is passed on.
func (s *switchFile) parameters(list *ast.FieldList, unnamed string) (declared, passed string) {
	var params, args []string
	for _, field := range list.List {
		names := field.Names
		if names == nil {
			names = []*ast.Ident{ast.NewIdent("_")}
		}
		for _, id := range names {
			name := id.Name
			if name == "_" {
				name = fmt.Sprintf("%s%d", unnamed, len(params))
			}
			params = append(params, name+" "+s.between(field.Type.Pos(), field.Type.End()))
			if _, variadic := field.Type.(*ast.Ellipsis); variadic {
				name += "..."
			}
			args = append(args, name)
		}
	}
	return strings.Join(params, ", "), strings.Join(args, ", ")
}
