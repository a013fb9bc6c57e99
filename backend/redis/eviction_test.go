//go:build servers

package redis

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
)

// TestEvictionTakesWholeSessions: a session is one key, whatever was done to it, so that
// no eviction takes half of it; without the key there is cleanly none, and
// with the index evicted the session is there. The page that an
// operator reads names the memory policy.
func TestEvictionTakesWholeSessions(t *testing.T) {
	s := fresh(t)
	rec := create(t, s, "", "x")
	other := rec
	other.Data = []byte(strings.Repeat("y", 100_000))
	must(t, "Update", s.Update(ctx, other))
	keys := func() []string {
		names, err := redis.Strings(do(t, "KEYS", "*"), nil)
		must(t, "KEYS", err)
		return names
	}
	if got := keys(); len(got) != 1 || got[0] != s.Key(rec.ID) {
		t.Errorf("a session is the keys %q, want one", got)
	}
	do(t, "DEL", s.Key(rec.ID))
	_, err := s.Load(ctx, rec.ID)
	for what, err := range map[string]error{"Load": err, "Update": s.Update(ctx, rec), "Touch": s.Touch(ctx, rec.ID, rec.Expires), "DeleteVersion": s.DeleteVersion(ctx, rec.ID, 2)} {
		if !errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrCorrupt) {
			t.Errorf("%s of an evicted session: %v, want ErrNotFound", what, err)
		}
	}
	if got := keys(); len(got) != 0 {
		t.Errorf("there is %q again", got)
	}

	named := create(t, s, "alice", "x")
	if got := keys(); len(got) != 2 {
		t.Errorf("a user's session is the keys %q, want it and the index", got)
	}
	do(t, "DEL", s.Index("alice"))
	if got, err := s.Load(ctx, named.ID); err != nil || got.User != "alice" {
		t.Errorf("Load with the index evicted: user %q, %v", got.User, err)
	}
	if recs, err := s.ByUser(ctx, "alice"); err != nil || len(recs) != 0 {
		t.Errorf("ByUser with the index evicted: %d, %v; want none, as the page says", len(recs), err)
	}
	page, err := os.ReadFile("../../docs/backends/redis.md")
	must(t, "read the page", err)
	for _, policy := range []string{"maxmemory-policy noeviction", "volatile-lru"} {
		if !strings.Contains(string(page), policy) {
			t.Error(fmt.Sprint("docs/backends/redis.md does not name ", policy))
		}
	}
}
