//go:build !unix

package testserver

import (
	"os/exec"
	"syscall"
)

// Signals that do not exist here: sending one is an error.
const (
	sigStop      = syscall.Signal(-1)
	sigCont      = syscall.Signal(-1)
	sigKill      = syscall.Signal(-1)
	sigInterrupt = syscall.Signal(-1)
)

func runAs(*exec.Cmd, int, int) {}

func signalPid(int, syscall.Signal) {}
