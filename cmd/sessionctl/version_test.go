package main

import (
	"regexp"
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	if got := must(t, "--version"); !regexp.MustCompile(`^sessionctl \S.* \(go1\.\S+, \w+/\w+\)\n$`).MatchString(got) {
		t.Errorf("--version prints %q", got)
	}
	settings := []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}
	for _, c := range []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}, Settings: settings}, "v0.1.0"},
		{debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: settings}, "(devel) abc and changes"},
		{debug.BuildInfo{Settings: settings[:1]}, "(devel) abc"},
		{debug.BuildInfo{}, "(devel)"},
	} {
		if got := versionOf(&c.info); got != c.want {
			t.Errorf("versionOf(%v) = %q, want %q", c.info.Main, got, c.want)
		}
	}
}
