package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// envServe has the test binary be a process that opens stores and does with them
// what it is asked to on its standard input.
const envServe = "SESSION_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(envServe) != "" {
		os.Exit(serve())
	}
	os.Exit(m.Run())
}

func serve() int {
	stores := &far{}
	server := rpc.NewServer()
	if err := server.RegisterName("Store", stores); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server.ServeConn(pipes{os.Stdin, os.Stdout})
	for _, s := range stores.open {
		if err := s.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

// pipes are both ends of a process.
type pipes struct {
	io.ReadCloser
	w io.WriteCloser
}

func (p pipes) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p pipes) Close() error                { return errors.Join(p.ReadCloser.Close(), p.w.Close()) }

// An Ask is a call of the store. It is exported for net/rpc, as is Reply.
type Ask struct {
	Store   int // which one, as Op "open" returned it
	Path    string
	Op      string
	Record  backend.Record
	Version uint64
	Expires time.Time
	User    string
	Limit   int
	Done    bool // the context had ended
}

// A Reply is what came of an Ask.
type Reply struct {
	Outcome int    // 1 + the place in outcomes, or 0
	Other   string // any other error
	Record  backend.Record
	Records []backend.Record
	N       int
}

var outcomes = []error{
	backend.ErrNotFound, backend.ErrExists, backend.ErrConflict, backend.ErrTooLarge, backend.ErrUser, backend.ErrClosed,
	context.Canceled, context.DeadlineExceeded,
}

// far are the stores in the other process.
type far struct {
	mu   sync.Mutex // guards open
	open []*Store
}

func (f *far) add(path string) (n int, err error) {
	s, err := openPatiently(path)
	if err != nil {
		return 0, err
	}
	s.patience = time.Minute
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, s)
	return len(f.open) - 1, nil
}

func (f *far) store(n int) *Store {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[n]
}

// Do does one call.
func (f *far) Do(a Ask, r *Reply) error {
	if a.Op == "open" {
		n, err := f.add(a.Path)
		r.N = n
		return err
	}
	s := f.store(a.Store)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if a.Done {
		cancel()
	}
	var err error
	switch a.Op {
	case "load":
		r.Record, err = s.Load(ctx, a.Record.ID)
	case "create":
		err = s.Create(ctx, a.Record)
	case "update":
		err = s.Update(ctx, a.Record)
	case "touch":
		err = s.Touch(ctx, a.Record.ID, a.Expires)
	case "delete":
		err = s.Delete(ctx, a.Record.ID)
	case "deleteVersion":
		err = s.DeleteVersion(ctx, a.Record.ID, a.Version)
	case "sweep":
		r.N, err = s.Sweep(ctx, a.Limit)
	case "byUser":
		r.Records, err = s.ByUser(ctx, a.User)
	case "count":
		r.N, err = s.Count(ctx)
	case "close":
		err = s.Close()
	}
	for i, outcome := range outcomes {
		if errors.Is(err, outcome) {
			r.Outcome = i + 1
			return nil
		}
	}
	if err != nil {
		r.Other = err.Error()
	}
	return nil
}

// A process is another one, which opens stores.
type process struct {
	c      *rpc.Client
	cmd    *exec.Cmd
	killed atomic.Bool
}

// kill ends the process as kill -9 does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.killed.Store(true)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

func startProcess(t *testing.T) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envServe+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{c: rpc.NewClient(pipes{out, in}), cmd: cmd}
	t.Cleanup(func() {
		_ = p.c.Close() // and so its standard input
		if err := cmd.Wait(); err != nil && !p.killed.Load() {
			t.Errorf("the other process: %v", err)
		}
	})
	return p
}

// open opens a store in the process.
func (p *process) open(t *testing.T, path string) *near {
	t.Helper()
	var r Reply
	if err := p.c.Call("Store.Do", Ask{Op: "open", Path: path}, &r); err != nil {
		t.Fatal(err)
	}
	n := &near{p.c, r.N}
	t.Cleanup(func() {
		if err := n.Close(); err != nil && !p.killed.Load() {
			t.Errorf("Close in the other process: %v", err)
		}
	})
	return n
}

// openFar opens a store in a process of its own.
func openFar(t *testing.T, path string) *near {
	t.Helper()
	return startProcess(t).open(t, path)
}

// near is the store of another process, as this one sees it.
type near struct {
	c     *rpc.Client
	store int
}

func (n *near) do(ctx context.Context, a Ask) (r Reply, err error) {
	a.Store, a.Done = n.store, ctx.Err() != nil
	if err := n.c.Call("Store.Do", a, &r); err != nil {
		return r, err
	}
	if r.Outcome > 0 {
		return r, outcomes[r.Outcome-1]
	}
	if r.Other != "" {
		return r, errors.New(r.Other)
	}
	return r, nil
}

func (n *near) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	r, err := n.do(ctx, Ask{Op: "load", Record: backend.Record{ID: id}})
	return r.Record, err
}

func (n *near) Create(ctx context.Context, rec backend.Record) error {
	_, err := n.do(ctx, Ask{Op: "create", Record: rec})
	return err
}

func (n *near) Update(ctx context.Context, rec backend.Record) error {
	_, err := n.do(ctx, Ask{Op: "update", Record: rec})
	return err
}

func (n *near) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	_, err := n.do(ctx, Ask{Op: "touch", Record: backend.Record{ID: id}, Expires: expires})
	return err
}

func (n *near) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := n.do(ctx, Ask{Op: "delete", Record: backend.Record{ID: id}})
	return err
}

func (n *near) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	_, err := n.do(ctx, Ask{Op: "deleteVersion", Record: backend.Record{ID: id}, Version: version})
	return err
}

func (n *near) Sweep(ctx context.Context, limit int) (int, error) {
	r, err := n.do(ctx, Ask{Op: "sweep", Limit: limit})
	return r.N, err
}

func (n *near) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	r, err := n.do(ctx, Ask{Op: "byUser", User: user})
	return r.Records, err
}

func (n *near) Count(ctx context.Context) (int, error) {
	r, err := n.do(ctx, Ask{Op: "count"})
	return r.N, err
}

// Close closes the store and leaves the process to the test's end.
func (n *near) Close() error {
	_, err := n.do(context.Background(), Ask{Op: "close"})
	return err
}
