package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A result is read as it was written, and is one of the fault as it was.
func TestResults(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.tsv")
	f, g, h := all()[0], all()[1], all()[2]
	kept := results{"a fault that was": {what: "a fault that was"}}
	kept.keep(f, outcome{verdict: killed, took: 1234 * time.Millisecond}, "abc", 3)
	kept.keep(g, outcome{verdict: survived}, "abc", 1)
	kept.keep(h, outcome{verdict: killed}, "abc", 1)
	if err := kept.write(name); err != nil {
		t.Fatal(err)
	}
	read, err := readResults(name)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := read.of(f)
	if want := (result{f.what, f.print(), killed, 3, 1.2, "abc", kept[f.what].date}); !ok || r != want {
		t.Errorf("of = %v, %v; want %v", r, ok, want)
	}
	if len(read) != 3 {
		t.Errorf("%d results, want 3: a fault that is not in the list has none", len(read))
	}
	h.new += " "
	if _, ok := read.of(h); ok {
		t.Error("a fault that was changed has the result of what it was")
	}
	text := string(page([]fault{f, g, h}, read))
	for _, want := range []string{"3 faults, 1 killed, 2 not.\n", "- **SURVIVED: " + g.what + "**\n", "- **not run: " + h.what + "**\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the page:\n%s", want, text[:500])
		}
	}
}

func TestReadResultsRefuses(t *testing.T) {
	for _, line := range []string{"x", "a\tb\tkilled\tthree\t1.0\tabc\t2026-01-01", "a\tb\tkilled\t3\tlong\tabc\t2026-01-01"} {
		if _, err := parseResult(line); err == nil {
			t.Errorf("parseResult(%q): no error", line)
		}
	}
	if rs, err := readResults(filepath.Join(t.TempDir(), "none")); err != nil || len(rs) != 0 {
		t.Errorf("readResults of no file = %v, %v", rs, err)
	}
}

// A test that did not fail does not count, whatever else did.
func TestFound(t *testing.T) {
	f := fault{test: "TestA/b"}
	for output, want := range map[string]bool{
		"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/b (0.00s)\n":  true,
		"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/bc (0.00s)\n": false,
		"panic: test timed out after 1m0s\n":                        true,
		"fatal error: all goroutines are asleep - deadlock!\n":      true,
		"--- PASS: TestA/b (0.00s)\nno server\n":                    false,
	} {
		if got := found(f, output); got != want {
			t.Errorf("found(%q) = %v", output, got)
		}
	}
	if got, want := (fault{test: "TestA/x+y"}).pattern(), `^TestA$/^x\+y$`; got != want {
		t.Errorf("pattern = %s, want %s", got, want)
	}
}
