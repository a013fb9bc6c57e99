package faults

import (
	"testing"

	"github.com/chisession/session/internal/testserver"
)

var redisRefusals = []refusal{
	{row: row{name: "out of memory (maxmemory, noeviction)"}, backend: redis, cause: "OOM", readable: true, logout: true,
		arrange: func(t *testing.T, _ place) (func(), func()) {
			command(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
			return func() { command(t, "CONFIG", "SET", "maxmemory", "1") },
				func() { command(t, "CONFIG", "SET", "maxmemory", "0") }
		}},
	{row: row{name: "deposed: a read-only replica"}, backend: redis, cause: "READONLY", readable: true,
		arrange: func(t *testing.T, _ place) (func(), func()) {
			return func() { command(t, "REPLICAOF", "127.0.0.1", "1") },
				func() { command(t, "REPLICAOF", "NO", "ONE") }
		}},
	{row: row{name: "the password was changed (WRONGPASS)"}, backend: redis, cause: "WRONGPASS",
		arrange: func(t *testing.T, _ place) (func(), func()) {
			// Our own connection stays, the others go.
			own, err := redisServer.get(t).Dial()
			must(t, "dial", err)
			t.Cleanup(func() { own.Close() })
			set := func(password string) {
				_, err := own.Do("CONFIG", "SET", "requirepass", password)
				must(t, "CONFIG SET requirepass", err)
				_, err = own.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				must(t, "CLIENT KILL", err)
			}
			return func() { set("another") }, func() { set(redisPassword) }
		}},
	{row: row{name: "a password is wanted all of a sudden (NOAUTH)"}, backend: redisAlone, cause: "NOAUTH",
		arrange: func(t *testing.T, p place) (func(), func()) {
			own, err := alone.Dial()
			must(t, "dial", err)
			t.Cleanup(func() { own.Close() })
			set := func(password string) {
				_, err := own.Do("CONFIG", "SET", "requirepass", password)
				must(t, "CONFIG SET requirepass", err)
				_, err = own.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				must(t, "CLIENT KILL", err)
			}
			return func() { set("wanted") }, func() { set("") }
		}},
	{row: row{name: "too many connections (maxclients, max_connections)"}, backend: redis, cause: "max number of clients",
		arrange: func(t *testing.T, _ place) (func(), func()) {
			own, err := redisServer.get(t).Dial()
			must(t, "dial", err)
			t.Cleanup(func() { own.Close() })
			set := func(most int) {
				_, err := own.Do("CONFIG", "SET", "maxclients", most)
				must(t, "CONFIG SET maxclients", err)
				_, err = own.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				must(t, "CLIENT KILL", err)
			}
			return func() { set(1) }, func() { set(10000) }
		}},
}

// redisAlone is a Redis without a password, for one test.
var (
	redisAlone = kind{"redis", func(t testing.TB) string {
		r, err := testserver.StartRedis(testserver.RedisOptions{})
		must(t, "start a Redis", err)
		t.Cleanup(func() { must(t, "stop the Redis", r.Stop()) })
		alone = r
		return r.URL()
	}}
	alone *testserver.Redis
)

func command(t testing.TB, name string, args ...any) {
	t.Helper()
	_, err := redisServer.get(t).Do(name, args...)
	must(t, name, err)
}
