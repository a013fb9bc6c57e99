package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/memory"
)

// A heldStore holds up its first Update until held is closed, and calls
// between once it is done.
type heldStore struct {
	backend.Store
	updates atomic.Int32
	held    chan struct{}
	between func(id uuid.UUID)
}

func (s *heldStore) Update(ctx context.Context, rec backend.Record) error {
	first := s.updates.Add(1) == 1
	if first {
		<-s.held
	}
	err := s.Store.Update(ctx, rec)
	if first && s.between != nil {
		s.between(rec.ID)
	}
	return err
}

// TestQueueHandsOnWhatWasStored: a commit that waited behind another one of
// its session goes on from what that one stored, and meets no conflict. What
// somebody else did in between still counts.
func TestQueueHandsOnWhatWasStored(t *testing.T) {
	for _, c := range []struct {
		name      string
		first     func(s *session.Session)
		between   func(t *testing.T, s backend.Store, id uuid.UUID)
		conflicts uint64
		want      string // what the session has afterwards, by its last cookie
		lost      uint64 // requests that came too late
	}{
		{name: "a value", first: func(s *session.Session) { s.Set("a", 1) }, want: "a=1 b=2"},
		{name: "the same value", first: func(s *session.Session) { s.Set("b", 1) }, want: "b=2"},
		{name: "a shorter life", first: func(s *session.Session) { s.Set("a", 1); s.SetIdleTimeout(time.Minute) }, want: "a=1 b=2"},
		{
			name: "a login", first: func(s *session.Session) { s.Set("a", 1); s.SetUser("ann") },
			conflicts: 1, lost: 1, want: "a=1",
		},
		{
			name: "another process writes", first: func(s *session.Session) { s.Set("a", 1) },
			between: func(t *testing.T, s backend.Store, id uuid.UUID) {
				rec, err := s.Load(t.Context(), id)
				if err == nil {
					err = s.Update(t.Context(), rec)
				}
				if err != nil {
					t.Error(err)
				}
			},
			conflicts: 1, want: "a=1 b=2",
		},
		{
			name: "another process logs out", first: func(s *session.Session) { s.Set("a", 1) },
			between: func(t *testing.T, s backend.Store, id uuid.UUID) {
				if err := s.Delete(t.Context(), id); err != nil {
					t.Error(err)
				}
			},
			lost: 1, want: "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, err := memory.New(memory.Options{})
				if err != nil {
					t.Fatal(err)
				}
				store := &heldStore{Store: inner, held: make(chan struct{})}
				if c.between != nil {
					store.between = func(id uuid.UUID) { c.between(t, inner, id) }
				}
				m, err := session.New(session.Config{Store: store, SweepEvery: -1})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				cookie := ""
				visit := func(do func(s *session.Session)) {
					r := httptest.NewRequest(http.MethodGet, "https://shop.example/", http.NoBody)
					r.Header.Set("Cookie", cookie)
					w := httptest.NewRecorder()
					m.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { do(session.FromContext(r)) })).ServeHTTP(w, r)
					if line := w.Header().Get("Set-Cookie"); line != "" {
						cookie, _, _ = strings.Cut(line, ";")
					}
				}
				visit(func(s *session.Session) { s.Set("z", 0) })
				visit(func(s *session.Session) { s.Delete("z"); store.updates.Store(-1) })
				start := m.Stats()

				var both sync.WaitGroup
				both.Go(func() { visit(c.first) })
				synctest.Wait() // in the store
				both.Go(func() { visit(func(s *session.Session) { s.Set("b", 2) }) })
				synctest.Wait() // in the queue
				close(store.held)
				both.Wait()

				got := m.Stats()
				if n := got.Conflicts - start.Conflicts; n != c.conflicts {
					t.Errorf("%d conflicts, want %d", n, c.conflicts)
				}
				if n := got.Dropped + got.Superseded - start.Dropped - start.Superseded; n != c.lost {
					t.Errorf("the changes of %d requests were dropped, want %d", n, c.lost)
				}
				visit(func(s *session.Session) {
					var values []string
					for _, key := range []string{"a", "b"} {
						if n, ok := session.Get[int](s, key); ok {
							values = append(values, key+"="+string(rune('0'+n)))
						}
					}
					if got := strings.Join(values, " "); got != c.want {
						t.Errorf("the session has %q, want %q", got, c.want)
					}
				})
			})
		})
	}
}
