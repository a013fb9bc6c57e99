//go:build !linux

package testserver

import (
	"os/exec"
	"strconv"
	"strings"
)

// dieWithParent does nothing: only Linux can tie a process to its parent. A
// test binary that is killed elsewhere leaves its server running.
func dieWithParent(*exec.Cmd) {}

// childrenOf returns the processes that pid started.
func childrenOf(pid int) (children []int) {
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output() // an error: there are none
	for _, field := range strings.Fields(string(out)) {
		if child, err := strconv.Atoi(field); err == nil {
			children = append(children, child)
		}
	}
	return children
}

// awaitStopped does nothing: only Linux tells of a process's threads.
func awaitStopped(int) error { return nil }
