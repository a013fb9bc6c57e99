// Package caller finds the line of the program that called the library, for the
// lines of its log.
package caller

import (
	"log/slog"
	"path"
	"reflect"
	"runtime"
	"strconv"
	"strings"
)

// library is the import path of the library.
var library = strings.TrimSuffix(reflect.TypeFor[Stack]().PkgPath(), "/internal/caller")

// A Stack is who was calling when it was made. It costs a microsecond or two, and
// nothing is looked up before String.
type Stack []uintptr

// Here returns the stack of its caller.
func Here() Stack {
	pcs := make(Stack, 32)
	return pcs[:runtime.Callers(2, pcs)]
}

// String returns the file and the line of the innermost call that the library
// did not make itself, with the file's directory ("shop/cart.go:41"); empty if
// there is none.
func (s Stack) String() string {
	if len(s) == 0 {
		return ""
	}
	for frames := runtime.CallersFrames(s); ; {
		frame, more := frames.Next()
		if frame.Function != "" && !own(frame.Function) {
			dir, file := path.Split(frame.File)
			return path.Join(path.Base(dir), file) + ":" + strconv.Itoa(frame.Line)
		}
		if !more {
			return ""
		}
	}
}

// LogValue has a log look up the line, if it writes one.
func (s Stack) LogValue() slog.Value { return slog.StringValue(s.String()) }

// own reports whether function is one of the packages that a program calls
// sessions through.
func own(function string) bool {
	rest, ok := strings.CutPrefix(function, library)
	return ok && (rest[0] == '.' || strings.HasPrefix(rest, "/flash.") || strings.HasPrefix(rest, "/devicebound."))
}
