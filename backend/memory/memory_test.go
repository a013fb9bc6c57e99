package memory

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

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

// A record is there until the millisecond of its expiry, by the caller's clock.
func TestLoadAt(t *testing.T) {
	s := newStore(t, Options{})
	rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Data: []byte("data")}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	end := rec.Expires.UnixMilli()
	if got, err := s.LoadAt(rec.ID, end-1); err != nil || string(got.Data) != "data" {
		t.Errorf("a millisecond before its end: %q, %v", got.Data, err)
	}
	if _, err := s.LoadAt(rec.ID, end); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("at its end: %v, want ErrNotFound", err)
	}
}
