package sqltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session/backend"
)

// A Store is what the stores of the SQL backends are.
type Store interface {
	backend.Store
	backend.VersionedDeleter
	backend.UserIndex
	backend.Counter
	backend.Sweeper
}

// A Server is what the tests do to a server.
type Server interface {
	Password() string
	Kill9() error
	Restart() error
}

// Operations are every kind of call, each on a record of its own, so that
// they can run side by side.
func Operations(t testing.TB, s Store) map[string]func() error {
	t.Helper()
	ctx := context.Background()
	loaded, updated, touched, deleted, versioned := Record(), Record(), Record(), Record(), Record()
	for _, rec := range []backend.Record{loaded, updated, touched, deleted, versioned} {
		Create(t, s, rec)
	}
	return map[string]func() error{
		"Load":          func() error { _, err := s.Load(ctx, loaded.ID); return err },
		"Create":        func() error { return s.Create(ctx, Record()) },
		"Update":        func() error { return s.Update(ctx, updated) },
		"Touch":         func() error { return s.Touch(ctx, touched.ID, touched.Expires.Add(time.Minute)) },
		"Delete":        func() error { return s.Delete(ctx, deleted.ID) },
		"DeleteVersion": func() error { return s.DeleteVersion(ctx, versioned.ID, 1) },
		"ByUser":        func() error { _, err := s.ByUser(ctx, "alice"); return err },
		"Count":         func() error { _, err := s.Count(ctx); return err },
		"Sweep":         func() error { _, err := s.Sweep(ctx, 10); return err },
	}
}

// Each runs all operations at once and hands their outcomes to check.
func Each(ops map[string]func() error, check func(name string, err error, took time.Duration)) {
	var wg sync.WaitGroup
	for name, op := range ops {
		wg.Go(func() {
			start := time.Now()
			err := op()
			check(name, err, time.Since(start))
		})
	}
	wg.Wait()
}

// A Refusal checks errors of one backend, whose name they begin with.
type Refusal struct {
	Backend  string
	Password func() string // which no error may repeat
}

// Check fails the test unless err is an error that says nothing of records: a
// store that cannot respond must not say what is there.
func (r Refusal) Check(t *testing.T, call string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded, want an error", call)
		return
	}
	for _, lie := range []error{backend.ErrNotFound, backend.ErrExists, backend.ErrConflict, backend.ErrTooLarge, backend.ErrClosed} {
		if errors.Is(err, lie) {
			t.Errorf("%s = %v while the server cannot respond", call, err)
		}
	}
	if !strings.HasPrefix(err.Error(), r.Backend+": ") {
		t.Errorf("%s = %q, want the prefix %s: and what was attempted", call, err, r.Backend)
	}
	if strings.Contains(err.Error(), r.Password()) {
		t.Errorf("%s: the error repeats the password: %v", call, err)
	}
}

// ServerIsDown kills the server: there are errors at once, for all; the pool is
// well again when it is back, with every record. open opens a store there.
func (r Refusal) ServerIsDown(t *testing.T, s Store, server Server, open func() error) {
	rec := Create(t, s, Record())
	ops := Operations(t, s)
	if err := server.Kill9(); err != nil {
		t.Fatal(err)
	}
	Each(ops, func(name string, err error, took time.Duration) {
		r.Check(t, name, err)
		if took > Late {
			t.Errorf("%s on a dead server took %v", name, took)
		}
	})
	if err := open(); err == nil {
		t.Error("Open on a dead server: no error")
	} else if strings.Contains(err.Error(), r.Password()) {
		t.Errorf("the error repeats the password: %v", err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	Within(t, Soon, "the first Load after the restart", func() {
		if got := Load(t, s, rec.ID); got.Version != rec.Version || !got.Expires.Equal(rec.Expires) || string(got.Data) != string(rec.Data) {
			t.Errorf("Load after the restart = %v, want %v", got, rec)
		}
	})
}

// Silent checks that every call on a server that does not respond ends in time,
// also a crowd of them.
func (r Refusal) Silent(t *testing.T, s Store, rec backend.Record, ops map[string]func() error) {
	t.Helper()
	for range 2 { // the second time on new connections
		Each(ops, func(name string, err error, took time.Duration) {
			r.Check(t, name, err)
			if took > Late {
				t.Errorf("%s on a silent server took %v", name, took)
			}
		})
	}
	Within(t, Crowd, "100 Loads on a silent server", func() {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := s.Load(context.Background(), rec.ID)
				r.Check(t, "Load", err)
			})
		}
		wg.Wait()
	})
}

// A worker updates a record, as fast as it can.
type worker struct {
	rec         backend.Record
	acked       uint64 // the version that was acknowledged last
	oks, failed atomic.Uint64
}

// run updates the record until ctx ends. What it may not see is reported to t.
func (w *worker) run(ctx context.Context, t *testing.T, s Store) {
	for ctx.Err() == nil {
		next := w.rec
		next.Data = fmt.Appendf(nil, "version %d", w.rec.Version+1)
		switch err := s.Update(context.Background(), next); {
		case err == nil:
			w.rec.Version++
			w.acked = w.rec.Version
			w.oks.Add(1)
		case errors.Is(err, backend.ErrConflict): // one that was not acknowledged was done
			if rec, err := s.Load(context.Background(), w.rec.ID); err == nil {
				w.rec.Version = rec.Version
			}
		case errors.Is(err, backend.ErrNotFound):
			t.Errorf("Update = %v: the record is there", err)
			return
		default:
			w.failed.Add(1)
		}
	}
}

// KilledUnderLoad kills the server three times under eight who write: every write
// that was acknowledged is there afterwards, and the first success comes soon after
// the server's return.
func KilledUnderLoad(t *testing.T, s Store, server Server) {
	workers := make([]*worker, 8)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	for i := range workers {
		w := &worker{rec: Create(t, s, Record()), acked: 1}
		workers[i] = w
		wg.Go(func() { w.run(ctx, t, s) })
	}
	total := func(of func(*worker) *atomic.Uint64) (sum uint64) {
		for _, w := range workers {
			sum += of(w).Load()
		}
		return sum
	}
	oks := func() uint64 { return total(func(w *worker) *atomic.Uint64 { return &w.oks }) }
	failed := func() uint64 { return total(func(w *worker) *atomic.Uint64 { return &w.failed }) }
	for range 3 {
		done := oks()
		Eventually(t, "writes go on", func() bool { return oks() > done+100 })
		if err := server.Kill9(); err != nil {
			t.Fatal(err)
		}
		before := failed()
		Eventually(t, "workers see errors", func() bool { return failed() > before+uint64(len(workers)) })
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		done = oks()
		Within(t, Late, "the first success after the restart", func() {
			Eventually(t, "the first success after the restart", func() bool { return oks() > done })
		})
	}
	stop()
	wg.Wait()
	for i, w := range workers {
		got := Load(t, s, w.rec.ID)
		if got.Version < w.acked {
			t.Errorf("worker %d: version %d was acknowledged, %d is stored", i, w.acked, got.Version)
		}
		if want := fmt.Sprintf("version %d", got.Version); string(got.Data) != want {
			t.Errorf("worker %d: version %d has data %q", i, got.Version, got.Data)
		}
	}
}
