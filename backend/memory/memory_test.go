package memory

import (
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
)

func newStore(tb testing.TB, o Options) *Store {
	tb.Helper()
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backend.Store { return newStore(t, Options{}) })
}

// One shard only, so that all calls meet.
func TestConformanceOneShard(t *testing.T) {
	t.Parallel()
	backendtest.Run(t, func(t *testing.T) backend.Store { return newStore(t, Options{MaxSessions: 500}) })
}

func TestConformanceShared(t *testing.T) {
	t.Parallel()
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		s := newStore(t, Options{})
		return s, s
	})
}
