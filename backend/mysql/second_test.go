//go:build servers

package mysql

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session/internal/testserver"
)

// dsnOf is the DSN of a database on several hosts, of which the last is server.
func dsnOf(db string, before ...string) string {
	return strings.Replace(server.DSN(db), server.Addr(), strings.Join(append(before, server.Addr()), ","), 1)
}

// TestSecondHost: a host that is not there does not matter while another is.
func TestSecondHost(t *testing.T) {
	db := database(t)
	dsn := dsnOf(db, "127.0.0.1:1")
	s, err := Open(dsn)
	if err != nil {
		t.Fatalf("Open with the first host down: %v", err)
	}
	defer s.Close()
	if _, err := Open(strings.Replace(dsn, server.Addr(), "127.0.0.1:2", 1)); err == nil || strings.Contains(err.Error(), server.Password()) {
		t.Errorf("Open with both down: %v; want an error without a password", err)
	}
}

// TestSilentHost: a host that takes connections and never says a word, as one that
// is frozen does, is no obstacle to the start either.
func TestSilentHost(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes the connections
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s, err := Open(dsnOf(database(t), silent.Addr().String()))
	if err != nil {
		t.Fatalf("Open with the first host silent: %v", err)
	}
	defer s.Close()
	load(t, s, create(t, s, record()).ID)
}

// TestReadOnlyHost: a host that is read only, or becomes so, is left for one that
// is not, and the statement that found it out is run there.
func TestReadOnlyHost(t *testing.T) {
	first, err := testserver.StartMariaDB(testserver.MariaDBOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := first.Stop(); err != nil {
			t.Error(err)
		}
	}()
	db := database(t)
	openIn(t, db) // makes the table; a cluster would have it on both
	if err := first.Exec("CREATE DATABASE " + db); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dsnOf(db, first.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	readOnly := func(value string) {
		if err := first.Exec("SET GLOBAL read_only = " + value); err != nil {
			t.Fatal(err)
		}
	}
	create(t, s, record())
	readOnly("ON")
	rec := create(t, s, record())
	if err := s.Touch(background, rec.ID, rec.Expires.Add(time.Minute)); err != nil {
		t.Errorf("Touch on the second host: %v", err)
	}
	again, err := Open(dsnOf(db, first.Addr()))
	if err != nil {
		t.Fatalf("Open with the first host read only: %v", err)
	}
	defer again.Close()
	load(t, again, rec.ID)
}
