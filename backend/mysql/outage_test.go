//go:build servers

package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session/backend"
)

// TestServerIsDown: errors at once, for all; the pool is well again when it
// is back, with every record.
func TestServerIsDown(t *testing.T) {
	s := open(t)
	rec := create(t, s, record())
	ops := operations(t, s)
	if err := server.Kill9(); err != nil {
		t.Fatal(err)
	}
	each(ops, func(name string, err error, took time.Duration) {
		noOutcome(t, name, err)
		if took > 3*time.Second {
			t.Errorf("%s on a dead server took %v", name, took)
		}
	})
	if _, err := Open(server.DSN("session_x")); err == nil {
		t.Error("Open on a dead server: no error")
	} else if strings.Contains(err.Error(), server.Password()) {
		t.Errorf("the error repeats the password: %v", err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, "the first Load after the restart", func() { checkRecord(t, load(t, s, rec.ID), rec) })
}

// TestKill9UnderLoad: every write that was acknowledged is there afterwards,
// the first success comes within a second of the server's, and neither
// connections nor goroutines are left over.
func TestKill9UnderLoad(t *testing.T) {
	s := open(t)
	const workers = 8
	type state struct {
		rec   backend.Record
		acked uint64        // the version that was acknowledged last
		err   atomic.Uint64 // errors seen
		ok    atomic.Uint64
	}
	states := make([]*state, workers)
	ctx, stop := context.WithCancel(background)
	defer stop()
	var wg sync.WaitGroup
	for i := range states {
		st := &state{rec: create(t, s, record()), acked: 1}
		states[i] = st
		wg.Go(func() {
			for ctx.Err() == nil {
				next := st.rec
				next.Data = fmt.Appendf(nil, "version %d", st.rec.Version+1)
				switch err := s.Update(background, next); {
				case err == nil:
					st.rec.Version++
					st.acked = st.rec.Version
					st.ok.Add(1)
				case errors.Is(err, backend.ErrConflict): // an unacknowledged one was done
					if rec, err := s.Load(background, st.rec.ID); err == nil {
						st.rec.Version = rec.Version
					}
				case errors.Is(err, backend.ErrNotFound):
					t.Errorf("Update = %v: the record is there", err)
					return
				default:
					st.err.Add(1)
				}
			}
		})
	}
	total := func(n func(*state) uint64) (sum uint64) {
		for _, st := range states {
			sum += n(st)
		}
		return sum
	}
	oks := func() uint64 { return total(func(st *state) uint64 { return st.ok.Load() }) }
	for range 3 {
		done := oks()
		eventually(t, 10*time.Second, "writes go on", func() bool { return oks() > done+100 })
		if err := server.Kill9(); err != nil {
			t.Fatal(err)
		}
		failed := total(func(st *state) uint64 { return st.err.Load() })
		eventually(t, 5*time.Second, "workers see errors", func() bool {
			return total(func(st *state) uint64 { return st.err.Load() }) > failed+workers
		})
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		done = oks()
		eventually(t, time.Second, "the first success after the restart", func() bool { return oks() > done })
	}
	stop()
	wg.Wait()
	for i, st := range states {
		got := load(t, s, st.rec.ID)
		if got.Version < st.acked {
			t.Errorf("worker %d: version %d was acknowledged, %d is stored", i, st.acked, got.Version)
		}
		if want := fmt.Sprintf("version %d", got.Version); string(got.Data) != want {
			t.Errorf("worker %d: version %d has data %q", i, got.Version, got.Data)
		}
	}
	if in := s.db.Stats().InUse; in != 0 || len(s.slots) != 0 {
		t.Errorf("%d connections and %d slots are in use after it", in, len(s.slots))
	}
}

// TestFrozenServer: it accepts connections and never answers. Every
// call ends in time, also a crowd of them, and it works when it is thawed.
func TestFrozenServer(t *testing.T) {
	s := open(t)
	rec := create(t, s, record())
	ops := operations(t, s)
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	thaw := sync.OnceFunc(func() {
		if err := server.Thaw(); err != nil {
			t.Error(err)
		}
	})
	defer thaw()
	for range 2 { // the second time on new connections
		each(ops, func(name string, err error, took time.Duration) {
			noOutcome(t, name, err)
			if took > 4*time.Second {
				t.Errorf("%s on a frozen server took %v", name, took)
			}
		})
	}
	within(t, 5*time.Second, "100 Loads on a frozen server", func() {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := s.Load(background, rec.ID)
				noOutcome(t, "Load", err)
			})
		}
		wg.Wait()
	})
	within(t, 5*time.Second, "Open on a frozen server", func() {
		if err := openErr(server.DSN("session_x")); err == nil {
			t.Error("Open on a frozen server: no error")
		}
	})
	thaw()
	within(t, time.Second, "the first Load after it is thawed", func() { load(t, s, rec.ID) })
}

// TestRefused: nobody listens.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	err = openErr("user:s3cret@tcp(" + addr + ")/db")
	noOutcome(t, "Open", err)
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error repeats the password: %v", err)
	}
}
