//go:build !linux

package testserver

import "os/exec"

// dieWithParent does nothing: only Linux can tie a process to its parent. A
// test binary that is killed elsewhere leaves its server running.
func dieWithParent(*exec.Cmd) {}
