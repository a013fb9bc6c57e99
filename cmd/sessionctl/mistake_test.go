package main

import (
	"strings"
	"testing"
)

// TestDidYouMean: a word that is nearly a command or a flag has it named, and
// what was typed is not repeated.
func TestDidYouMean(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"stast"}, "unknown command; did you mean stats?"},
		{[]string{"rev"}, "did you mean revoke or revoke-user?"},
		{[]string{"Doctor"}, "did you mean doctor?"},
		{[]string{"xyzzy"}, "unknown command; sessionctl --help lists them"},
		{[]string{"stats", "--provier", "file"}, "unknown flag: --provier; did you mean --provider?"},
		{[]string{"stats", "--save-pth=hunter2"}, "did you mean --save-path?"},
		{[]string{"stats", "-save-pth=hunter2"}, "did you mean --save-path?"},
		{[]string{"ls", "--usr", "ada"}, "did you mean --user?"},
		{[]string{"stats", "--xyzzy"}, "unknown flag: --xyzzy"},
	} {
		r := ctl(t, c.args...)
		r.lacks(t, "hunter2")
		if r.code != exitUsage || !strings.HasSuffix(r.stderr, c.want+"\n") {
			t.Errorf("%v: code %d, %q; want 2 and %q", c.args, r.code, r.stderr, c.want)
		}
	}
}

// TestHelp: help lists every command, the one for completion included, and
// --version says which sessionctl it is.
func TestHelp(t *testing.T) {
	help := must(t, "--help")
	for _, want := range []string{"completion ", "doctor ", "--version", "PostgreSQL"} {
		if !strings.Contains(help, want) {
			t.Errorf("the help lacks %q:\n%s", want, help)
		}
	}
	if got := must(t, "__complete", "stats", "--provider", ""); !strings.HasPrefix(got, "file\nmysql\npostgres\nredis\ngoredis\nrueidis\nsqlite\n") {
		t.Errorf("--provider is completed with %q", got)
	}
	if got := must(t, "completion", "bash"); !strings.Contains(got, "__start_sessionctl") {
		t.Errorf("completion bash prints no script: %.80q", got)
	}
}
