package memory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// TestSweepIsComplete sweeps what is spread over all shards, in small steps
// and with others coming and going between: a pass that says "no more" has
// seen all that had expired.
func TestSweepIsComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{MaxSessions: 20_000})
		const gone, live = 3000, 500
		var dead, stay []uuid.UUID
		for i := range gone {
			dead = append(dead, create(t, s, []string{"", "ann", fmt.Sprint(i)}[i%3], 1, time.Second))
		}
		for i := range live {
			stay = append(stay, create(t, s, []string{"", "ann"}[i%2], 1, time.Hour))
		}
		time.Sleep(time.Second)
		total := 0
		for round := 0; ; round++ {
			n, err := s.Sweep(t.Context(), 70)
			if err != nil {
				t.Fatal(err)
			}
			total += n
			if n < 70 {
				break
			}
			if err := s.Delete(t.Context(), stay[round]); err != nil {
				t.Fatal(err)
			}
			stay = append(stay, create(t, s, "", 1, time.Hour))
			wantThere(t, s, "deleted", stay[round], false)
			stay[round] = stay[len(stay)-1]
			stay = stay[:len(stay)-1]
		}
		if total != gone {
			t.Errorf("swept %d, want %d", total, gone)
		}
		for _, id := range dead {
			if _, ok := s.shard(id).index[id]; ok {
				t.Errorf("%v is still kept", id)
			}
		}
		wantCount(t, s, live)
		wantConsistent(t, s)
	})
}

// TestSweepOfOneShard puts all records into one shard, which takes several
// locks to walk, as IDs do that are not random at the end.
func TestSweepOfOneShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{})
		const n = 5 * sweepChunk
		for i := range n {
			id := uuid.UUID{0: byte(i), 1: byte(i >> 8), 6: 0x70, 8: 0x80}
			rec := backend.Record{ID: id, Expires: time.Now().Add(time.Duration(1+i%2*3600) * time.Second)}
			if err := s.Create(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		total := 0
		for {
			removed, err := s.Sweep(t.Context(), 300)
			if err != nil {
				t.Fatal(err)
			}
			total += removed
			if removed < 300 {
				break
			}
		}
		if total != n/2 {
			t.Errorf("swept %d, want %d", total, n/2)
		}
		wantCount(t, s, n/2)
		wantConsistent(t, s)
	})
}

func TestSweepEndsWithItsContext(t *testing.T) {
	s := newStore(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Sweep(ctx, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("Sweep with a cancelled context: got error %v, want %v", err, context.Canceled)
	}
}

// TestGivesMemoryBack: after a crowd has left, neither lists nor maps keep the
// room that it took.
func TestGivesMemoryBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const crowd = 50_000
		before := heap()
		s := newStore(t, Options{})
		for i := range crowd {
			create(t, s, []string{"", fmt.Sprint("user ", i)}[i%2], 100, time.Minute)
		}
		full := heap() - before
		create(t, s, "ann", 100, time.Hour)
		time.Sleep(time.Minute)
		if n, err := s.Sweep(t.Context(), 2*crowd); n != crowd || err != nil {
			t.Fatalf("Sweep: got %d, error %v, want %d", n, err, crowd)
		}
		if left := heap() - before; left > full/5 {
			t.Errorf("%d bytes are held for one session, %d were for the crowd", left, full)
		}
		wantConsistent(t, s)
	})
}

// TestEverythingAtOnce is for the race detector, with a bound low enough that
// evictions meet all else; in the end the books must balance.
func TestEverythingAtOnce(t *testing.T) {
	s := newStore(t, Options{MaxSessions: 700})
	ids := make([]uuid.UUID, 1000)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 4000 {
				id := ids[(i*7+w*131)%len(ids)]
				user := []string{"", "ann", "bob", id.String()}[(i+w)%4]
				rec := backend.Record{ID: id, User: user, Expires: time.Now().Add(time.Duration(i%50) * time.Millisecond)}
				switch kind := i % 7; {
				case kind == 0, kind == 1:
					s.Create(ctx, rec)
				case kind == 2, kind == 3:
					if old, err := s.Load(ctx, id); err == nil {
						rec.Version, rec.Shorten = old.Version, i%2 == 0
						s.Update(ctx, rec)
					}
				case kind == 4:
					s.Touch(ctx, id, rec.Expires)
				case kind == 5:
					s.Delete(ctx, id)
					s.DeleteVersion(ctx, ids[i%len(ids)], 1)
				case kind == 6:
					s.Sweep(ctx, 10)
					s.ByUser(ctx, user)
				}
			}
		})
	}
	wg.Wait()
	wantConsistent(t, s)
}

// TestCloseDuringUse: whatever was under way, a closed store holds nothing.
func TestCloseDuringUse(t *testing.T) {
	s := newStore(t, Options{MaxSessions: 10_000})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				rec := backend.Record{ID: uuid.Must(uuid.NewV7()), User: "ann", Expires: time.Now().Add(time.Hour)}
				if err := s.Create(context.Background(), rec); err != nil {
					if err != backend.ErrClosed {
						t.Errorf("Create: %v", err)
					}
					return
				}
			}
		})
	}
	for s.all.sessions.Load() < 1000 {
		time.Sleep(time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
	wantConsistent(t, s)
}

func TestLoadAllocatesNothing(t *testing.T) {
	s, ids := filled(t, 100)
	n := testing.AllocsPerRun(100, func() { s.Load(context.Background(), ids[50]) })
	if n != 0 {
		t.Errorf("Load: %v allocations, want none", n)
	}
}
