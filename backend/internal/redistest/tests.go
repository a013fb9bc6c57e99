package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/internal/testserver"
)

var prefixes atomic.Int64

// prefix returns another prefix each time: the servers are not emptied.
func prefix() string { return fmt.Sprintf("t%d:", prefixes.Add(1)) }

// Run runs all tests.
func (b Backend) Run(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"suite":                 b.suite,
		"check on a cluster":    b.checksCluster,
		"refuses":               b.refuses,
		"refuses a replica":     b.refusesReplica,
		"refuses less":          b.refusesLess,
		"registered":            b.registered,
		"writes not sent again": b.notSentAgain,
		"deadlines":             b.deadlines,
		"an account of its own": b.account,
		"says what is promised": b.durability,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// nodes are the addresses of the cluster.
func nodes() (addrs []string) {
	for _, node := range cluster.Nodes {
		addrs = append(addrs, node.Addr())
	}
	return addrs
}

// suite runs the suite on clients of our own and of callers: on one server, and on
// a cluster, waiting for a replica, on two stores as in two processes, and with all
// keys in one slot.
func (b Backend) suite(t *testing.T) {
	run := func(name string, open func(t *testing.T) backend.Store) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backendtest.Run(t, open)
		})
	}
	run("own client", func(t *testing.T) backend.Store { return b.patient(t, Server.URL()+"?prefix="+prefix()) })
	run("caller's client", func(t *testing.T) backend.Store {
		return b.On(t, redisengine.Options{Prefix: prefix()}, "", Server.Addr())
	})
	run("cluster, own client, Replicas 1", func(t *testing.T) backend.Store {
		return b.patient(t, cluster.SavePath("replicas=1&replicawait=1s&prefix="+prefix()))
	})
	run("cluster, one slot", func(t *testing.T) backend.Store {
		return b.On(t, redisengine.Options{Prefix: "{shop}:" + prefix()}, password, nodes()...)
	})
	t.Run("cluster, two callers' clients", func(t *testing.T) {
		t.Parallel()
		backendtest.RunShared(t, func(t *testing.T) (backend.Store, backend.Store) {
			opts := redisengine.Options{Prefix: prefix()}
			return b.On(t, opts, password, nodes()...), b.On(t, opts, password, nodes()...)
		})
	})
}

// checksCluster: the probe of Open finds all that is needed on a cluster.
func (b Backend) checksCluster(t *testing.T) {
	s := b.open(t, cluster.SavePath(""))
	must(t, "Check", s.Check(ctx))
	if !s.Cluster() || !s.Bounded() || s.Confirms() {
		t.Errorf("a store on a cluster says: cluster %v, bounded %v, waits %v", s.Cluster(), s.Bounded(), s.Confirms())
	}
}

// refuses: what is wrong is said at Open, with the cure and without a password.
func (b Backend) refuses(t *testing.T) {
	node := strings.Replace(cluster.SavePath(""), "redis+cluster", "redis", 1)
	node, _, _ = strings.Cut(node, ",")
	for savePath, want := range map[string]string{
		node: "redis+cluster://",
		strings.Replace(cluster.SavePath(""), "s3cret", "s3cret2", 1): "WRONGPASS",
		"redis://127.0.0.1:1":              "refused",
		"redis+cluster://127.0.0.1:1":      "refused",
		"redis+cluster://" + Server.Addr(): "write redis://",
		"rediss://" + Server.Addr():        "a server without TLS",
		"127.0.0.1:6379":                   "scheme",
	} {
		s, err := b.Open(savePath)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q): %v, %v; want an error with %q and no password", savePath, s, err, want)
		}
	}
}

// refusesReplica: a replica is an error at once. There is nobody to name another
// server, and nothing to wait for.
func (b Backend) refusesReplica(t *testing.T) {
	r, err := testserver.StartRedis(testserver.RedisOptions{Args: []string{"--replicaof", "127.0.0.1 1"}})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", r.Stop()) })
	if _, err := b.Open(r.URL()); err == nil || !strings.Contains(err.Error(), "the address of the primary") {
		t.Errorf("Open on a replica: %v; want an error with the cure", err)
	}
	stats, err := r.Do("INFO", "commandstats")
	must(t, "INFO", err)
	calls := 0
	for _, n := range regexp.MustCompile(`cmdstat_(?:eval|evalsha|del):calls=(\d+)`).FindAllStringSubmatch(fmt.Sprintf("%s", stats), -1) {
		more, err := strconv.Atoi(n[1])
		must(t, "read INFO", err)
		calls += more
	}
	if calls > 10 {
		t.Errorf("a replica was asked %d times to write; want each once or twice", calls)
	}
}

// refusesLess: a command that the server does not have, or the account may not run,
// is named.
func (b Backend) refusesLess(t *testing.T) {
	r, err := testserver.StartRedis(testserver.RedisOptions{Args: []string{"--rename-command", "ZREM", "none"}})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", r.Stop()) })
	if _, err := b.Open(r.URL()); err == nil || !strings.Contains(err.Error(), "no command ZREM") {
		t.Errorf("Open on a server without ZREM: %v; want an error that names it", err)
	}
	for _, node := range cluster.Nodes {
		_, err := node.Do("ACL", "SETUSER", "ann", "reset", "on", ">pw", "allkeys", "+@all", "-asking")
		must(t, "ACL SETUSER", err)
	}
	savePath := strings.Replace(cluster.SavePath(""), ":"+password+"@", "ann:pw@", 1)
	if _, err := b.Open(savePath); err == nil || !strings.Contains(err.Error(), "+asking") {
		t.Errorf("Open on a cluster without the right to ASKING: %v; want an error that names it", err)
	}
}

// registered: the backend is known by its name.
func (b Backend) registered(t *testing.T) {
	s, err := backend.Open(b.Name, Server.URL())
	must(t, "backend.Open", err)
	must(t, "Close", s.(Store).Close())
	if _, err := s.Load(ctx, uuid.Must(uuid.NewV7())); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("Load after Close: %v, want ErrClosed", err)
	}
}

// notSentAgain: a write whose reply is lost is not sent a second time by the client,
// which would make a conflict of a success; a read is.
func (b Backend) notSentAgain(t *testing.T) {
	for name, open := range map[string]func(addr string) Store{
		"own client":      func(addr string) Store { return b.open(t, "redis://"+addr) },
		"caller's client": func(addr string) Store { return b.On(t, redisengine.Options{}, "", addr) },
	} {
		link, err := testserver.StartLink(Server.Addr())
		must(t, "StartLink", err)
		t.Cleanup(func() { must(t, "Stop", link.Stop()) })
		s := open(link.Addr())
		rec := Record("", "x")
		must(t, "Create", s.Create(ctx, rec))
		rec.Version = 1
		must(t, "Update", s.Update(ctx, rec)) // the server has the script now: the next reply is not NOSCRIPT
		rec.Version = 2
		sent := loseOne(link, "EVALSHA")
		if err := s.Update(ctx, rec); err == nil || errors.Is(err, backend.ErrConflict) || sent() != 1 {
			t.Errorf("%s: an Update whose reply is lost: %v, sent %d times; want an error, and once", name, err, sent())
		}
		sent = loseOne(link, "GET")
		if got, err := s.Load(ctx, rec.ID); err != nil || got.Version != 3 || sent() < 2 {
			t.Errorf("%s: a Load whose reply is lost: %v, %v, sent %d times; want version 3, and twice", name, got, err, sent())
		}
	}
}

// loseOne loses the reply to the first request with a word. sent ends that and
// returns how often the word was sent.
func loseOne(link *testserver.Link, word string) (sent func() int) {
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

// deadlines: a server that is frozen costs a call no more than its time, on a client
// of our own and on a caller's.
func (b Backend) deadlines(t *testing.T) {
	r, err := testserver.StartRedis(testserver.RedisOptions{})
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", r.Stop()) })
	own := b.open(t, r.URL())
	callers := b.On(t, redisengine.Options{}, "", r.Addr())
	if _, err = callers.Load(ctx, uuid.Nil); !errors.Is(err, backend.ErrNotFound) {
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
		if err := call(); err == nil || strings.Contains(err.Error(), "not the context's") || time.Since(start) > 8*time.Second {
			t.Errorf("%s: %v after %v; want an error within 3 seconds, or 8 on a busy machine", name, err, time.Since(start))
		}
	}
}

// account: an account with the rights that the documentation names, and no others,
// is enough.
func (b Backend) account(t *testing.T) {
	rights := []any{"SETUSER", "sam", "reset", "on", ">pw", "resetkeys", "~session:*", "resetchannels", "-@all"}
	for _, page := range []string{"redis", "goredis"} { // to which that of rueidis refers
		text, err := os.ReadFile("../../docs/backends/" + page + ".md")
		must(t, "read the page", err)
		for _, right := range regexp.MustCompile("[\\s`]\\+[a-z|]+").FindAllString(string(text), -1) {
			rights = append(rights, right[1:])
		}
	}
	for _, node := range cluster.Nodes {
		_, err := node.Do("ACL", rights...)
		must(t, "ACL SETUSER", err)
	}
	s := b.open(t, strings.Replace(cluster.SavePath("replicas=1&replicawait=1s"), ":"+password+"@", "sam:pw@", 1))
	rec := Record("alice", "x")
	rec.Confirm = true
	must(t, "Create", s.Create(ctx, rec))
	must(t, "Delete", s.Delete(ctx, rec.ID))
}

// durability: the store says what a failover undoes, as the servers are set.
func (b Backend) durability(t *testing.T) {
	for savePath, want := range map[string]string{
		Server.URL():                   "one server without a replica; nothing is kept on disk",
		cluster.SavePath(""):           "1 replicas, asynchronous",
		cluster.SavePath("replicas=1"): "once 1 of the replicas have it",
		Server.URL() + "?replicas=1":   "refused now",
	} {
		if got := b.open(t, savePath).Durability(); !strings.Contains(got, want) {
			t.Errorf("Durability: %q, want it to say %q", got, want)
		}
	}
}
