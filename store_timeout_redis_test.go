package session_test

import (
	"testing"
	"time"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/internal/testserver"
)

// TestStoreTimeoutFrozenRedis: a request that meets a frozen server ends at
// StoreTimeout, when Redis is opened by name as well.
func TestStoreTimeoutFrozenRedis(t *testing.T) {
	server, err := testserver.StartRedis(testserver.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Stop() })
	a := newApp(t, session.Config{Provider: redis.Name, SavePath: server.URL(), StoreTimeout: 200 * time.Millisecond})
	a.basics()
	b := a.browser(t)
	b.get("/set?k=a&v=kept").want(t, 200, "set")
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		began := time.Now()
		got := b.get("/get?k=a")
		if took := time.Since(began); got.status != 503 || took > time.Second {
			t.Errorf("with a frozen server: status %d after %v, want 503 after 200 ms", got.status, took)
		}
	}
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	b.get("/get?k=a").want(t, 200, "kept")
}
