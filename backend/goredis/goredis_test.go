package goredis

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestStore(t *testing.T) {
	b := redistest.Backend{
		Name: Name,
		Open: func(savePath string) (redistest.Store, error) { return Open(savePath) },
		On: func(t testing.TB, opts redisengine.Options, password string, addrs ...string) redistest.Store {
			t.Helper()
			client := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, Password: password})
			t.Cleanup(func() { _ = client.Close() })
			s, err := New(client, Options(opts))
			if err != nil {
				t.Fatalf("New: %v", err)
			}
			return s
		},
	}
	b.Run(t)
}

// TestNewRefuses: New wants a client, and for Replicas one that can send a WAIT
// behind a write.
func TestNewRefuses(t *testing.T) {
	var none *redis.Client
	for _, client := range []redis.UniversalClient{nil, none} {
		if _, err := New(client, Options{}); err == nil {
			t.Errorf("New(%#v): no error", client)
		}
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": redistest.Server.Addr()}})
	defer func() { _ = ring.Close() }()
	if _, err := New(ring, Options{Replicas: 1}); err == nil || !strings.Contains(err.Error(), "Replicas") {
		t.Errorf("New on a ring with Replicas: %v", err)
	}
}
