package main

import (
	"fmt"
	"strings"
	"testing"
)

// The tests have fewer columns than the page.
func init() { backends = []string{"memory", "file", "mysql", "redis"} }

// run makes the input of a test run: "outcome name" lines.
func run(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		outcome, test, _ := strings.Cut(line, " ")
		fmt.Fprintf(&b, `{"Action":"run","Package":"m","Test":%q}`+"\n", test)
		fmt.Fprintf(&b, `{"Action":"output","Package":"m","Test":%q,"Output":"--- PASS\n"}`+"\n", test)
		if outcome != "run" {
			fmt.Fprintf(&b, `{"Action":%q,"Package":"m","Test":%q}`+"\n", outcome, test)
		}
	}
	return b.String()
}

var sentences = []string{"cookie/only read", "cookie/set", "flash/shown once", "flash/empty, costs nothing", "flash/not run", "flash/unfinished"}

func TestTable(t *testing.T) {
	r, err := read(strings.NewReader(run(
		"fail TestBehaviour", "fail TestBehaviour/cookie", // because of set
		"pass TestBehaviour/cookie/only_read", "pass TestBehaviour/cookie/only_read/memory",
		"fail TestBehaviour/cookie/set", "pass TestBehaviour/cookie/set/memory", "pass TestBehaviour/cookie/set/file",
		"pass TestBehaviour/cookie/set/mysql", "fail TestBehaviour/cookie/set/redis", "pass TestBehaviour/cookie/set/redis/deeper",
		"pass TestBehaviour/flash/shown_once/memory", "pass TestBehaviour/flash/shown_once/redis",
		"skip TestBehaviour/flash/empty,_costs_nothing/memory",
		"run TestBehaviour/flash/unfinished/memory",
		"pass TestSomethingElse/flash/shown_once/file",
	)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.write(&b, sentences); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## Cookie\n\n| | memory | file | mysql | redis |\n",
		"| only read | ✓ | — | — | — |\n",
		"| set | ✓ | ✓ | ✓ | ✗ |\n",
		"## Flash\n",
		"| shown once | ✓ | ✗ | ✗ | ✓ |\n",
		"| empty, costs nothing | ✗ | — | — | — |\n",
		"| not run | ✗ | ✗ | ✗ | ✗ |\n",
		"| unfinished | ✗ | — | — | — |\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks the line %q", want)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
	err = r.verdict(sentences)
	for _, want := range []string{"cookie/set did not pass (redis)", "flash/not run did not pass (file)", "flash/unfinished did not pass (memory)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the verdict lacks %q:\n%v", want, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "only read") {
		t.Errorf("what passed is not right:\n%v", err)
	}
}

// TestClusters: one backend on one server and on several is two columns.
func TestClusters(t *testing.T) {
	r, err := read(strings.NewReader(run("pass TestBehaviour/cookie/set/mysql") +
		strings.ReplaceAll(run("fail TestBehaviour/cookie/set/mysql"), `"Package":"m"`, `"Package":"m/clusters"`)))
	if err != nil {
		t.Fatal(err)
	}
	if one, several := r.mark("cookie/set", "mysql"), r.mark("cookie/set", "mysql on Galera"); one != "✓" || several != "✗" {
		t.Errorf("mysql is marked %s on one server and %s on Galera, want ✓ and ✗", one, several)
	}
}

func TestVerdictOfAllPassed(t *testing.T) {
	r, err := read(strings.NewReader(run("pass TestBehaviour/cookie/only_read/memory")))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verdict(sentences[:1]); err != nil {
		t.Errorf("verdict: %v, want nil", err)
	}
}

func TestReadRefuses(t *testing.T) {
	if _, err := read(strings.NewReader("ok  \tm\t0.1s\n")); err == nil {
		t.Error("output without -json: no error")
	}
}

// A package that does not build, or whose TestMain fails, fails the table.
func TestBrokenPackage(t *testing.T) {
	r, err := read(strings.NewReader(run("pass TestBehaviour/cookie/only_read/memory") + `{"Action":"fail","Package":"m"}` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verdict(sentences[:1]); err == nil || !strings.Contains(err.Error(), "package m failed") {
		t.Errorf("verdict: %v, want that the package failed", err)
	}
}
