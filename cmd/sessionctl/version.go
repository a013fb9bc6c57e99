package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version says which sessionctl this is, by what the go command has written into
// the program: the tag's version where it was installed by go install …@version,
// and in a checkout the one that the commit leads to.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of unknown version"
	}
	return fmt.Sprintf("%s (%s, %s/%s)", versionOf(info), info.GoVersion, runtime.GOOS, runtime.GOARCH)
}

// versionOf returns the main module's version, with the commit where there is
// no version.
func versionOf(info *debug.BuildInfo) string {
	v := cmp.Or(info.Main.Version, "(devel)")
	if v != "(devel)" {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if commit := settings["vcs.revision"]; commit != "" {
		v += " " + commit
		if settings["vcs.modified"] == "true" {
			v += " and changes"
		}
	}
	return v
}
