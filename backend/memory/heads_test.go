package memory

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// TestByUserHandsOutHeads: the beginning of each record, which is not copied,
// and behind which nobody can look.
func TestByUserHandsOutHeads(t *testing.T) {
	s := newStore(t, Options{})
	for range 100 {
		create(t, s, "ann", 1<<20, time.Hour)
	}
	list, err := s.ByUser(t.Context(), "ann")
	if err != nil || len(list) != 100 {
		t.Fatalf("ByUser = %d records, %v; want 100", len(list), err)
	}
	for _, rec := range list {
		whole, err := s.Load(t.Context(), rec.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(rec.Data) != backend.HeadSize || cap(rec.Data) != backend.HeadSize || &rec.Data[0] != &whole.Data[0] {
			t.Fatalf("ByUser has %d bytes of data in %d, want the first %d of the stored ones", len(rec.Data), cap(rec.Data), backend.HeadSize)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = s.ByUser(t.Context(), "ann") }); n > 3 {
		t.Errorf("a list of 100 sessions allocates %v times, want 3 at most", n)
	}
}

// TestListedIsNotUsed: a page of devices, and the list that MaxPerUser needs at
// every login, do not make the oldest session of the user look used.
func TestListedIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{MaxSessions: 3}) // 2 of users
		var ids []uuid.UUID
		for range 2 {
			ids = append(ids, create(t, s, "ann", 1, time.Hour))
			time.Sleep(2 * time.Second)
		}
		wantThere(t, s, "the first, which is used now", ids[0], true)
		time.Sleep(2 * time.Second)
		if list, err := s.ByUser(t.Context(), "ann"); err != nil || len(list) != 2 {
			t.Fatalf("ByUser = %v, %v; want two", list, err)
		}
		create(t, s, "ann", 1, time.Hour)
		wantThere(t, s, "the one that was only listed", ids[1], false)
		wantThere(t, s, "the one that was used", ids[0], true)
	})
}
