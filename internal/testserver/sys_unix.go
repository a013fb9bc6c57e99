//go:build unix

package testserver

import (
	"os/exec"
	"syscall"
)

const (
	sigStop      = syscall.SIGSTOP
	sigCont      = syscall.SIGCONT
	sigKill      = syscall.SIGKILL
	sigInterrupt = syscall.SIGINT
)

// runAs has cmd run as another user; only root may.
func runAs(cmd *exec.Cmd, uid, gid int) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// signalPid sends sig to a process that may be gone already.
func signalPid(pid int, sig syscall.Signal) { _ = syscall.Kill(pid, sig) }
