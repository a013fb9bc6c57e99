package goredis

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/redistest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestStore(t *testing.T) {
	b := redistest.Backend{
		Name: Name,
		Open: func(savePath string) (redistest.Store, error) { return Open(savePath) },
		Patient: func(savePath string) (redistest.Store, error) {
			place, err := redisengine.ParsePlace(savePath)
			if err != nil {
				return nil, err
			}
			w, own := dial(place, limits{call: time.Minute, dial: 20 * time.Second, read: 20 * time.Second})
			s, err := newStore(w, place.Options)
			if err == nil {
				s.own = own
			}
			return s, err
		},
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

// TestNewRefuses: New wants a client, for Replicas one that can send a WAIT behind
// a write, and none that reads from replicas.
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
	for name, opts := range map[string]*redis.ClusterOptions{
		"ReadOnly":       {ReadOnly: true},
		"RouteByLatency": {RouteByLatency: true},
		"RouteRandomly":  {RouteRandomly: true},
	} {
		client := redis.NewClusterClient(opts)
		if _, err := New(client, Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New on a client with %s: %v; want an error that names it", name, err)
		}
		_ = client.Close()
	}
}
