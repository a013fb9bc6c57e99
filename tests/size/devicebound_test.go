package size

import (
	"debug/elf"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// most is how much larger a program that does not import package devicebound may be
// for what the core has for it, in bytes of code and data.
const most = 1024

// A cut takes out of a file of the root module what is there for package devicebound:
// the one match of old gives way to new.
type cut struct{ file, old, new string }

var cuts = []cut{
	{"load.go", `(?s)// Guard has a guard look .*`, ""},
	{"load.go", `(?m)^\t"time"\n|^\t".*/internal/(guard|response)"\n`, ""},
	{"load.go", `(?s)\tif m\.admit != nil \{.*?\n\t\}\n`, ""},
	{"manager.go", `(?s)\n\t// What a manager with a guard .*?complete hook\n`, ""},
	{"manager.go", `\t"net/http"\n`, ""},
	{"middleware.go", `(?s)\tif m\.guard != nil \{.*?\n\t\}\n\tif !x\.returned \{\n\t(\t.*?\n)\t\}\n`, "$1"},
	{"middleware.go", `(?s)\tif m\.admit != nil \{.*?\n\t\}\n`, ""},
	{"transport.go", `(?s)\tif s\.m\.complete != nil \{.*?\n\t\}\n`, ""},
	{"transport.go", `\tcase s\.reply\.foreign:.*\n.*\n`, ""},
	{"session.go", `\tforeign bool .*\n`, ""},
	{"errors.go", `(?s)\t// ErrUnproven says .*?\n\n`, ""},
	{"events.go", `\tReasonUnproven .*\n`, ""},
	{"lifecycle.go", `s\.vals\.Drop\(\)`, "s.vals.Reset(record.Body{}, s.m.cfg.MaxBytes)"},
	{"lifecycle.go", `\t\ts\.vals\.Rebase\(.*\n`, ""},
	{"commit.go", `\ts\.vals\.Rebase\(values, (.*)\).*\n`, "\tif $1 {\n\t\tvalues = record.Body{}\n\t}\n\ts.vals.Rebase(values)\n"},
	{"commit.go", `record\.Body\{\}, false`, "record.Body{}"},
	{"internal/record/changes.go", `(?s), emptied bool(\) \{\n)\tif emptied .*?\n\t\}\n`, "$1"},
	{"internal/record/body.go", `( count == 0) && cap\(base\.data\) == len\(base\.data\)`, "$1"},
	{"internal/record/body.go", `return append\(dst, base\.data\[len\(base\.data\):cap\(base\.data\)\]\.\.\.\)`, "return dst"},
	{"internal/record/body.go", `\tkept := .*\n`, ""},
	{"internal/record/body.go", `count == 0 && kept == 0`, "count == 0"},
	{"internal/record/body.go", ` \+ size \+ kept`, " + size"},
	{"internal/record/body.go", `n <= 0 \|\| count > `, "n <= 0 || count == 0 || count > "},
	{"internal/record/body.go", `(?s)\tsize := uint\(0\)\n.*?(\tif )size > (uint.*?)\tv\.data = .*?\n`, "${1}v.end(v.len()-1) != $2"},
}

// A program that does not import package devicebound has hardly anything of it.
func TestWithoutDeviceBound(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the limit is for linux/amd64")
	}
	overlay := "-overlay=" + withoutHooks(t)
	for _, program := range []string{"hellosession", "pagesession"} {
		with, without := loaded(t, program, "-trimpath"), loaded(t, program, "-trimpath", overlay)
		t.Logf("%s: %d bytes of code and data, %d more than without the hooks, at most %d", program, with, with-without, most)
		if with-without > most {
			t.Errorf("%s: %d bytes more than without the hooks, at most %d", program, with-without, most)
		}
		if with <= without {
			t.Errorf("%s: the hooks take no room: were they taken out?", program)
		}
	}
}

// withoutHooks returns an overlay of the root module without its hooks.
func withoutHooks(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for i, c := range cuts {
		file := filepath.Join(root, filepath.FromSlash(c.file))
		from := file
		if earlier := replace[file]; earlier != "" {
			from = earlier
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		old := regexp.MustCompile(c.old)
		if !old.Match(text) {
			t.Fatalf("cut %d: nothing in %s is like %s", i, c.file, c.old)
		}
		to := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(to, old.ReplaceAll(text, []byte(c.new)), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[file] = to
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// loaded returns how many bytes of the program are loaded when it runs. The file is
// larger by symbols and in steps of a page.
func loaded(t *testing.T, program string, flags ...string) int64 {
	t.Helper()
	f, err := elf.Open(build(t, program, flags))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := int64(0)
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Type != elf.SHT_NOBITS {
			n += int64(s.Size)
		}
	}
	return n
}
