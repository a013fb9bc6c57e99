package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// TestOneAccountDisplacesItself fills a store with the logins of one account,
// from several goroutines: all strangers stay, whether they came before, or
// come when the store is full already.
func TestOneAccountDisplacesItself(t *testing.T) {
	const bound, strangers, logins, attackers = 4000, 500, 5000, 4
	s := newStore(t, Options{MaxSessions: bound})
	var early, late []uuid.UUID
	for i := range strangers {
		early = append(early, create(t, s, fmt.Sprint("early ", i), 10, time.Hour))
	}
	flood := func() {
		var wg sync.WaitGroup
		for range attackers {
			wg.Go(func() {
				for range logins {
					rec := backend.Record{ID: uuid.Must(uuid.NewV7()), User: "mallory", Expires: time.Now().Add(time.Hour)}
					if err := s.Create(context.Background(), rec); err != nil {
						t.Errorf("Create: %v", err)
					}
				}
			})
		}
		wg.Wait()
	}
	flood()
	for i := range strangers {
		late = append(late, create(t, s, fmt.Sprint("late ", i), 10, time.Hour))
	}
	flood()
	for what, ids := range map[string][]uuid.UUID{"who came before": early, "who came when it was full": late} {
		for _, id := range ids {
			wantThere(t, s, what, id, true)
		}
	}
	wantConsistent(t, s)
}

// TestOwnLeastRecentlyUsedGoesFirst: at the bound a login ends a session of
// the same user, the one used longest ago, and not a stranger's that is older
// still. An Update that makes the session one of a user, or larger, does so,
// too.
func TestOwnLeastRecentlyUsedGoesFirst(t *testing.T) {
	for _, by := range []string{"create", "login", "growth"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Options{MaxSessions: 20} // 19 of users
				if by == "growth" {
					o = Options{MaxBytes: 16 * 20 * (overhead + userOverhead + 10)}
				}
				s := newStore(t, o)
				next := func(user string, size int) uuid.UUID {
					time.Sleep(2 * time.Second)
					return create(t, s, user, size, time.Hour)
				}
				var strangers []uuid.UUID
				for i := range 5 {
					strangers = append(strangers, next(fmt.Sprint("stranger ", i), 0))
				}
				first, second := next("ann", 5), next("ann", 5)
				var last uuid.UUID
				switch by {
				case "growth":
					last = next("ann", 5)
				default:
					for i := range 12 {
						strangers = append(strangers, next(fmt.Sprint("another ", i), 0))
					}
				}
				wantThere(t, s, "a read is a use", first, true)
				time.Sleep(2 * time.Second)
				if s.Evicted() != 0 {
					t.Fatalf("%d evicted before the bound", s.Evicted())
				}
				switch by {
				case "create":
					last = next("ann", 5)
				case "login":
					last = next("", 5)
					rec := backend.Record{ID: last, Version: 1, User: "ann", Expires: time.Now().Add(time.Hour)}
					if err := s.Update(t.Context(), rec); err != nil {
						t.Fatal(err)
					}
				case "growth":
					// All the room of users but for the strangers and two of ann's.
					size := s.maxNamed.bytes - s.named.bytes.Load() + 10
					rec := backend.Record{ID: last, Version: 1, User: "ann", Expires: time.Now().Add(time.Hour), Data: make([]byte, size)}
					if err := s.Update(t.Context(), rec); err != nil {
						t.Fatal(err)
					}
				}
				wantThere(t, s, "ann's that was used longest ago", second, false)
				wantThere(t, s, "ann's that was read", first, true)
				wantThere(t, s, "ann's newest", last, true)
				for _, id := range strangers {
					wantThere(t, s, "a stranger's", id, true)
				}
				wantConsistent(t, s)
			})
		})
	}
}

// TestAnonymousNeverDisplacesUsers: neither by number nor by size. There is
// room for some anonymous ones whatever users do, and what does not fit beside
// users is an error.
func TestAnonymousNeverDisplacesUsers(t *testing.T) {
	const bound = 160
	s := newStore(t, Options{MaxSessions: bound, MaxBytes: 1 << 20})
	var users []uuid.UUID
	for i := range 2 * bound {
		users = append(users, create(t, s, fmt.Sprint("user ", i), 6000, time.Hour))
	}
	evicted := s.Evicted()
	visitor := create(t, s, "", 10, time.Hour)
	for range reserve / 2 {
		create(t, s, "", 10, time.Hour)
	}
	wantThere(t, s, "a visitor, beside as many users as fit", visitor, true)
	if got := s.Evicted(); got != evicted {
		t.Errorf("%d visitors evicted %d sessions, want none: a sixteenth is theirs", 1+reserve/2, got-evicted)
	}
	for range 3 * bound {
		create(t, s, "", 100, time.Hour)
	}
	for range 100 {
		rec := backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour), Data: make([]byte, 200_000)}
		if err := s.Create(t.Context(), rec); !errors.Is(err, backend.ErrTooLarge) || !strings.Contains(err.Error(), "raise them") {
			t.Fatalf("Create of an anonymous record that only users could make room for: %v, want ErrTooLarge with the cure", err)
		}
		wantThere(t, s, "what was refused", rec.ID, false)
	}
	there := 0
	for _, id := range users {
		if _, err := s.Load(t.Context(), id); err == nil {
			there++
		}
	}
	if want := len(users) - int(evicted); there != want {
		t.Errorf("%d sessions of users are left, want %d: none was to go for visitors", there, want)
	}
	wantConsistent(t, s)
}

// TestSmallestBounds: a store for one, two, or a few sessions works.
func TestSmallestBounds(t *testing.T) {
	for n := 1; n < 40; n++ {
		s := newStore(t, Options{MaxSessions: n})
		for i := range 3 * n {
			create(t, s, fmt.Sprint("user ", i%5), 1, time.Hour)
			if n > 1 {
				create(t, s, "", 1, time.Hour)
			}
		}
		if got := s.all.sessions.Load(); got != int64(n) {
			t.Errorf("MaxSessions %d: %d are kept", n, got)
		}
		wantConsistent(t, s)
	}
}

// TestEvictionIsCheap: what one eviction looks at does not grow with the
// sessions of the user who causes it.
func TestEvictionIsCheap(t *testing.T) {
	s := newStore(t, Options{MaxSessions: 100_000})
	for range 110_000 {
		create(t, s, "mallory", 0, time.Hour)
	}
	seen := 0
	s.users.some("mallory", sample+1, func(uuid.UUID) { seen++ })
	if seen != sample+1 {
		t.Errorf("%d of a user's %d sessions are looked at, want %d", seen, s.users.count("mallory"), sample+1)
	}
}

// TestPrintingAStoreShowsNoValue: with any verb, of the store and of what has it.
func TestPrintingAStoreShowsNoValue(t *testing.T) {
	s := newStore(t, Options{})
	rec := backend.Record{ID: uuid.Must(uuid.NewV7()), User: "ann@example.com", Expires: time.Now().Add(time.Hour), Data: []byte("card 4111")}
	if err := s.Create(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		for _, what := range []any{s, struct{ S backend.Store }{s}, []backend.Store{s}} {
			text := []byte(fmt.Sprintf(verb, what))
			for _, secret := range []string{"4111", "ann@", "34313131", "52 49 49 49", "52, 49"} {
				if bytes.Contains(text, []byte(secret)) {
					t.Errorf("%s of a %T shows what is stored: %.200s", verb, what, text)
				}
			}
		}
	}
	if got := fmt.Sprint(s); got != fmt.Sprintf("memory.Store(1 sessions, %d bytes)", s.all.bytes.Load()) {
		t.Errorf("a store prints as %q", got)
	}
}
