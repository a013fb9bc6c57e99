//go:build servers

package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
)

// entries returns how many entries the index of user has.
func entries(t *testing.T, s *Store, user string) int {
	t.Helper()
	n, err := redis.Int(server.Do("ZCARD", s.Index(user)))
	must(t, "ZCARD", err)
	return n
}

// age makes all entries of the user's index look as if they were made so
// much earlier.
func age(t *testing.T, s *Store, user string, by time.Duration) {
	t.Helper()
	list, err := redis.Values(server.Do("ZRANGE", s.Index(user), 0, -1, "WITHSCORES"))
	must(t, "ZRANGE", err)
	for i := 0; i < len(list); i += 2 {
		score, err := redis.Float64(list[i+1], nil)
		must(t, "score", err)
		h := time.Hour.Milliseconds()
		at := (int64(score)%h - by.Milliseconds() + h) % h
		do(t, "ZADD", s.Index(user), int64(score)/h*h+at, list[i])
	}
}

func TestIndexFollows(t *testing.T) {
	s := fresh(t)
	rec := create(t, s, "alice", "x")
	for i, user := range []string{"bob", "", "alice", "bob"} {
		rec.User = user
		must(t, "Update", s.Update(ctx, rec))
		rec.Version++
		for _, name := range []string{"alice", "bob"} {
			recs, err := s.ByUser(ctx, name)
			if want := name == user; err != nil || (len(recs) == 1) != want {
				t.Errorf("step %d, the user is %q: ByUser(%q) got %d records, %v", i, user, name, len(recs), err)
			}
		}
	}
	must(t, "Delete", s.Delete(ctx, rec.ID))
	if recs, err := s.ByUser(ctx, "bob"); err != nil || len(recs) != 0 {
		t.Errorf("ByUser after Delete: got %d records, %v", len(recs), err)
	}
}

// TestIndexOutlivesSessions checks that the index and its entries stand at
// least as long as the sessions, whatever moves their expiry.
func TestIndexOutlivesSessions(t *testing.T) {
	s := fresh(t)
	check := func(what string, rec backend.Record) {
		t.Helper()
		at, err := redis.Int64(server.Do("PEXPIRETIME", s.Index("alice")))
		if err != nil || at <= rec.Expires.UnixMilli() {
			t.Errorf("%s: the index expires at %d, %v, the session at %d", what, at, err, rec.Expires.UnixMilli())
		}
		score, err := redis.Float64(server.Do("ZSCORE", s.Index("alice"), rec.ID[:]))
		if h := time.Hour.Milliseconds(); err != nil || int64(score)/h*h <= rec.Expires.UnixMilli() {
			t.Errorf("%s: the entry ends at %d, %v, the session at %d", what, int64(score)/h*h, err, rec.Expires.UnixMilli())
		}
	}
	rec := create(t, s, "alice", "x")
	check("Create", rec)
	for i := range 8 {
		if i == 4 {
			s = openAt(t, server.URL()) // one that has not seen the session
		}
		rec.Expires = rec.Expires.Add(25 * time.Minute)
		must(t, "Touch", s.Touch(ctx, rec.ID, rec.Expires))
		check("Touch", rec)
	}
	rec.Expires = rec.Expires.Add(100 * time.Minute)
	must(t, "Update", s.Update(ctx, rec))
	check("Update", rec)
	rec.Version++
	rec.Expires, rec.Shorten = rec.Expires.Add(-4*time.Hour), true
	must(t, "Update to shorten", s.Update(ctx, rec))
	check("Update to shorten", rec)
}

// TestSeenIsNoTruth has one store remember what another one has changed.
func TestSeenIsNoTruth(t *testing.T) {
	a := fresh(t)
	b := openAt(t, server.URL())
	rec := create(t, a, "alice", "x")
	other := rec
	other.User = "bob"
	must(t, "Update of b", b.Update(ctx, other)) // now a is wrong about the user
	rec.Version = 2
	must(t, "Update of a", a.Update(ctx, rec))
	do(t, "ZREM", a.Index("bob"), rec.ID[:])
	if recs, err := a.ByUser(ctx, "alice"); err != nil || len(recs) != 1 {
		t.Errorf("ByUser(alice): got %d, %v, want 1", len(recs), err)
	}
	// The index of alice must have been entered, not just left from before.
	do(t, "DEL", a.Index("alice"))
	rec.Version, other.Version = 4, 3
	must(t, "Update of b", b.Update(ctx, other))
	must(t, "Update of a", a.Update(ctx, rec))
	if n := entries(t, a, "alice"); n != 1 {
		t.Errorf("alice's index has %d entries, want 1", n)
	}
	rec.Version = 99
	if err := a.Update(ctx, rec); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("Update of another version: got %v, want ErrConflict", err)
	}
}

func TestIndexCleansItself(t *testing.T) {
	s := fresh(t)
	for range 5 { // as if they had expired
		do(t, "DEL", s.Key(create(t, s, "alice", "x").ID))
	}
	live := create(t, s, "alice", "x")
	if recs, err := s.ByUser(ctx, "alice"); err != nil || len(recs) != 1 {
		t.Fatalf("ByUser: got %d, %v, want 1", len(recs), err)
	}
	if n := entries(t, s, "alice"); n != 6 {
		t.Errorf("the index has %d entries, want all 6: a record may be on its way", n)
	}
	age(t, s, "alice", 2*time.Minute)
	recs, err := s.ByUser(ctx, "alice")
	if n := entries(t, s, "alice"); err != nil || len(recs) != 1 || recs[0].ID != live.ID || n != 1 {
		t.Errorf("ByUser: got %d records, %v, and left %d entries, want 1 and 1", len(recs), err, n)
	}

	// Entries that have ended go when another one is made.
	for _, hours := range []int64{-1, 0, 2} { // not 1: an hour may end meanwhile
		do(t, "ZADD", s.Index("bob"), (time.Now().UnixMilli()/3600000+hours)*3600000+5, newRecord("", "").ID.String())
	}
	create(t, s, "bob", "x")
	if n := entries(t, s, "bob"); n != 2 {
		t.Errorf("bob's index has %d entries, want the new one and the one that stands", n)
	}
}

func TestByUserMany(t *testing.T) {
	s := fresh(t)
	const n = 3*loadBatch + 7
	for range n {
		create(t, s, "alice", "x")
	}
	do(t, "ZADD", s.Index("alice"), time.Now().Add(30*time.Minute).UnixMilli(), "no ID at all") // not renewed just now
	count, err := server.Count(func() error {
		recs, err := s.ByUser(ctx, "alice")
		if len(recs) != n {
			t.Errorf("ByUser: got %d records, want %d", len(recs), n)
		}
		return err
	})
	if err != nil || count.Commands["getrange"] != n+1 || count.Commands["get"] != 0 {
		t.Errorf("ByUser: %+v, %v, want %d GETRANGEs of the heads", count, err, n+1)
	}
	if got := entries(t, s, "alice"); got != n {
		t.Errorf("the index has %d entries, want %d: the foreign one is stale", got, n)
	}
}
