package postgres

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/sqltest"
	"github.com/chisession/session/internal/testserver"
)

// TestServerIsDown: errors at once, for all; the pool is well again when it
// is back, with every record.
func TestServerIsDown(t *testing.T) {
	refusal.ServerIsDown(t, open(t), server, func() error { return openErr(server.DSN("session_x")) })
}

// TestKill9UnderLoad: every write that was acknowledged is there afterwards,
// the first success comes soon after the server's, and no connection
// is left over.
func TestKill9UnderLoad(t *testing.T) {
	s := open(t)
	sqltest.KilledUnderLoad(t, s, server)
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
	refusal.Silent(t, s, rec, ops)
	within(t, crowd, "Open on a frozen server", func() {
		if err := openErr(server.DSN("session_x")); err == nil {
			t.Error("Open on a frozen server: no error")
		}
	})
	thaw()
	within(t, soon, "the first Load after it is thawed", func() { load(t, s, rec.ID) })
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
	refusal.Silent(t, s, rec, ops)
	link.Stall(false)
	within(t, soon, "the first Load when packets come again", func() { load(t, s, rec.ID) })
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
	eventually(t, "writes succeed again", func() bool {
		if small.Pid() == 0 { // with no room for its log the server stops itself, or is about to
			if err := small.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		return write() == nil
	})
	for _, rec := range acked {
		checkRecord(t, load(t, s, rec.ID), rec)
	}
}
