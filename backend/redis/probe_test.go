//go:build servers

package redis

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/internal/testserver"
)

// account makes an account with these rules and returns its save path.
func account(t *testing.T, r *testserver.Redis, rules ...any) string {
	t.Helper()
	_, err := r.Do("ACL", append([]any{"SETUSER", "shop", "reset", "on", ">s3cret"}, rules...)...)
	must(t, "ACL SETUSER", err)
	return (&url.URL{Scheme: "redis", Host: r.Addr(), User: url.UserPassword("shop", "s3cret")}).String()
}

// commandsIn returns the commands that the script calls, in capitals.
func commandsIn(script string) (names []string) {
	for _, m := range regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`).FindAllStringSubmatch(script, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestOpenNamesTheMissingCommand takes one command after the other away, those
// that only the script calls as well: Open must refuse, and leave nothing.
func TestOpenNamesTheMissingCommand(t *testing.T) {
	r := private(t, testserver.RedisOptions{})
	all := commandsIn(redisengine.ScriptSource)
	if len(all) < 10 {
		t.Fatalf("the script calls %v: were its commands found?", all)
	}
	all = append(all, "GET", "PING", "EVAL", "EVALSHA", "ZRANGE")
	for _, name := range slices.Compact(slices.Sorted(slices.Values(all))) {
		s, err := Open(account(t, r, "~session:*", "+@all", "-"+strings.ToLower(name)))
		if err == nil || s != nil || !strings.Contains(strings.ToUpper(err.Error()), name) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open without %s: got %v, %v, want an error that names it, and no password", name, s, err)
		} else if name != "PING" && !strings.Contains(err.Error(), "ACL SETUSER <user> +"+strings.ToLower(name)) {
			t.Errorf("Open without %s: %v; want the cure", name, err)
		}
	}
	for _, rules := range [][]any{{"~other:*", "+@all"}, {"%R~session:*", "+@all"}, {"~session:[0-9a-f]*", "+@all"}, {"~session:@*", "+@all"}} {
		if _, err := Open(account(t, r, rules...)); err == nil || !strings.Contains(err.Error(), `keys that begin with "session:"`) {
			t.Errorf("Open with %v: %v, want an error about the keys", rules, err)
		}
	}
	must(t, "Close", openAt(t, account(t, r, "~session:*", "+@all")).Close())
	if left, err := redis.Strings(r.Do("KEYS", "*")); err != nil || len(left) > 0 {
		t.Errorf("the probes left %q, %v", left, err)
	}
}

func TestOpenNeedsCommandsUnderTheirName(t *testing.T) {
	r := private(t, testserver.RedisOptions{Args: []string{"--rename-command", "ZADD", "", "--rename-command", "EVALSHA", "hidden"}})
	if _, err := Open(r.URL()); err == nil || !strings.Contains(err.Error(), "has no command EVALSHA, ZADD") {
		t.Errorf("Open: %v, want an error that names EVALSHA and ZADD", err)
	}
}

func TestOpenWrongServer(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string // "" is success
	}{
		"replica":           {[]string{"--replicaof", "127.0.0.1", "1", "--replica-serve-stale-data", "yes"}, "replica"},
		"cluster":           {[]string{"--cluster-enabled", "yes"}, "backend/goredis"},
		"full":              {[]string{"--maxmemory", "1"}, ""},
		"a replica missing": {[]string{"--min-replicas-to-write", "1"}, ""},
	} {
		s, err := Open(private(t, testserver.RedisOptions{Args: tc.args}).URL())
		if tc.want == "" {
			must(t, "Open: "+name, err)
			must(t, "Close", s.Close())
		} else if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Open: %s: %v, want an error with %q", name, err, tc.want)
		}
	}
}

// TestNoRecordWithoutIndex takes the rights to the index away while the store
// runs. A login must fail then, and leave no record: nobody could revoke it.
func TestNoRecordWithoutIndex(t *testing.T) {
	for _, hello := range []string{"+hello", "-hello"} { // one script, and two calls
		for _, command := range []string{"zadd", "zscore", "time", "zremrangebyscore", "pexpiretime", "pexpireat"} {
			t.Run(hello+" -"+command, func(t *testing.T) {
				r := private(t, testserver.RedisOptions{})
				s := openAt(t, account(t, r, "~session:*", "+@all", hello))
				old := create(t, s, "", "anonymous")
				account(t, r, "~session:*", "+@all", hello, "-"+command)
				rec := newRecord("alice", "x")
				if err := s.Create(ctx, rec); err == nil {
					t.Error("Create: got nil")
				}
				if _, err := s.Load(ctx, rec.ID); !errors.Is(err, backend.ErrNotFound) {
					t.Errorf("Load after Create: %v, want ErrNotFound", err)
				}
				login := old
				login.User = "alice"
				if err := s.Update(ctx, login); err == nil {
					t.Error("Update: got nil")
				}
				if got, err := s.Load(ctx, old.ID); err != nil || got.Version != 1 || got.User != "" {
					t.Errorf("Load after Update: %+v, %v, want the old record", got, err)
				}
			})
		}
	}
}

// TestOtherTypeUnderIndex plants what is no index under a user's name: a clear
// error, and nobody's session is lost by it.
func TestOtherTypeUnderIndex(t *testing.T) {
	for _, hello := range []string{"+hello", "-hello"} {
		for what, plant := range map[string][]any{"string": {"SET", "x"}, "list": {"RPUSH", "x"}, "hash": {"HSET", "f", "x"}, "set": {"SADD", "x"}} {
			t.Run(hello+" "+what, func(t *testing.T) {
				r := private(t, testserver.RedisOptions{})
				s := openAt(t, account(t, r, "~session:*", "+@all", hello))
				rec := create(t, s, "alice", "x")
				anonymous := create(t, s, "", "x")
				_, err := r.Do("DEL", s.Index("alice"))
				must(t, "DEL", err)
				_, err = r.Do(plant[0].(string), append([]any{s.Index("alice")}, plant[1:]...)...)
				must(t, "plant", err)
				wrong := func(verb string, err error) {
					t.Helper()
					if err == nil || errors.Is(err, backend.ErrNotFound) || !strings.Contains(err.Error(), "holds something else than a sorted set") {
						t.Errorf("%s: got %v, want an error that says what is there", verb, err)
					}
				}
				login := anonymous
				login.User = "alice"
				wrong("Update", s.Update(ctx, login))
				wrong("Create", s.Create(ctx, newRecord("alice", "x")))
				later := rec.Expires.Add(3 * time.Hour)
				wrong("Touch", s.Touch(ctx, rec.ID, later))
				_, err = s.ByUser(ctx, "alice")
				wrong("ByUser", err)
				if got, err := s.Load(ctx, rec.ID); err != nil || !got.Expires.Equal(later) {
					t.Errorf("Load: %+v, %v, want the session, touched", got, err)
				}
				if s.Corrupt() != 0 {
					t.Errorf("Corrupt: %d, want 0", s.Corrupt())
				}
				must(t, "Delete", s.Delete(ctx, rec.ID))
				must(t, "DeleteVersion", s.DeleteVersion(ctx, anonymous.ID, 1))
			})
		}
	}
}

// TestDeleteLeavesNoEntry: a loop of logins and logouts leaves no index behind.
func TestDeleteLeavesNoEntry(t *testing.T) {
	for _, hello := range []string{"+hello", "-hello"} {
		r := private(t, testserver.RedisOptions{})
		at := account(t, r, "~session:*", "+@all", hello)
		s, other := openAt(t, at), openAt(t, at) // other has not seen the sessions
		for name, remove := range map[string]func(rec backend.Record) error{
			"Delete":                  func(rec backend.Record) error { return s.Delete(ctx, rec.ID) },
			"DeleteVersion":           func(rec backend.Record) error { return s.DeleteVersion(ctx, rec.ID, 1) },
			"Delete elsewhere":        func(rec backend.Record) error { return other.Delete(ctx, rec.ID) },
			"DeleteVersion elsewhere": func(rec backend.Record) error { return other.DeleteVersion(ctx, rec.ID, 1) },
			"Delete, user since other": func(rec backend.Record) error {
				rec.User = "bob"
				return errors.Join(other.Update(ctx, rec), s.Delete(ctx, rec.ID))
			},
		} {
			must(t, name, remove(create(t, s, "alice", "x")))
			left, err := redis.Strings(r.Do("KEYS", "*"))
			if name == "Delete, user since other" { // alice's entry is stale, bob's is gone
				left = slices.DeleteFunc(left, func(key string) bool { return key == s.Index("alice") })
			}
			if err != nil || len(left) > 0 {
				t.Errorf("%s (%s): %q is left, %v", name, hello, left, err)
			}
			_, err = r.Do("FLUSHALL")
			must(t, "FLUSHALL", err)
		}
		rec := create(t, s, "alice", "x")
		if err := s.DeleteVersion(ctx, rec.ID, 2); !errors.Is(err, backend.ErrConflict) {
			t.Errorf("DeleteVersion: %v, want ErrConflict", err)
		}
		if found, err := s.ByUser(ctx, "alice"); err != nil || len(found) != 1 {
			t.Errorf("ByUser after a conflict: %d, %v, want 1", len(found), err)
		}
	}
}

// TestByUserReadsHeads: the list of a user's sessions is not their values.
func TestByUserReadsHeads(t *testing.T) {
	s := fresh(t)
	for range 3 {
		create(t, s, strings.Repeat("u", backend.MaxUser), strings.Repeat("x", 1<<20))
	}
	found, err := s.ByUser(ctx, strings.Repeat("u", backend.MaxUser))
	must(t, "ByUser", err)
	for _, rec := range found {
		if len(rec.Data) != backend.HeadSize {
			t.Errorf("ByUser read %d bytes of a session, want %d", len(rec.Data), backend.HeadSize)
		}
	}
	if len(found) != 3 {
		t.Errorf("ByUser: %d, want 3", len(found))
	}
}

// TestDeadline freezes the server: a call ends with its context's deadline, on
// a pool of our own as well.
func TestDeadline(t *testing.T) {
	onBoth(t, testserver.RedisOptions{}, func(t *testing.T, r *testserver.Redis, s *Store) {
		rec := create(t, s, "alice", "x")
		must(t, "Freeze", r.Freeze())
		for name, call := range callsOf(s, rec) {
			limited, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			start := time.Now()
			err := call(limited)
			if took := time.Since(start); err == nil || took >= callTimeout {
				t.Errorf("%s: got %v after %v, want an error after 200 ms, before the store's own limit", name, err, took)
			}
			cancel()
		}
		must(t, "Thaw", r.Thaw())
	})
}
