package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// envServe, with a path, has the test binary be a process that opens the store
// and does what it is asked to on its standard input.
const envServe = "SESSION_TEST_SERVE"

func TestMain(m *testing.M) {
	if path := os.Getenv(envServe); path != "" {
		os.Exit(serve(path))
	}
	os.Exit(m.Run())
}

func serve(path string) int {
	s, err := Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Store", &far{s}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server.ServeConn(pipes{os.Stdin, os.Stdout})
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
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

// far is the store in the other process.
type far struct{ s *Store }

// Do does one call.
func (f *far) Do(a Ask, r *Reply) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if a.Done {
		cancel()
	}
	var err error
	switch a.Op {
	case "load":
		r.Record, err = f.s.Load(ctx, a.Record.ID)
	case "create":
		err = f.s.Create(ctx, a.Record)
	case "update":
		err = f.s.Update(ctx, a.Record)
	case "touch":
		err = f.s.Touch(ctx, a.Record.ID, a.Expires)
	case "delete":
		err = f.s.Delete(ctx, a.Record.ID)
	case "deleteVersion":
		err = f.s.DeleteVersion(ctx, a.Record.ID, a.Version)
	case "sweep":
		r.N, err = f.s.Sweep(ctx, a.Limit)
	case "byUser":
		r.Records, err = f.s.ByUser(ctx, a.User)
	case "count":
		r.N, err = f.s.Count(ctx)
	case "close":
		err = f.s.Close()
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

// near is the store of another process, as this one sees it.
type near struct{ c *rpc.Client }

// openFar starts another process that opens the store.
func openFar(t *testing.T, path string) *near {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envServe+"="+path)
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
	c := rpc.NewClient(pipes{out, in})
	t.Cleanup(func() {
		_ = c.Close() // and so its standard input
		if err := cmd.Wait(); err != nil {
			t.Errorf("the other process: %v", err)
		}
	})
	return &near{c}
}

func (n *near) do(ctx context.Context, a Ask) (r Reply, err error) {
	a.Done = ctx.Err() != nil
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
