package main

import (
	"fmt"
	"strings"
	"testing"
)

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

func TestTable(t *testing.T) {
	r, err := read(strings.NewReader(run(
		"fail TestBehaviourA", // because of 03
		"pass TestBehaviourA/02_only_read", "pass TestBehaviourA/02_only_read/memory", "pass TestBehaviourA/02_only_read/redis/nested/file",
		"fail TestBehaviourA/03_set", "pass TestBehaviourA/03_set/memory", "fail TestBehaviourA/03_set/mysql",
		"pass TestBehaviourC/26_wrong_names",
		"skip TestBehaviourC/27_skipped/memory",
		"run TestBehaviourC/28_unfinished/memory",
		"pass Test61MaxPerUser/file",
		"pass TestSomethingElse/memory",
	)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| # | case | memory | file | mysql | redis | no store |\n",
		"| 1 | **no test** | ✗ | ✗ | ✗ | ✗ | ✗ |\n",
		"| 2 | only read | ✓ | — | — | ✓ | — |\n",
		"| 3 | set | ✓ | — | ✗ | — | — |\n",
		"| 26 | wrong names | — | — | — | — | ✓ |\n",
		"| 27 | skipped | ✗ | — | — | — | — |\n",
		"| 28 | unfinished | ✗ | — | — | — | — |\n",
		"| 61 | max per user | — | ✓ | — | — | — |\n",
		"| 74 | **no test** |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks the line %q", want)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
	err = r.verdict()
	for _, want := range []string{"01 has no test", "03 set did not pass (mysql)", "27 skipped did not pass (memory)", "28 unfinished did not pass (memory)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("verdict: %v, want it to say %q", err, want)
		}
	}
}

func TestComplete(t *testing.T) {
	var lines []string
	for n := range last {
		lines = append(lines, fmt.Sprintf("pass TestBehaviour/%02d_case/memory", n+1))
	}
	r, err := read(strings.NewReader(run(lines...)))
	if err != nil || r.verdict() != nil {
		t.Errorf("read: %v, verdict: %v; want neither", err, r.verdict())
	}
	r, _ = read(strings.NewReader(run(lines...) + `{"Action":"fail","Package":"m"}`))
	if err := r.verdict(); err == nil || !strings.Contains(err.Error(), "package m failed") {
		t.Errorf("verdict on a package that failed in TestMain: %v", err)
	}
	if _, err := read(strings.NewReader("ok  	m	1s")); err == nil {
		t.Error("read of what is not JSON: no error")
	}
}
