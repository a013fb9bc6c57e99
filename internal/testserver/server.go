package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second // from exec to the first reply
	stopTimeout  = 15 * time.Second // from SIGTERM to SIGKILL
	readyEvery   = 10 * time.Millisecond
)

// ErrNotRunning says that a method needs a running server and there is none.
var ErrNotRunning = errors.New("testserver: the server is not running")

// A Spec says what to run.
type Spec struct {
	// Name is the server's name in errors, such as "redis-server".
	Name string

	// Path is the binary (see [Find]); Args are its arguments without the
	// name, Env its environment (nil: that of the test binary).
	Path string
	Args []string
	Env  []string

	// Dir is the server's temporary directory (see [TempDir]): its working
	// directory, removed by Stop.
	Dir string

	// Ready makes one attempt to get a reply out of the server and must
	// heed its context. It should ask over a socket in Dir, which can be no
	// other server's.
	Ready func(ctx context.Context) error

	as   account   // who runs it
	stop os.Signal // what Halt sends; nil: SIGTERM
}

// A Process is a server that was started for tests. Its methods are safe for
// concurrent use.
type Process struct {
	spec     Spec
	external string // the variable that named a server that is not ours
	log      tail

	mu      sync.Mutex // guards what follows, and makes the methods take turns
	cmd     *exec.Cmd
	exited  chan struct{} // closed when cmd has ended
	exit    error         // how it ended; read after exited
	stopped bool
}

// Start runs the server and waits until it answers. If it does not, it is
// killed, and the error ends with its last lines of log; Dir is left to the
// caller then.
func Start(spec Spec) (*Process, error) {
	p := &Process{spec: spec}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.start(); err != nil {
		return nil, err
	}
	return p, nil
}

// External returns a Process for a server that somebody else runs and the
// environment variable env pointed at. Stop leaves it alone, and what would
// disturb it is an error that says so.
func External(name, env string) *Process {
	return &Process{spec: Spec{Name: name}, external: env}
}

// Pid returns the process ID of the server, or 0 if it is not running.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return 0
	}
	return p.cmd.Process.Pid
}

// Dir returns the server's temporary directory.
func (p *Process) Dir() string { return p.spec.Dir }

// Log returns the last lines of what the server printed.
func (p *Process) Log() string { return p.log.String() }

// Stop ends the server for good, politely first, and removes its directory.
// It is idempotent.
func (p *Process) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.external != "" {
		return nil
	}
	p.stopped = true
	return errors.Join(p.halt(), os.RemoveAll(p.spec.Dir))
}

// Halt ends the server politely, as its init script would, and keeps its
// data for [Process.Restart].
func (p *Process) Halt() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ours("halt"); err != nil {
		return err
	}
	return p.halt()
}

// Kill9 ends the server as a power cut would, and keeps its data for
// [Process.Restart]. It returns when the process is gone.
func (p *Process) Kill9() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ours("kill"); err != nil {
		return err
	}
	if !p.running() {
		return ErrNotRunning
	}
	return p.kill()
}

// Restart starts the server again with the same arguments, on the same data
// and addresses, and returns when it answers. One that still runs is halted
// first.
func (p *Process) Restart() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ours("restart"); err != nil {
		return err
	}
	if p.stopped {
		return fmt.Errorf("testserver: restart %s: it was stopped for good", p.spec.Name)
	}
	if err := p.halt(); err != nil {
		return err
	}
	return p.start()
}

// Freeze stops the server where it is (SIGSTOP): its sockets stay open and
// nobody answers, until [Process.Thaw].
func (p *Process) Freeze() error {
	if err := p.signal(sigStop); err != nil {
		return err
	}
	return awaitStopped(p.Pid())
}

// Thaw lets a frozen server go on.
func (p *Process) Thaw() error { return p.signal(sigCont) }

func (p *Process) signal(sig os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ours("freeze or thaw"); err != nil {
		return err
	}
	if !p.running() {
		return ErrNotRunning
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("testserver: send %v to %s: %w", sig, p.spec.Name, err)
	}
	return nil
}

// ours returns an error for a server that is not.
func (p *Process) ours(verb string) error {
	if p.external == "" {
		return nil
	}
	return fmt.Errorf("testserver: %s %s: it is not ours, %s named it; unset that to test with a private server", verb, p.spec.Name, p.external)
}

// start runs the command and waits until it is ready; p.mu is held.
func (p *Process) start() error {
	cmd := exec.Command(p.spec.Path, p.spec.Args...)
	cmd.Dir, cmd.Env = p.spec.Dir, p.spec.Env
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	cmd.WaitDelay = stopTimeout // for what the server started, which may hold the log open
	dieWithParent(cmd)
	p.spec.as.apply(cmd)

	started, exited := make(chan error), make(chan struct{})
	go func() {
		// "The parent" that dieWithParent means is the thread that forks,
		// so this goroutine keeps one until the server is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.exit = cmd.Wait()
		}
		close(exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("testserver: start %s: %w", p.spec.Name, err)
	}
	p.cmd, p.exited = cmd, exited
	if err := p.waitReady(); err != nil {
		killed := p.kill()
		return errors.Join(fmt.Errorf("testserver: start %s: %w; its log ends with:\n%s", p.spec.Name, err, p.log.String()), killed)
	}
	return nil
}

func (p *Process) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		last := p.spec.Ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it exited before it answered (%w)", p.exit)
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", startTimeout, last)
		case <-tick.C:
		}
	}
}

// running reports whether there is a process; p.mu is held.
func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// halt asks the server to end and kills it if it does not; p.mu is held.
func (p *Process) halt() error {
	if !p.running() {
		return nil
	}
	var stop os.Signal = syscall.SIGTERM
	if p.spec.stop != nil {
		stop = p.spec.stop
	}
	// A frozen process gets it only once it is thawed.
	for _, sig := range []os.Signal{stop, sigCont} {
		if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return errors.Join(fmt.Errorf("testserver: stop %s: %w", p.spec.Name, err), p.kill())
		}
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
		return p.kill()
	}
}

// kill sends SIGKILL and waits for the end; p.mu is held.
func (p *Process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("testserver: kill %s: %w", p.spec.Name, err)
	}
	<-p.exited
	return nil
}
