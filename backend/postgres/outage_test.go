package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
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
	if err := openErr(server.DSN("session_x")); err == nil {
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
// the first success comes within a second of the server's, and no connection
// is left over.
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
	if used := s.db.(pgxDB).pool.Stat().AcquiredConns(); used != 0 || len(s.slots) != 0 {
		t.Errorf("%d connections and %d slots are in use after it", used, len(s.slots))
	}
}

// TestRestartedServer: a polite restart is at most a short outage.
func TestRestartedServer(t *testing.T) {
	s := open(t)
	ops := operations(t, s)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	each(ops, func(name string, err error, _ time.Duration) {
		if err != nil {
			t.Errorf("%s after a restart: %v", name, err)
		}
	})
}

// TestFrozenServer: it accepts connections and never responds. Every call ends
// in time, also a crowd of them, and it works when it is thawed.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	server, err := testserver.StartPostgres(testserver.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := openAt(t, server.DSN(databaseOn(t, server)))
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
	silent(t, s, rec, ops)
	within(t, 5*time.Second, "Open on a frozen server", func() {
		if err := openErr(server.DSN("session_x")); err == nil {
			t.Error("Open on a frozen server: no error")
		}
	})
	thaw()
	within(t, time.Second, "the first Load after it is thawed", func() { load(t, s, rec.ID) })
}

// silent checks that every call on a server that does not respond ends in time.
func silent(t *testing.T, s *Store, rec backend.Record, ops map[string]func() error) {
	t.Helper()
	for range 2 { // the second time on new connections
		each(ops, func(name string, err error, took time.Duration) {
			noOutcome(t, name, err)
			if took > 4*time.Second {
				t.Errorf("%s on a silent server took %v", name, took)
			}
		})
	}
	within(t, 5*time.Second, "100 Loads on a silent server", func() {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				_, err := s.Load(background, rec.ID)
				noOutcome(t, "Load", err)
			})
		}
		wg.Wait()
	})
}

// TestSilentNetwork: no packet comes through, neither way, and no connection
// ends. Calls do, and it works as soon as packets do again.
func TestSilentNetwork(t *testing.T) {
	t.Parallel()
	link := startLink(t)
	s := openAt(t, server.DSNAt(link.Addr(), database(t)))
	rec := create(t, s, record())
	ops := operations(t, s)
	link.Stall(true)
	defer link.Stall(false)
	silent(t, s, rec, ops)
	link.Stall(false)
	within(t, time.Second, "the first Load when packets come again", func() { load(t, s, rec.ID) })
}

// TestRefused: nobody listens.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	err = openErr("postgres://user:s3cret@" + addr + "/db")
	noOutcome(t, "Open", err)
	if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), addr) {
		t.Errorf("the error repeats the password, or not the address: %v", err)
	}
}

// TestFullDisk: errors that say so, never a lie, and all that was acknowledged
// is there, and all is well, when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for the server's user
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=160m,mode=1777", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("a small file system cannot be mounted here (%v: %s): that takes root on Linux", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	if os.Getenv(testserver.PostgresEnv) != "" {
		t.Skipf("%s names a server whose disk is not ours to fill", testserver.PostgresEnv)
	}
	small, err := testserver.StartPostgres(testserver.PostgresOptions{Data: dir, Settings: []string{
		"max_wal_size = 64MB", "min_wal_size = 32MB", "wal_keep_size = 0", "checkpoint_timeout = 30s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { small.Stop() })
	s := openAt(t, small.DSN(databaseOn(t, small)))
	ballast := filepath.Join(dir, "ballast")
	fill := func() { // all but a few pages
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for chunk := make([]byte, 1<<20); len(chunk) >= 1<<12; {
			if _, err := f.Write(chunk); err != nil {
				chunk = chunk[:len(chunk)/2]
			}
		}
	}
	var acked []backend.Record
	write := func() error {
		rec := record()
		rec.Data = make([]byte, 6000)
		if err := s.Create(background, rec); err != nil {
			return err
		}
		rec.Version = 1
		acked = append(acked, rec)
		return nil
	}
	for range 50 {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	var full error
	for range 20000 {
		if full = write(); full != nil {
			break
		}
	}
	noOutcome(t, "Create on a full disk", full)
	if sqlState(full) == "53100" {
		for _, rec := range acked[:50] { // reading goes on, as nothing crashed
			checkRecord(t, load(t, s, rec.ID), rec)
		}
	}
	t.Logf("after %d records: %v", len(acked), full)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if small.Pid() == 0 { // with no room for its log the server stops itself
		if err := small.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 30*time.Second, "writes succeed again", func() bool { return write() == nil })
	for _, rec := range acked {
		checkRecord(t, load(t, s, rec.ID), rec)
	}
}
