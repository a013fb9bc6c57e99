//go:build servers

package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
)

var ctx = context.Background()

// must fails the test if err is not nil.
func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// do sends a command to the package's server, past the store.
func do(t testing.TB, command string, args ...any) any {
	t.Helper()
	reply, err := server.Do(command, args...)
	must(t, command, err)
	return reply
}

func TestRoundTrips(t *testing.T) {
	s := fresh(t)
	must(t, "load the script", s.Touch(ctx, create(t, s, "somebody", "").ID, time.Now().Add(9*time.Hour)))
	soon := time.Now().Add(time.Hour).Truncate(time.Hour).Add(30 * time.Minute) // the middle of an hour
	for _, user := range []string{"", "alice"} {
		rec := newRecord(user, "data")
		rec.Expires = soon
		count := func(what string, commands string, fn func() error) {
			t.Helper()
			n, err := server.Count(fn)
			if err != nil || n.Trips != 1 || fmt.Sprint(n.Commands) != "map["+commands+"]" {
				t.Errorf("%s with user %q: got %d round trips, %v, error %v; want 1, map[%s]", what, user, n.Trips, n.Commands, err, commands)
			}
		}
		update := func() error {
			rec.Version++
			return s.Update(ctx, rec)
		}
		made, indexed := "set:1", ""
		if user != "" {
			made, indexed = "evalsha:1 pexpireat:1 pexpiretime:1 set:1 time:1 zadd:1 zremrangebyscore:1 zscore:1", "evalsha:1 getrange:2 "
		}
		count("Create", made, func() error { return s.Create(ctx, rec) })
		count("Load", "get:1", func() error { _, err := s.Load(ctx, rec.ID); return err })
		count("Update", "evalsha:1 getrange:1 set:1", update)
		count("Touch", "evalsha:1 getrange:1 pexpireat:1 setrange:1", func() error { return s.Touch(ctx, rec.ID, soon.Add(time.Minute)) })
		if rec.Expires = soon.Add(2 * time.Hour); user == "" {
			count("Update into another hour", "evalsha:1 getrange:1 set:1", update)
			count("Touch into another hour", "evalsha:1 getrange:1 pexpireat:1 setrange:1", func() error { return s.Touch(ctx, rec.ID, soon.Add(4*time.Hour)) })
		} else {
			count("Update into another hour", "evalsha:1 getrange:1 pexpireat:1 pexpiretime:1 set:1 time:1 zadd:1 zremrangebyscore:1 zscore:1", update)
			count("Touch into another hour", indexed+"pexpireat:2 pexpiretime:1 setrange:1 time:1 zadd:1 zremrangebyscore:1 zscore:1", func() error { return s.Touch(ctx, rec.ID, soon.Add(4*time.Hour)) })
		}
		removed := "del:1 evalsha:1 getrange:1"
		if user != "" {
			removed += " zrem:1"
		}
		count("DeleteVersion", removed, func() error { return s.DeleteVersion(ctx, rec.ID, rec.Version+1) })
		must(t, "Create", s.Create(ctx, rec))
		count("Delete", removed, func() error { return s.Delete(ctx, rec.ID) })
	}
}

// TestUpdateOverTouch: an Update that a Touch has overtaken keeps its expiry.
func TestUpdateOverTouch(t *testing.T) {
	s := fresh(t)
	rec := create(t, s, "", "old")
	later := rec.Expires.Add(time.Hour)
	must(t, "Touch", s.Touch(ctx, rec.ID, later))
	rec.Data = []byte("new")
	must(t, "Update", s.Update(ctx, rec))
	got, err := s.Load(ctx, rec.ID)
	if err != nil || !got.Expires.Equal(later) || string(got.Data) != "new" || got.Version != 2 {
		t.Errorf("Load: got %+v, %v, want version 2, new data, expiry %v", got, err, later)
	}
	if at := do(t, "PEXPIRETIME", s.Key(rec.ID)); at != later.UnixMilli() {
		t.Errorf("the key expires at %v, want %v as the record says", at, later.UnixMilli())
	}
}

func TestCommands(t *testing.T) {
	s := fresh(t)
	lines, err := server.Record(func() error {
		rec := create(t, s, "alice", "a")
		must(t, "Touch", s.Touch(ctx, rec.ID, rec.Expires.Add(5*time.Hour)))
		must(t, "Update", s.Update(ctx, rec))
		must(t, "Delete", s.Delete(ctx, create(t, s, "alice", "b").ID))
		_, err := s.ByUser(ctx, "alice")
		return err
	})
	must(t, "Record", err)
	forbidden := regexp.MustCompile(`(?i)"(keys|scan|sscan|hscan|zscan|subscribe|psubscribe|expire|persist|eval_ro|flushdb)"`)
	oneKey := regexp.MustCompile(`"(EVAL|EVALSHA)" "(?:[^"\\]|\\.)*" ("1"|"2" "session:[0-9a-f-]+" "session:@alice") `)
	for _, line := range lines {
		if forbidden.MatchString(line) || strings.Contains(line, `"EVAL`) && !oneKey.MatchString(line) {
			t.Errorf("the server was sent %.200s", line)
		}
	}
	if len(lines) < 10 {
		t.Errorf("recorded %d commands, want more: is the recording right?", len(lines))
	}
}

func TestNoScript(t *testing.T) {
	s := fresh(t)
	flush := func() { do(t, "SCRIPT", "FLUSH") }
	for _, user := range []string{"", "alice"} {
		flush()
		rec := create(t, s, user, "x")
		flush()
		must(t, "Update", s.Update(ctx, rec))
		rec.Version++
		unseen := openAt(t, server.URL())
		flush()
		must(t, "Update", unseen.Update(ctx, rec))
		flush()
		must(t, "Touch", s.Touch(ctx, rec.ID, rec.Expires.Add(5*time.Hour)))
		flush()
		if recs, err := s.ByUser(ctx, user); err != nil || len(recs) != len(user)/5 {
			t.Errorf("ByUser(%q): got %d records, %v", user, len(recs), err)
		}
		flush()
		must(t, "DeleteVersion", s.DeleteVersion(ctx, rec.ID, 3))
	}
}

func TestCorrupt(t *testing.T) {
	s := fresh(t)
	good := redisengine.Encode(newRecord("bob", "data"), 1)
	damage := func(at int, with byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = with
		return b
	}
	for name, plant := range map[string]func(key string){
		"empty":         func(key string) { do(t, "SET", key, "") },
		"short":         func(key string) { do(t, "SET", key, "x") },
		"cut in head":   func(key string) { do(t, "SET", key, good[:atUserLen]) },
		"cut in user":   func(key string) { do(t, "SET", key, good[:atUser+1]) },
		"other format":  func(key string) { do(t, "SET", key, damage(0, 2)) },
		"bad expiry":    func(key string) { do(t, "SET", key, damage(atExpires+3, 'x')) },
		"foreign text":  func(key string) { do(t, "SET", key, strings.Repeat("foreign ", 20)) },
		"list":          func(key string) { do(t, "RPUSH", key, "x") },
		"hash":          func(key string) { do(t, "HSET", key, "f", "x") },
		"sorted set":    func(key string) { do(t, "ZADD", key, 1, "x") },
		"stream":        func(key string) { do(t, "XADD", key, "*", "f", "x") },
		"another store": func(key string) { do(t, "SET", key, `{"user":"x"}`, "PX", 100000) },
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecord("", "new")
			rec.Version = 1
			plant(s.Key(rec.ID))
			before := s.Corrupt()
			if _, err := s.Load(ctx, rec.ID); !errors.Is(err, backend.ErrNotFound) {
				t.Errorf("Load: got %v, want ErrNotFound", err)
			}
			if s.Corrupt() != before+1 {
				t.Errorf("Corrupt: got %d, want %d", s.Corrupt(), before+1)
			}
			if name != "cut in user" && name != "cut in head" { // a whole version: replacing it heals
				if err := s.Update(ctx, rec); !errors.Is(err, backend.ErrNotFound) && !errors.Is(err, backend.ErrConflict) {
					t.Errorf("Update: got %v, want ErrNotFound", err)
				}
				if err := s.Touch(ctx, rec.ID, rec.Expires.Add(time.Hour)); !errors.Is(err, backend.ErrNotFound) {
					t.Errorf("Touch: got %v, want ErrNotFound", err)
				}
			}
			if err := s.Create(ctx, rec); !errors.Is(err, backend.ErrExists) {
				t.Errorf("Create: got %v, want ErrExists", err)
			}
			must(t, "Delete", s.Delete(ctx, rec.ID))
			must(t, "Create after Delete", s.Create(ctx, rec))
		})
	}
}

func TestTooLarge(t *testing.T) {
	fresh(t)
	pool := &redis.Pool{Dial: server.Dial}
	defer pool.Close()
	s, err := New(pool, Options{MaxBytes: 1000})
	must(t, "New", err)
	rec := newRecord("", strings.Repeat("x", 1000-atUser))
	must(t, "Create at the limit", s.Create(ctx, rec))
	rec.Version = 1
	rec.Data = append(rec.Data, 'x')
	if err := s.Update(ctx, rec); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("Update: got %v, want ErrTooLarge", err)
	}
	rec.ID = uuid.Must(uuid.NewV7())
	if err := s.Create(ctx, rec); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("Create: got %v, want ErrTooLarge", err)
	}
}

func TestNew(t *testing.T) {
	if _, err := New(nil, Options{}); err == nil {
		t.Error("New(nil): got nil, want an error")
	}
	for _, o := range []Options{{Prefix: "a@b"}, {Prefix: "a b"}, {Prefix: strings.Repeat("x", 65)}, {Prefix: "a\n"}, {MaxBytes: -1}} {
		if _, err := New(&redis.Pool{}, o); err == nil {
			t.Errorf("New with %+v: got nil, want an error", o)
		}
	}
	pool := &redis.Pool{Dial: server.Dial, MaxIdle: 1}
	defer pool.Close()
	s, err := New(pool, Options{})
	must(t, "New", err)
	rec := create(t, s, "", "x")
	if s.Bounded() {
		t.Error("a Store on a caller's pool says that it is Bounded")
	}
	for range 2 {
		must(t, "Close", s.Close())
	}
	if _, err := s.Load(ctx, rec.ID); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Load after Close: got %v, want ErrClosed", err)
	}
	c := pool.Get()
	defer c.Close()
	if _, err := c.Do("PING"); err != nil {
		t.Errorf("the caller's pool after Close: %v", err)
	}
}

func TestRegistered(t *testing.T) {
	s, err := backend.Open(Name, server.Addr())
	must(t, "backend.Open", err)
	must(t, "Close", s.(*Store).Close())
	if s, err := backend.Open(Name, "127.0.0.1:1"); err == nil || s != nil {
		t.Errorf("backend.Open of a closed port: got %v, %v, want nil and an error", s, err)
	}
}
