//go:build servers

package mysql

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/chisession/session/backend/internal/sqltest"
)

// TestServerIsDown: errors at once, for all; the pool is well again when it
// is back, with every record.
func TestServerIsDown(t *testing.T) {
	refusal.ServerIsDown(t, open(t), server, func() error { return openErr(server.DSN("session_x")) })
}

// TestKill9UnderLoad: every write that was acknowledged is there afterwards,
// the first success comes soon after the server's, and neither
// connections nor goroutines are left over.
func TestKill9UnderLoad(t *testing.T) {
	s := open(t)
	sqltest.KilledUnderLoad(t, s, server)
	if in := s.db.Stats().InUse; in != 0 || len(s.slots) != 0 {
		t.Errorf("%d connections and %d slots are in use after it", in, len(s.slots))
	}
}

// TestFrozenServer: it accepts connections and never answers. Every
// call ends in time, also a crowd of them, and it works when it is thawed.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	server := private(t)
	db, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(server.DSN(db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
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
