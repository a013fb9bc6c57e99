package rueidis

import (
	"testing"
	"time"

	"github.com/redis/rueidis"

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
			w, err := dial(place, limits{call: time.Minute, try: 20 * time.Second})
			if err != nil {
				return nil, err
			}
			s, err := newStore(w, place.Options)
			if err == nil {
				s.own = true
			}
			return s, err
		},
		On: func(t testing.TB, opts redisengine.Options, password string, addrs ...string) redistest.Store {
			t.Helper()
			client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addrs, Password: password, DisableCache: true})
			if err != nil {
				t.Fatalf("NewClient: %v", err)
			}
			t.Cleanup(client.Close)
			s, err := New(client, Options(opts))
			if err != nil {
				t.Fatalf("New: %v", err)
			}
			return s
		},
	}
	b.Run(t)
}

// TestNewRefuses: New wants a client.
func TestNewRefuses(t *testing.T) {
	if _, err := New(nil, Options{}); err == nil {
		t.Error("New(nil): no error")
	}
}

// TestReplicasAreNotRead: to a caller's client no command is a read, which it may
// have been told to send to replicas; what may be sent again still is.
func TestReplicasAreNotRead(t *testing.T) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redistest.Server.Addr()}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := New(client, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]any{{"GET", "k"}, {"GETRANGE", "k", 0, 1}, {"ZRANGE", "k", 0, 1}} {
		built := s.wire.build(redisengine.Command{Words: words, Key: "k", Again: true})
		if built.IsReadOnly() || !built.IsRetryable() {
			t.Errorf("%v: a read %v, sent again %v; want no and yes", words, built.IsReadOnly(), built.IsRetryable())
		}
	}
}
