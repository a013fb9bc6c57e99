package testserver

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the server when the thread that started
// it ends, however it ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
