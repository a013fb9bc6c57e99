//go:build servers

package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/google/uuid"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/internal/testserver"
)

// private starts a server for one test, to be mistreated.
func private(t *testing.T, opts testserver.RedisOptions) *testserver.Redis {
	t.Helper()
	r, err := testserver.StartRedis(opts)
	must(t, "StartRedis", err)
	t.Cleanup(func() { must(t, "Stop", r.Stop()) })
	return r
}

// onBoth runs a test on a store with a pool of its own and on one with a
// caller's, each on a fresh server.
func onBoth(t *testing.T, opts testserver.RedisOptions, test func(t *testing.T, r *testserver.Redis, s *Store)) {
	t.Run("own pool", func(t *testing.T) {
		r := private(t, opts)
		test(t, r, openAt(t, r.URL()))
	})
	t.Run("caller's pool", func(t *testing.T) {
		r := private(t, opts)
		pool := &redis.Pool{MaxIdle: 50, Dial: r.Dial}
		t.Cleanup(func() { _ = pool.Close() })
		s, err := New(pool, Options{})
		must(t, "New", err)
		test(t, r, s)
	})
}

// TestBackendOnCluster runs the suite on a Redis Cluster of one node, which
// refuses a script or command that touches two slots.
func TestBackendOnCluster(t *testing.T) {
	r := private(t, testserver.RedisOptions{Args: []string{"--cluster-enabled", "yes"}})
	_, err := r.Do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	must(t, "CLUSTER ADDSLOTSRANGE", err)
	eventually(t, "the cluster to be up", func() error { _, err := r.Do("SET", "probe", "1", "PX", 1); return err })
	backendtest.Run(t, func(t *testing.T) backend.Store {
		must(t, "FlushAll", r.FlushAll())
		return onPool(t, r)
	})
}

// onPool returns a store on a caller's pool, which asks the server nothing.
func onPool(t *testing.T, r *testserver.Redis) *Store {
	pool := &redis.Pool{MaxIdle: 50, Dial: r.Dial}
	t.Cleanup(func() { _ = pool.Close() })
	s, err := New(pool, Options{})
	must(t, "New", err)
	return s
}

// TestMoved has a cluster whose slots are elsewhere.
func TestMoved(t *testing.T) {
	r := private(t, testserver.RedisOptions{Args: []string{"--cluster-enabled", "yes"}})
	s := onPool(t, r)
	if _, err := s.Load(ctx, uuid.Must(uuid.NewV7())); err == nil || errors.Is(err, backend.ErrNotFound) || !strings.Contains(err.Error(), "CLUSTERDOWN") {
		t.Errorf("Load: got %v, want CLUSTERDOWN", err)
	}
}

// eventually polls until ok returns nil, for a minute.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("waited for %s: %v", what, err)
}

func TestReadOnly(t *testing.T) {
	onBoth(t, testserver.RedisOptions{}, func(t *testing.T, r *testserver.Redis, s *Store) {
		rec := create(t, s, "", "x")
		_, err := r.Do("REPLICAOF", "127.0.0.1", "1") // nobody there
		must(t, "REPLICAOF", err)
		if err := s.Update(ctx, rec); err == nil || !strings.Contains(err.Error(), "READONLY") {
			t.Errorf("Update: got %v, want READONLY", err)
		}
		if n := s.Pool().IdleCount(); n != 0 {
			t.Errorf("%d connections to the deposed server are kept", n)
		}
		_, err = r.Do("REPLICAOF", "NO", "ONE")
		must(t, "REPLICAOF NO ONE", err)
		must(t, "Update of the master again", s.Update(ctx, rec))
	})
}

func TestOutOfMemory(t *testing.T) {
	r := private(t, testserver.RedisOptions{})
	s := openAt(t, r.URL())
	rec := create(t, s, "alice", "old")
	for _, command := range []string{"maxmemory-policy noeviction", "maxmemory 1"} {
		name, value, _ := strings.Cut(command, " ")
		_, err := r.Do("CONFIG", "SET", name, value)
		must(t, "CONFIG SET "+command, err)
	}
	changed := rec
	changed.Data = []byte("new")
	for what, err := range map[string]error{
		"Create": s.Create(ctx, newRecord("", "x")),
		"Update": s.Update(ctx, changed),
		"Touch":  s.Touch(ctx, rec.ID, rec.Expires.Add(time.Hour)),
	} {
		if err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("%s: got %v, want OOM", what, err)
		}
	}
	if got, err := s.Load(ctx, rec.ID); err != nil || string(got.Data) != "old" || got.Version != 1 || !got.Expires.Equal(rec.Expires) {
		t.Errorf("Load: got %+v, %v, want the old record", got, err)
	}
	must(t, "Delete", s.Delete(ctx, rec.ID))
}

func TestPassword(t *testing.T) {
	const secret = "s3cret/@:word"
	r := private(t, testserver.RedisOptions{Password: secret})
	must(t, "ping", openAt(t, r.Addr()+",10,"+secret+",2,30").Delete(ctx, uuid.Nil))
	must(t, "ping", openAt(t, "unix://"+r.Socket()+"?db=3&password=s3cret%2F%40%3Aword").Delete(ctx, uuid.Nil))
	must(t, "ping", openAt(t, r.URL()).Delete(ctx, uuid.Nil))
	_, err := r.Do("ACL", "SETUSER", "sam", "on", ">"+secret+"2", "~*", "+@all")
	must(t, "ACL SETUSER", err)
	must(t, "ping", openAt(t, "redis://sam:s3cret%2F%40%3Aword2@"+r.Addr()).Delete(ctx, uuid.Nil))

	for savePath, want := range map[string]string{
		r.Addr():                                 "NOAUTH",
		r.Addr() + ",10,wrong-" + secret:         "WRONGPASS",
		"redis://:wrong-s3cret@" + r.Addr():      "WRONGPASS",
		"redis://sam:wrong-s3cret@" + r.Addr():   "WRONGPASS",
		r.Addr() + ",10," + secret + ",99":       "DB index",
		"redis://:s3cret@127.0.0.1:1":            "refused",
		"unix:///no/such/socket?password=s3cret": "no such file",
	} {
		s, err := Open(savePath)
		if err == nil || s != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q): got %v, %v, want an error with %s and no password", savePath, s, err, want)
		}
	}

	// A password that comes while connections are open.
	s := openAt(t, r.URL())
	_, err = r.Do("CONFIG", "SET", "requirepass", "another")
	must(t, "CONFIG SET requirepass", err)
	s.wire.own.retire()
	if _, err := s.Load(ctx, uuid.Nil); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("Load with the old password: got %v, want WRONGPASS", err)
	}
}

// TestErrorsQuoteNothing has the server quote a command it does not know.
func TestErrorsQuoteNothing(t *testing.T) {
	r := private(t, testserver.RedisOptions{Args: []string{"--rename-command", "EVALSHA", ""}})
	s := onPool(t, r)
	rec := create(t, s, "", "canary")
	err := s.Update(ctx, rec)
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "unknown command") {
		t.Errorf("Update: got %v, want unknown command and nothing of the record", err)
	}
}

func TestFrozen(t *testing.T) {
	onBoth(t, testserver.RedisOptions{}, func(t *testing.T, r *testserver.Redis, s *Store) {
		rec := create(t, s, "alice", "x")
		for range 5 { // some idle connections
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() { _, _ = s.Load(ctx, rec.ID) })
			}
			wg.Wait()
		}
		must(t, "Freeze", r.Freeze())
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if s.Bounded() {
			limited = ctx
		}
		large := newRecord("", strings.Repeat("x", 8<<20)) // more than the kernel buffers
		calls := callsOf(s, rec)
		calls["Create large"] = func(ctx context.Context) error { return s.Create(ctx, large) }
		var wg sync.WaitGroup
		for name, fn := range calls {
			wg.Go(func() {
				start := time.Now()
				err := fn(limited)
				if took := time.Since(start); err == nil || errors.Is(err, backend.ErrNotFound) || took > 8*time.Second {
					t.Errorf("%s: got %v after %v, want an error within 3 s, or 8 on a busy machine", name, err, took)
				}
				if !s.Bounded() && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: got %v, want the context's error", name, err)
				}
			})
		}
		wg.Wait()
		must(t, "Thaw", r.Thaw())
		_, err := s.Load(ctx, rec.ID)
		if !errors.Is(err, backend.ErrNotFound) { // Delete may have reached it
			must(t, "Load after Thaw", err)
		}
	})
}

// callsOf are calls of all methods.
func callsOf(s *Store, rec backend.Record) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Load":          func(ctx context.Context) error { _, err := s.Load(ctx, rec.ID); return err },
		"Create":        func(ctx context.Context) error { return s.Create(ctx, newRecord("", "x")) },
		"Update":        func(ctx context.Context) error { return s.Update(ctx, rec) },
		"Touch":         func(ctx context.Context) error { return s.Touch(ctx, rec.ID, rec.Expires.Add(time.Hour)) },
		"Delete":        func(ctx context.Context) error { return s.Delete(ctx, rec.ID) },
		"DeleteVersion": func(ctx context.Context) error { return s.DeleteVersion(ctx, rec.ID, 1) },
		"ByUser":        func(ctx context.Context) error { _, err := s.ByUser(ctx, "alice"); return err },
	}
}

func TestCancel(t *testing.T) {
	onBoth(t, testserver.RedisOptions{}, func(t *testing.T, r *testserver.Redis, s *Store) {
		rec := create(t, s, "", "x")
		cancelled, cancel := context.WithCancel(ctx)
		if !s.Bounded() {
			must(t, "Freeze", r.Freeze())
			time.AfterFunc(50*time.Millisecond, cancel)
			start := time.Now()
			if _, err := s.Load(cancelled, rec.ID); !errors.Is(err, context.Canceled) || time.Since(start) > 4*time.Second {
				t.Errorf("Load: got %v after %v, want Canceled before the connection's own 5 s", err, time.Since(start))
			}
			must(t, "Thaw", r.Thaw())
		}
		cancel()
		if _, err := s.Load(cancelled, rec.ID); !errors.Is(err, context.Canceled) {
			t.Errorf("Load with a cancelled context: got %v, want Canceled", err)
		}
		_, err := s.Load(ctx, rec.ID)
		must(t, "Load", err)
	})
}

func TestExhausted(t *testing.T) {
	r := private(t, testserver.RedisOptions{})
	s := openAt(t, r.Addr()+",1")
	rec := create(t, s, "", "x")
	hundred := func(check func(err error, took time.Duration)) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				start := time.Now()
				_, err := s.Load(ctx, rec.ID)
				check(err, time.Since(start))
			})
		}
		wg.Wait()
	}
	hundred(func(err error, _ time.Duration) {
		if err != nil {
			t.Errorf("Load over one connection: %v", err)
		}
	})
	must(t, "Freeze", r.Freeze())
	hundred(func(err error, took time.Duration) {
		if err == nil || took > 8*time.Second {
			t.Errorf("Load over one frozen connection: got %v after %v, want an error within 3 s, or 8 on a busy machine", err, took)
		} else if !errors.Is(err, os.ErrDeadlineExceeded) && !strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("Load over one frozen connection: %v, want a time-out (busy, dial or read)", err)
		}
	})
	must(t, "Thaw", r.Thaw())
	hundred(func(err error, _ time.Duration) {
		if err != nil {
			t.Errorf("Load after Thaw: %v", err)
		}
	})
	if n := s.Pool().ActiveCount(); n > 1 || len(s.wire.own.slots) != 0 {
		t.Errorf("%d connections and %d taken slots, want at most 1 and 0", n, len(s.wire.own.slots))
	}
}

// TestCutWhileIdle restarts the server under idle connections: nobody notices.
func TestCutWhileIdle(t *testing.T) {
	for name, first := range map[string]func(s *Store, rec backend.Record) error{
		"Load":          func(s *Store, rec backend.Record) error { _, err := s.Load(ctx, rec.ID); return err },
		"Touch":         func(s *Store, rec backend.Record) error { return s.Touch(ctx, rec.ID, rec.Expires.Add(time.Hour)) },
		"Delete":        func(s *Store, rec backend.Record) error { return s.Delete(ctx, rec.ID) },
		"Update":        func(s *Store, rec backend.Record) error { return s.Update(ctx, rec) },
		"Create":        func(s *Store, _ backend.Record) error { return s.Create(ctx, newRecord("bob", "x")) },
		"DeleteVersion": func(s *Store, rec backend.Record) error { return s.DeleteVersion(ctx, rec.ID, 1) },
		"ByUser":        func(s *Store, _ backend.Record) error { _, err := s.ByUser(ctx, "alice"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, testserver.RedisOptions{Durable: true}, func(t *testing.T, r *testserver.Redis, s *Store) {
				rec := create(t, s, "alice", "x")
				idle(t, s, 5)
				must(t, "Restart", r.Restart())
				time.Sleep(freshFor) // until then a connection is taken for alive
				if !s.Bounded() && (name == "Update" || name == "Create" || name == "DeleteVersion") {
					_, err := s.Load(ctx, rec.ID) // as every request does first
					must(t, "Load", err)
				}
				must(t, name, first(s, rec))
			})
		})
	}
}

// idle makes n idle connections.
func idle(t *testing.T, s *Store, n int) {
	t.Helper()
	conns := make([]redis.Conn, n)
	for i := range conns {
		c, err := s.Pool().GetContext(ctx)
		must(t, "Get", err)
		conns[i] = c
	}
	for _, c := range conns {
		must(t, "Close", c.Close())
	}
	if got := s.Pool().IdleCount(); got != n {
		t.Fatalf("%d idle connections, want %d", got, n)
	}
}

// TestKill9 kills a durable server under load.
func TestKill9(t *testing.T) {
	r := private(t, testserver.RedisOptions{Durable: true})
	s := openAt(t, r.URL())
	const writers = 8
	acked := make([]backend.Record, writers)
	var failed atomic.Int32
	stop := make(chan struct{})
	var wg sync.WaitGroup
	first := create(t, s, "alice", "0")
	for i := range acked {
		rec := first
		if i > 0 {
			rec = create(t, s, "alice", "0")
		}
		acked[i] = rec // the writer's own until it ended
		wg.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				rec.Data = []byte(fmt.Sprint(n))
				err := s.Update(ctx, rec)
				switch {
				case err == nil:
					rec.Version++
					acked[i] = rec
				case errors.Is(err, backend.ErrConflict):
					// A write without an answer, which happened: go on from it.
					got, err := s.Load(ctx, rec.ID)
					if err == nil && got.Version == rec.Version+1 {
						rec.Version = got.Version
					} else if err == nil {
						t.Errorf("writer %d: conflict of version %d with %d", i, rec.Version, got.Version)
						return
					}
				case errors.Is(err, backend.ErrNotFound):
					t.Errorf("writer %d: a lost session", i)
					return
				default:
					failed.Add(1)
				}
			}
		})
	}
	for range 3 {
		before := failed.Load()
		must(t, "Kill9", r.Kill9())
		eventually(t, "errors while it is down", func() error {
			if failed.Load() < before+100 {
				return errors.New("no errors")
			}
			return nil
		})
		must(t, "Restart", r.Restart())
		tries := 0
		eventually(t, "the first success", func() error { tries++; _, err := s.Load(ctx, first.ID); return err })
		if tries > 3 {
			t.Errorf("the first success was Load number %d, want the first, or the third on a busy machine", tries)
		}
	}
	close(stop)
	wg.Wait()
	for i, rec := range acked {
		if got, err := s.Load(ctx, rec.ID); err != nil || got.Version < rec.Version {
			t.Errorf("session %d: got version %d, %v; version %d was acknowledged", i, got.Version, err, rec.Version)
		}
	}
	if recs, err := s.ByUser(ctx, "alice"); err != nil || len(recs) != writers {
		t.Errorf("ByUser: got %d, %v, want %d", len(recs), err, writers)
	}
	if n := s.Pool().ActiveCount(); n > writers+1 || len(s.wire.own.slots) != 0 {
		t.Errorf("%d connections and %d slots are left", n, len(s.wire.own.slots))
	}
	noEternalKeys(t, r)
}

// noEternalKeys fails if a key has no time to live.
func noEternalKeys(t *testing.T, r *testserver.Redis) {
	t.Helper()
	names, err := redis.Strings(r.Do("KEYS", "*"))
	must(t, "KEYS", err)
	c, err := r.Dial()
	must(t, "Dial", err)
	defer c.Close()
	for _, name := range names {
		must(t, "PTTL", c.Send("PTTL", name))
	}
	ttls, err := redis.Int64s(c.Do(""))
	must(t, "PTTL", err)
	for i, ttl := range ttls {
		if ttl == -1 {
			t.Errorf("key %q has no time to live", names[i])
		}
	}
	if len(names) == 0 {
		t.Error("there are no keys at all")
	}
}

const writerEnv = "REDIS_TEST_WRITER"

// TestKilledWriters kills processes in the middle of their writing: no key is
// ever without a time to live.
func TestKilledWriters(t *testing.T) {
	r := private(t, testserver.RedisOptions{})
	for range 50 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerEnv+"="+r.URL())
		out, err := cmd.StdoutPipe()
		must(t, "StdoutPipe", err)
		must(t, "Start", cmd.Start())
		_, err = io.ReadFull(out, make([]byte, len("writing")))
		must(t, "read from the writer", err)
		must(t, "Kill", cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		noEternalKeys(t, r)
		must(t, "FlushAll", r.FlushAll())
	}
}

// write writes until it is killed.
func write(at string) {
	s, err := Open(at)
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		rec := newRecord(fmt.Sprint("user", i%100), "x")
		err := s.Create(ctx, rec)
		rec.Version = 1
		err = errors.Join(err, s.Update(ctx, rec), s.Touch(ctx, rec.ID, rec.Expires.Add(3*time.Hour)))
		if i%3 == 0 {
			err = errors.Join(err, s.Delete(ctx, rec.ID))
		}
		if err != nil {
			panic(err)
		}
		if i == 20 {
			fmt.Print("writing")
		}
	}
}

// TestLostReply has a proxy swallow an answer and cut the connection. Only
// what is idempotent is sent again.
func TestLostReply(t *testing.T) {
	fresh(t)
	p := newCutter(t, server.Addr())
	s := openAt(t, p.addr())
	for name, tc := range map[string]struct {
		call  func(rec backend.Record) error
		sent  int
		fails bool
	}{
		"Load":          {func(rec backend.Record) error { _, err := s.Load(ctx, rec.ID); return err }, 2, false},
		"Touch":         {func(rec backend.Record) error { return s.Touch(ctx, rec.ID, rec.Expires.Add(time.Hour)) }, 2, false},
		"Delete":        {func(rec backend.Record) error { return s.Delete(ctx, rec.ID) }, 2, false},
		"Update":        {func(rec backend.Record) error { return s.Update(ctx, rec) }, 1, true},
		"Create":        {func(backend.Record) error { return s.Create(ctx, newRecord("", "x")) }, 1, true},
		"DeleteVersion": {func(rec backend.Record) error { return s.DeleteVersion(ctx, rec.ID, 1) }, 1, true},
	} {
		rec := create(t, s, "", "x")
		must(t, "warm up", s.Touch(ctx, rec.ID, rec.Expires.Add(time.Minute)))
		p.cut.Store(true)
		before := p.requests.Load()
		err := tc.call(rec)
		if sent := int(p.requests.Load() - before); sent != tc.sent || (err != nil) != tc.fails {
			t.Errorf("%s: sent %d times, error %v; want %d times, error %v", name, sent, err, tc.sent, tc.fails)
		}
		if errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrConflict) {
			t.Errorf("%s: got %v for a lost answer", name, err)
		}
		p.cut.Store(false)
	}
}

// A cutter is a proxy that can swallow the next answer and cut its connection.
type cutter struct {
	listener net.Listener
	cut      atomic.Bool
	requests atomic.Int32
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "Listen", err)
	p := &cutter{listener: l}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.pass(client, to) })
		}
	})
	return p
}

func (p *cutter) addr() string { return p.listener.Addr().String() }

// pass carries requests and answers in turn, as they come.
func (p *cutter) pass(client net.Conn, to string) {
	defer client.Close()
	srv, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer srv.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		p.requests.Add(1)
		if _, err := srv.Write(buf[:n]); err != nil {
			return
		}
		if n, err = srv.Read(buf); err != nil || p.cut.Swap(false) {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}
