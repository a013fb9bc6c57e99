//go:build servers

package mysql

import (
	"sync"
	"testing"
)

// TestOnePool: however many calls there are, side by side and one
// after the other, the server sees one pool's connections; after Close none.
func TestOnePool(t *testing.T) {
	s, err := Open(server.DSN(database(t)))
	if err != nil {
		t.Fatal(err)
	}
	rec := create(t, s, record())
	var wg sync.WaitGroup
	for range 3 * maxConns {
		wg.Go(func() {
			for range 10 {
				if _, err := s.Load(background, rec.ID); err != nil {
					t.Errorf("Load: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(connections(t)); n == 0 || n > maxConns {
		t.Errorf("%d connections after %d calls, want 1 to %d", n, 30*maxConns, maxConns)
	}
	if n := s.db.Stats().MaxOpenConnections; n != maxConns {
		t.Errorf("the pool is bounded at %d, want %d", n, maxConns)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	eventually(t, "no connection is left", func() bool { return len(connections(t)) == 0 })
}
