package goredis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/internal/testserver"
)

var ctx = context.Background()

// The package's private servers.
var (
	server  *testserver.Redis
	cluster *testserver.RedisCluster
)

const password = "s3cret"

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) (code int) {
	var err error
	if server, err = testserver.StartRedis(testserver.RedisOptions{}); err == nil {
		cluster, err = testserver.StartRedisCluster(testserver.RedisGroupOptions{Password: password})
	}
	if err == nil {
		os.Setenv("SHOP_REDIS", server.Addr()) // the examples'
		code = m.Run()
		err = cluster.Stop()
	}
	if server != nil {
		err = errors.Join(err, server.Stop())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// openAt opens a store and closes it with the test.
func openAt(t testing.TB, savePath string) *Store {
	t.Helper()
	s, err := Open(savePath)
	must(t, "Open", err)
	t.Cleanup(func() { must(t, "Close", s.Close()) })
	return s
}

// on returns a store on a client, which is closed with the test.
func on(t testing.TB, client redis.UniversalClient, opts Options) *Store {
	t.Helper()
	t.Cleanup(func() { _ = client.Close() })
	s, err := New(client, opts)
	must(t, "New", err)
	return s
}

func newRecord(user, data string) backend.Record {
	return backend.Record{ID: uuid.Must(uuid.NewV7()), Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond), User: user, Data: []byte(data)}
}

func TestBackend(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) backend.Store{
		"own client": func(t *testing.T) backend.Store { return openAt(t, server.URL()) },
		"caller's client": func(t *testing.T) backend.Store {
			return on(t, redis.NewClient(&redis.Options{Addr: server.Addr()}), Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backend.Store {
				must(t, "FlushAll", server.FlushAll())
				return open(t)
			})
		})
	}
}

// TestBackendOnCluster runs the suite on a Redis Cluster: on a client of our own
// that waits for a replica, on two callers' clients as in two processes, and with
// all keys in one slot.
func TestBackendOnCluster(t *testing.T) {
	callers := func(t *testing.T, opts Options) backend.Store {
		var addrs []string
		for _, node := range cluster.Nodes {
			addrs = append(addrs, node.Addr())
		}
		return on(t, redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, Password: password}), opts)
	}
	t.Run("own client, Replicas 1", func(t *testing.T) {
		backendtest.Run(t, func(t *testing.T) backend.Store {
			must(t, "FlushAll", cluster.FlushAll())
			return openAt(t, cluster.SavePath("replicas=1"))
		})
	})
	t.Run("two callers' clients", func(t *testing.T) {
		backendtest.RunShared(t, func(t *testing.T) (backend.Store, backend.Store) {
			must(t, "FlushAll", cluster.FlushAll())
			return callers(t, Options{}), callers(t, Options{})
		})
	})
	t.Run("one slot", func(t *testing.T) {
		backendtest.Run(t, func(t *testing.T) backend.Store {
			must(t, "FlushAll", cluster.FlushAll())
			return callers(t, Options{Prefix: "{shop}:"})
		})
	})
}

// TestCheckOnCluster: the probe of Open finds all that is needed on a cluster.
func TestCheckOnCluster(t *testing.T) {
	s := openAt(t, cluster.SavePath(""))
	must(t, "Check", s.Check(ctx))
	if !s.Cluster() || !s.Bounded() || s.Confirms() {
		t.Errorf("a store on a cluster says: cluster %v, bounded %v, waits %v", s.Cluster(), s.Bounded(), s.Confirms())
	}
}

// TestRefuses: what is wrong is said at Open, with the cure and without a password.
func TestRefuses(t *testing.T) {
	node := strings.Replace(cluster.SavePath(""), "redis+cluster", "redis", 1)
	node, _, _ = strings.Cut(node, ",")
	for savePath, want := range map[string]string{
		node: "redis+cluster://",
		strings.Replace(cluster.SavePath(""), "s3cret", "s3cret2", 1): "WRONGPASS",
		"redis://127.0.0.1:1":         "refused",
		"redis+cluster://127.0.0.1:1": "refused",
		"127.0.0.1:6379":              "scheme",
	} {
		s, err := Open(savePath)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q): %v, %v; want an error with %q and no password", savePath, s, err, want)
		}
	}
	var none *redis.Client
	for _, client := range []redis.UniversalClient{nil, none} {
		if _, err := New(client, Options{}); err == nil {
			t.Errorf("New(%#v): no error", client)
		}
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": server.Addr()}})
	defer func() { _ = ring.Close() }()
	if _, err := New(ring, Options{Replicas: 1}); err == nil || !strings.Contains(err.Error(), "Replicas") {
		t.Errorf("New on a ring with Replicas: %v", err)
	}
}

// TestRegistered: the backend is known by its name.
func TestRegistered(t *testing.T) {
	s, err := backend.Open(Name, server.URL())
	must(t, "backend.Open", err)
	must(t, "Close", s.(*Store).Close())
	if _, err := s.Load(ctx, uuid.Must(uuid.NewV7())); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Load after Close: %v, want ErrClosed", err)
	}
}

// TestNotSentAgain: a write whose reply is lost is not sent a second time by the
// client, which would make a conflict of a success; a read is.
func TestNotSentAgain(t *testing.T) {
	link, err := testserver.StartLink(server.Addr())
	must(t, "StartLink", err)
	t.Cleanup(func() { must(t, "Stop", link.Stop()) })
	for name, s := range map[string]*Store{
		"own client":      openAt(t, "redis://"+link.Addr()),
		"caller's client": on(t, redis.NewClient(&redis.Options{Addr: link.Addr()}), Options{}),
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecord("", "x")
			must(t, "Create", s.Create(ctx, rec))
			rec.Version = 1
			lose := func(word string) (sent func() int) {
				n := 0
				link.LoseReplies(func(request []byte) bool {
					if !strings.Contains(string(request), word) {
						return false
					}
					n++
					return n == 1
				})
				return func() int { link.LoseReplies(nil); return n }
			}
			sent := lose("EVALSHA")
			if err := s.Update(ctx, rec); err == nil || errors.Is(err, backend.ErrConflict) || sent() != 1 {
				t.Errorf("an Update whose reply is lost: %v, sent %d times; want an error, and once", err, sent())
			}
			sent = lose("GET")
			if got, err := s.Load(ctx, rec.ID); err != nil || got.Version != 2 || sent() < 2 {
				t.Errorf("a Load whose reply is lost: %v, %v, sent %d times; want version 2, and twice", got, err, sent())
			}
		})
	}
}

// TestDeadlines: a server that is frozen costs a call no more than its time, on a
// client of our own and on one that does not heed contexts.
func TestDeadlines(t *testing.T) {
	r, err := testserver.StartRedis(testserver.RedisOptions{})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", r.Stop()) })
	own := openAt(t, r.URL())
	callers := on(t, redis.NewClient(&redis.Options{Addr: r.Addr()}), Options{})
	_, err = callers.Load(ctx, uuid.Nil)
	if !errors.Is(err, backend.ErrNotFound) {
		t.Fatalf("Load: %v", err)
	}
	must(t, "Freeze", r.Freeze())
	defer func() { must(t, "Thaw", r.Thaw()) }()
	for name, call := range map[string]func() error{
		"own client": func() error { _, err := own.Load(ctx, uuid.Nil); return err },
		"caller's client": func() error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			err := callers.Delete(ctx, uuid.Nil)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("not the context's: %w", err)
			}
			return err
		},
	} {
		start := time.Now()
		if err := call(); err == nil || strings.Contains(err.Error(), "not the context's") || time.Since(start) > 3*time.Second {
			t.Errorf("%s: %v after %v; want an error within 3 seconds", name, err, time.Since(start))
		}
	}
}

// TestAccount: an account with the rights that the documentation names, and no
// others, is enough.
func TestAccount(t *testing.T) {
	pages := ""
	for _, page := range []string{"redis", "goredis"} {
		b, err := os.ReadFile("../../docs/backends/" + page + ".md")
		must(t, "read the page", err)
		pages += string(b)
	}
	rights := []any{"SETUSER", "sam", "reset", "on", ">pw", "resetkeys", "~session:*", "resetchannels", "-@all"}
	for _, right := range regexp.MustCompile("[\\s`]\\+[a-z|]+").FindAllString(pages, -1) {
		rights = append(rights, right[1:])
	}
	for _, node := range cluster.Nodes {
		_, err := node.Do("ACL", rights...)
		must(t, "ACL SETUSER", err)
	}
	s := openAt(t, strings.Replace(cluster.SavePath("replicas=1"), ":"+password+"@", "sam:pw@", 1))
	rec := newRecord("alice", "x")
	rec.Confirm = true
	must(t, "Create", s.Create(ctx, rec))
	must(t, "Delete", s.Delete(ctx, rec.ID))
}

// TestDurability: the store says what a failover undoes, as the servers are set.
func TestDurability(t *testing.T) {
	for savePath, want := range map[string]string{
		server.URL():                   "one server without a replica; nothing is kept on disk",
		cluster.SavePath(""):           "1 replicas, asynchronous",
		cluster.SavePath("replicas=1"): "once 1 of the replicas have it",
		server.URL() + "?replicas=1":   "refused now",
	} {
		if got := openAt(t, savePath).Durability(); !strings.Contains(got, want) {
			t.Errorf("Durability: %q, want it to say %q", got, want)
		}
	}
}
