package memory

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// TestPanicUnderALockDoesNotHangClose damages a shard so that each call that
// looks into it panics, as a fault in the code would: the locks are released
// all the same, so that later calls and Close return.
func TestPanicUnderALockDoesNotHangClose(t *testing.T) {
	id := uuid.Must(uuid.NewV7())
	rec := backend.Record{ID: id, Version: 1, User: "ann", Expires: time.Now().Add(time.Hour)}
	neighbour := rec
	neighbour.ID[0]++ // in the same shard
	wrongSlot := func(sh *shard) { sh.index[id] = newSlot(named, 7) }
	noIndex := func(sh *shard) { sh.lists[named][0].expires, sh.index = 0, nil }
	for name, tt := range map[string]struct {
		damage func(sh *shard)
		call   func(s *Store) error
	}{
		"Load":          {wrongSlot, func(s *Store) error { _, err := s.Load(t.Context(), id); return err }},
		"Create":        {wrongSlot, func(s *Store) error { return s.Create(t.Context(), rec) }},
		"Update":        {wrongSlot, func(s *Store) error { return s.Update(t.Context(), rec) }},
		"Touch":         {wrongSlot, func(s *Store) error { return s.Touch(t.Context(), id, rec.Expires) }},
		"Delete":        {wrongSlot, func(s *Store) error { return s.Delete(t.Context(), id) }},
		"DeleteVersion": {wrongSlot, func(s *Store) error { return s.DeleteVersion(t.Context(), id, 1) }},
		"ByUser":        {wrongSlot, func(s *Store) error { _, err := s.ByUser(t.Context(), "ann"); return err }},
		"Sweep":         {noIndex, func(s *Store) error { _, err := s.Sweep(t.Context(), 10); return err }},
		"eviction":      {noIndex, func(s *Store) error { s.max.sessions = 1; return s.makeRoom(uuid.UUID{}, "") }},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Options{MaxSessions: 100})
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range []backend.Record{rec, neighbour} {
				if err := s.Create(t.Context(), rec); err != nil {
					t.Fatal(err)
				}
			}
			tt.damage(s.shard(id))
			func() {
				defer func() {
					if recover() == nil {
						t.Error("no panic: the damage does not reach this call")
					}
				}()
				_ = tt.call(s)
			}()
			closed := make(chan error, 1)
			go func() { closed <- s.Close() }()
			select {
			case err := <-closed:
				if err != nil {
					t.Errorf("Close: %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("Close hangs after a panic")
			}
		})
	}
}
