//go:build !(linux || darwin || freebsd)

package behaviour

import "testing"

// lockFiles is nil where no flock holds the file store up.
var lockFiles func(t testing.TB, savePath string) (release func())
