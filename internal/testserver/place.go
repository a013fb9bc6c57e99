package testserver

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	dirPrefix = "chisession-" // + pid + "-" + name + "-" + random
	staleAge  = time.Hour
)

// DirEnv is the environment variable with the directory in which servers have
// theirs, such as /dev/shm; without it that is the temporary directory. What is
// in memory survives the death of a server, as it does on a disk, and spares the
// processor most of a database's making.
const DirEnv = "TESTSERVER_DIR"

// Find returns the path of the first of the binaries names that is in PATH or
// where distributions keep servers. If there is none, the error ends with
// cure.
func Find(cure string, names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		for _, dir := range []string{"/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"} {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("testserver: the tests need %s, which is not installed: %s", strings.Join(names, " or "), cure)
}

// TempDir makes the temporary directory of a server, short enough for a unix
// socket in it, and removes those that test runs killed an hour ago left behind.
func TempDir(name string) (string, error) {
	return tempDirIn(cmp.Or(os.Getenv(DirEnv), os.TempDir()), name)
}

func tempDirIn(parent, name string) (string, error) {
	sweepTemp(parent)
	dir, err := os.MkdirTemp(parent, fmt.Sprintf("%s%d-%s-", dirPrefix, os.Getpid(), name))
	if err != nil {
		return "", fmt.Errorf("testserver: make a directory for %s: %w", name, err)
	}
	return dir, nil
}

// sweepTemp removes the directories of processes that are gone. It takes only
// old ones: in a shared directory, a pid may be another container's.
func sweepTemp(parent string) {
	old, _ := filepath.Glob(filepath.Join(parent, dirPrefix+"*-*-*")) // fails for a bad pattern only
	for _, dir := range old {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		n, err := strconv.Atoi(pid)
		info, statErr := os.Stat(dir)
		if err == nil && statErr == nil && info.IsDir() && time.Since(info.ModTime()) > staleAge && gone(n) {
			_ = os.RemoveAll(dir) // best effort: the next run tries again
		}
	}
}

// gone reports whether there is no process pid.
func gone(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return true
	}
	err = p.Signal(syscall.Signal(0))
	return errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH)
}

// Ports of servers are below the range that the system hands out by itself, so
// nobody gets one while its server is down for a restart. They are in blocks, of
// which a process claims one after the other by listening on its first port: no
// other test binary takes a port of it, not even one that nobody listens on yet.
const (
	firstPort = 15000
	lastPort  = 30000
	blockSize = 100
)

// ports are those of this process.
var ports struct {
	sync.Mutex
	claims    []net.Listener // the first port of each of its blocks
	next, end int            // of the last block, those that were not handed out yet
}

// FreePort returns a loopback TCP port that nobody listens on, each time another
// one.
func FreePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for {
		if ports.next == ports.end {
			if err := claimPorts(); err != nil {
				return 0, fmt.Errorf("testserver: find a free port: %w", err)
			}
		}
		port := ports.next
		ports.next++
		if l, err := listen(port); err == nil {
			return port, l.Close()
		}
	}
}

// claimPorts claims another block; ports is locked.
func claimPorts() error {
	const blocks = (lastPort - firstPort) / blockSize
	var last error
	for _, block := range rand.Perm(blocks) {
		first := firstPort + block*blockSize
		l, err := listen(first)
		if err != nil {
			last = err
			continue
		}
		ports.claims = append(ports.claims, l)
		ports.next, ports.end = first+1, first+blockSize
		return nil
	}
	return fmt.Errorf("all %d blocks of them are claimed: %w", blocks, last)
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
}
