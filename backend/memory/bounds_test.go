package memory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// create stores a session and returns its ID.
func create(t *testing.T, s *Store, user string, size int, lives time.Duration) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	rec := backend.Record{ID: id, User: user, Expires: time.Now().Add(lives), Data: make([]byte, size)}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatalf("Create: %v", err)
	}
	return id
}

func wantThere(t *testing.T, s *Store, what string, id uuid.UUID, want bool) {
	t.Helper()
	if _, err := s.Load(t.Context(), id); (err == nil) != want {
		t.Errorf("%s: Load: got error %v, want it there: %v", what, err, want)
	}
}

func wantCount(t *testing.T, s *Store, want int) {
	t.Helper()
	if got, err := s.Count(t.Context()); got != want || err != nil {
		t.Errorf("Count: got %d, error %v, want %d", got, err, want)
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{MaxSessions: -1}, "memory: Options.MaxSessions -1"},
		{Options{MaxBytes: -1}, "memory: Options.MaxBytes -1"},
	} {
		if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%+v): got error %v, want %q in it", tt.o, err, tt.want)
		}
	}
	for _, n := range []int{1, 511, 512, 1_000_000, math.MaxInt} {
		if shards := len(newStore(t, Options{MaxSessions: n}).shards); shards&(shards-1) != 0 || shards > maxShards {
			t.Errorf("MaxSessions %d: %d shards, want a power of two up to %d", n, shards, maxShards)
		}
	}
}

func TestOpenByName(t *testing.T) {
	for savePath, want := range map[string]int64{"": DefaultMaxSessions, "5000": 5000} {
		s, err := backend.Open(Name, savePath)
		if err != nil {
			t.Fatalf("Open(%q): %v", savePath, err)
		}
		if got := s.(*Store).max.sessions; got != want {
			t.Errorf("Open(%q): at most %d sessions, want %d", savePath, got, want)
		}
	}
	for _, savePath := range []string{"0", "-1", "./tmp", "1e3", "user:hunter2@tcp(host)/db", "99999999999999999999"} {
		_, err := backend.Open(Name, savePath)
		if err == nil || strings.Contains(err.Error(), savePath) && len(savePath) > 2 {
			t.Errorf("Open(%q): got error %v, want one that does not repeat it", savePath, err)
		}
	}
}

// TestEvictionOrder: expired ones first, then anonymous ones, then those of
// users; of each the least recently used.
func TestEvictionOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, Options{MaxSessions: 6})
		next := func(user string, lives time.Duration) uuid.UUID {
			time.Sleep(2 * time.Second)
			return create(t, s, user, 10, lives)
		}
		ann := next("ann", time.Hour)
		bob := next("bob", time.Hour)
		anon1 := next("", time.Hour)
		anon2 := next("", time.Hour)
		anon3 := next("", time.Hour)
		dead := next("carl", time.Second)
		time.Sleep(2 * time.Second)
		wantThere(t, s, "a read is a use", anon1, true)

		anon4 := next("", time.Hour)
		if got := s.Evicted(); got != 0 {
			t.Errorf("Evicted after an expired session made room: got %d, want 0", got)
		}
		wantThere(t, s, "expired", dead, false)

		newest := next("dora", time.Hour)
		wantThere(t, s, "the anonymous one used longest ago", anon2, false)
		if err := s.Touch(t.Context(), anon3, time.Now().Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		next("emil", time.Hour)
		wantThere(t, s, "the next one", anon1, false)
		next("fred", time.Hour)
		wantThere(t, s, "the one after that", anon4, false)
		next("gina", time.Hour) // users have all but a sixteenth now
		wantThere(t, s, "the user's used longest ago", ann, false)
		wantThere(t, s, "the last anonymous one", anon3, true)
		next("hans", time.Hour)
		wantThere(t, s, "the next user's", bob, false)
		wantThere(t, s, "dora", newest, true)
		wantThere(t, s, "the last anonymous one, still", anon3, true)
		if got := s.Evicted(); got != 5 {
			t.Errorf("Evicted: got %d, want 5", got)
		}
		wantCount(t, s, 6)
		if recs, _ := s.ByUser(t.Context(), "ann"); len(recs) != 0 {
			t.Errorf("ByUser of an evicted session: got %d records", len(recs))
		}
	})
}

// TestFloodSparesUsers floods a full store of many shards with anonymous
// sessions, from several goroutines: users stay, and the bound holds.
func TestFloodSparesUsers(t *testing.T) {
	const bound, users, flood, floods = 4000, 1000, 5000, 4
	s := newStore(t, Options{MaxSessions: bound})
	var ids []uuid.UUID
	for i := range users {
		ids = append(ids, create(t, s, fmt.Sprint("user ", i), 10, time.Hour))
	}
	var wg sync.WaitGroup
	for range floods {
		wg.Go(func() {
			for range flood {
				rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour)}
				if err := s.Create(context.Background(), rec); err != nil {
					t.Errorf("Create: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for i, id := range ids {
		wantThere(t, s, fmt.Sprint("user ", i), id, true)
	}
	wantCount(t, s, bound)
	if got, want := s.Evicted(), uint64(users+flood*floods-bound); got != want {
		t.Errorf("Evicted: got %d, want %d", got, want)
	}
	wantConsistent(t, s)
}

func TestMaxBytes(t *testing.T) {
	const bound = 100_000
	s := newStore(t, Options{MaxBytes: bound})
	too := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Data: make([]byte, bound)}
	if err := s.Create(t.Context(), too); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("Create of more than MaxBytes: got error %v, want %v", err, backend.ErrTooLarge)
	}
	for range 300 {
		create(t, s, "", 1000, time.Hour)
	}
	if got := s.all.bytes.Load(); got > bound || got < bound-2000 {
		t.Errorf("%d bytes are kept, want just under %d", got, bound)
	}
	big := create(t, s, "ann", 10, time.Hour)
	rec := backend.Record{ID: big, Version: 1, User: "ann", Expires: time.Now().Add(time.Hour), Data: make([]byte, bound/2)}
	if err := s.Update(t.Context(), rec); err != nil {
		t.Errorf("Update to half of MaxBytes: %v", err)
	}
	wantThere(t, s, "the one that grew", big, true)
	if got := s.all.bytes.Load(); got > bound {
		t.Errorf("%d bytes are kept after an Update, want at most %d", got, bound)
	}
	rec.Version, rec.Data = 2, make([]byte, bound)
	if err := s.Update(t.Context(), rec); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("Update to more than MaxBytes: got error %v, want %v", err, backend.ErrTooLarge)
	}
	wantConsistent(t, s)
}

// wantConsistent checks what the store says of itself against what it holds.
func wantConsistent(t *testing.T, s *Store) {
	t.Helper()
	var count, bytes int64
	users := make(map[uuid.UUID]string)
	for i := range s.shards {
		sh := &s.shards[i]
		if len(sh.index) != sh.len() {
			t.Errorf("shard %d: %d in the index, %d in the lists", i, len(sh.index), sh.len())
		}
		for k := range kinds {
			if got, want := int(sh.size[k].Load()), len(sh.lists[k]); got != want {
				t.Errorf("shard %d: size %d, list %d", i, got, want)
			}
			for pos := range sh.lists[k] {
				e := &sh.lists[k][pos]
				if sh.index[e.id] != newSlot(k, pos) || e.kind() != k || s.shard(e.id) != sh {
					t.Errorf("shard %d: entry %v is not where the index says", i, e.id)
				}
				count++
				bytes += e.cost()
				if k == named {
					users[e.id] = e.user
				}
			}
		}
	}
	if count != s.all.sessions.Load() || bytes != s.all.bytes.Load() {
		t.Errorf("counted %d records, %d bytes; there are %d, %d", s.all.sessions.Load(), s.all.bytes.Load(), count, bytes)
	}
	if n, want := s.named.sessions.Load(), int64(len(users)); n != want {
		t.Errorf("counted %d records of users, there are %d", n, want)
	}
	for i := range s.users.shards {
		for user := range s.users.shards[i].users {
			for _, id := range s.users.ids(user) {
				if users[id] != user {
					t.Errorf("the index has %v as one of %q", id, user)
				}
				delete(users, id)
			}
		}
	}
	if len(users) > 0 {
		t.Errorf("the index lacks %d records", len(users))
	}
}
