//go:build servers

package mysql

import (
	"strings"
	"testing"
)

// TestSecondHost: a host that is not there does not matter while another is.
func TestSecondHost(t *testing.T) {
	db, err := server.CreateDatabase()
	if err != nil {
		t.Fatal(err)
	}
	dsn := strings.Replace(server.DSN(db), server.Addr(), "127.0.0.1:1,"+server.Addr(), 1)
	s, err := Open(dsn)
	if err != nil {
		t.Fatalf("Open with the first host down: %v", err)
	}
	defer s.Close()
	if _, err := Open(strings.Replace(dsn, server.Addr(), "127.0.0.1:2", 1)); err == nil || strings.Contains(err.Error(), server.Password()) {
		t.Errorf("Open with both down: %v; want an error without a password", err)
	}
}
