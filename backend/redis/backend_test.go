//go:build servers

package redis

import (
	"testing"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

func TestBackend(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store { return fresh(t) })
}

// TestBackendOnCallersPool runs the suite on a pool that is not ours.
func TestBackendOnCallersPool(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		if err := server.FlushAll(); err != nil {
			t.Fatalf("FlushAll: %v", err)
		}
		pool := &redis.Pool{MaxIdle: 50, Dial: server.Dial}
		t.Cleanup(func() { _ = pool.Close() })
		s, err := New(pool, Options{Prefix: "{app}:sessions:"})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		return s
	})
}
