//go:build !unix

package testserver

import "syscall"

// Signals that do not exist here: sending one is an error.
const (
	sigStop = syscall.Signal(-1)
	sigCont = syscall.Signal(-1)
)
