package testserver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// dieWithParent has the kernel kill the server when the thread that started
// it ends, however it ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// childrenOf returns the processes that pid started and that still run.
func childrenOf(pid int) (children []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // fails for a bad pattern only
	for _, stat := range stats {
		state, parent := readStat(stat)
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err == nil && parent == pid && state != 'Z' {
			children = append(children, child)
		}
	}
	return children
}

// readStat returns the state and the parent of a process; 0 if it is gone.
func readStat(path string) (state byte, parent int) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0
	}
	// The name in brackets may contain anything.
	if _, err := fmt.Sscanf(string(text[bytes.LastIndexByte(text, ')')+1:]), " %c %d", &state, &parent); err != nil {
		return 0, 0
	}
	return state, parent
}

// awaitStopped waits until all threads of a process that was sent SIGSTOP have
// stopped, or the process is gone. The signal is for one of them to take first:
// on a busy machine the others serve a few requests more until it has.
func awaitStopped(pid int) error {
	deadline := time.Now().Add(stopTimeout)
	for {
		running := 0
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid)) // fails for a bad pattern only
		for _, stat := range threads {
			if state, _ := readStat(stat); state != 'T' && state != 't' && state != 'Z' && state != 0 {
				running++
			}
		}
		switch {
		case running == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("testserver: %d threads of process %d run %v after SIGSTOP", running, pid, stopTimeout)
		}
		time.Sleep(time.Millisecond)
	}
}
