package main

import (
	"bytes"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
	"github.com/chisession/session/internal/testserver"
)

func redisArgs(r *testserver.Redis) []string {
	return []string{"--provider", "redis", "--save-path", r.URL()}
}

var digits = regexp.MustCompile(`Redis \d[\d.]*|Valkey \d[\d.]*|within \d+ms`)

var size = regexp.MustCompile(`\d[\d.]* [KM]iB of`)

// steady replaces what differs from run to run and from server to server.
func steady(text string) string {
	text = size.ReplaceAllString(text, "N MiB of")
	return digits.ReplaceAllStringFunc(text, func(s string) string {
		return regexp.MustCompile(`[\d.]+`).ReplaceAllString(strings.Replace(s, "Valkey", "Redis", 1), "N")
	})
}

func TestDoctorRedisGood(t *testing.T) {
	r := goodRedis(t)
	report, _ := examine(t, plainApp(), redisArgs(r)...)
	report.allOK(t)
	text := ctl(t, append([]string{"doctor"}, redisArgs(r)...)...)
	text.lacks(t, r.Password())
	golden(t, "doctor-redis.txt", steady(text.stdout), r.Addr(), "ADDR")
	golden(t, "doctor-redis.json", steady(ctl(t, append([]string{"doctor", "--json"}, redisArgs(r)...)...).stdout), r.Addr(), "ADDR")
}

func TestDoctorRedisBroken(t *testing.T) {
	for _, c := range []struct {
		name   string
		opts   testserver.RedisOptions
		app    *app
		check  string
		status doctor.Status
		detail string
	}{
		{"evicting", testserver.RedisOptions{Args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}}, plainApp(),
			"eviction", doctor.Fail, "maxmemory-policy is allkeys-lru: a full server logs users out"},
		{"evicting without a limit yet", testserver.RedisOptions{Args: []string{"--maxmemory-policy", "volatile-ttl"}}, plainApp(),
			"eviction", doctor.Fail, "from the day that a maxmemory is set"},
		{"no persistence", testserver.RedisOptions{}, plainApp(),
			"persistence", doctor.Warn, "neither append-only file nor snapshots"},
		{"snapshots alone", testserver.RedisOptions{Args: []string{"--save", "3600 1"}}, plainApp(),
			"persistence", doctor.Warn, "snapshots alone (save 3600 1)"},
		{"clock behind", testserver.RedisOptions{}, skewed(11 * time.Second),
			"clock", doctor.Fail, "behind this host's"},
		{"clock ahead", testserver.RedisOptions{}, skewed(-3 * time.Second),
			"clock", doctor.Warn, "ahead of this host's"},
		{"full", testserver.RedisOptions{Args: []string{"--maxmemory", "100kb"}}, plainApp(),
			"permissions", doctor.Fail, "OOM"},
		{"nearly full", testserver.RedisOptions{Args: []string{"--maxmemory", "100kb"}}, plainApp(),
			"memory", doctor.Fail, "soon new sessions and changes are refused"},
		{"a replica", testserver.RedisOptions{Args: []string{"--replicaof", "127.0.0.1", "1"}}, plainApp(),
			"role", doctor.Fail, "replica"},
		{"a cluster", testserver.RedisOptions{Args: []string{"--cluster-enabled", "yes"}}, plainApp(),
			"role", doctor.Fail, "cluster"},
		{"a replica that nobody waits for", testserver.RedisOptions{}, plainApp(),
			"failover", doctor.OK, "one server without a replica"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, _ := examine(t, c.app, redisArgs(startRedis(t, c.opts))...)
			report.expect(t, c.check, c.status, c.detail)
		})
	}
}

// TestDoctorRedisAccount: what an account may not do is named, and the policy
// is found all the same where CONFIG is forbidden.
func TestDoctorRedisAccount(t *testing.T) {
	r := startRedis(t, testserver.RedisOptions{Args: []string{"--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lfu"}})
	grant := func(rules ...any) {
		t.Helper()
		if _, err := r.Do("ACL", append([]any{"SETUSER", "shop", "reset", "on", ">hunter2-acl", "~session:*"}, rules...)...); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() doctorReport {
		t.Helper()
		report, res := examine(t, plainApp(), "--provider", "redis", "--save-path", "redis://shop:hunter2-acl@"+r.Addr())
		res.lacks(t, "hunter2-acl")
		return report
	}
	grant("+@all", "-config")
	ask().expect(t, "eviction", doctor.Fail, "maxmemory-policy is allkeys-lfu")
	ask().expect(t, "permissions", doctor.OK, "")

	grant("+@all", "-config", "-info")
	report := ask()
	report.expect(t, "eviction", doctor.Warn, "unknown")
	report.expect(t, "persistence", doctor.Warn, "unknown")
	report.expect(t, "version", doctor.Warn, "unknown")

	grant("+@all", "-zadd", "-evalsha", "-getrange")
	ask().expect(t, "permissions", doctor.Fail, "the account may not run: evalsha, getrange, zadd")

	// What docs/backends/redis.md tells people to grant is enough.
	grant("-@all", "+get", "+set", "+del", "+ping", "+time", "+getrange", "+setrange", "+pexpireat", "+pexpiretime", "+zadd", "+zscore",
		"+zrange", "+zrem", "+zremrangebyscore", "+eval", "+evalsha")
	ask().expect(t, "permissions", doctor.OK, "")

	if _, err := r.Do("ACL", "SETUSER", "shop", "resetkeys", "~other:*"); err != nil {
		t.Fatal(err)
	}
	ask().expect(t, "permissions", doctor.Fail, "on keys session:*")
}

func TestDoctorRedisOld(t *testing.T) {
	r := startRedis(t, testserver.RedisOptions{})
	addr := relay(t, r.Addr(), regexp.MustCompile(`((?:redis|valkey)_version:)\d`), "${1}6")
	report, _ := examine(t, plainApp(), "--provider", "redis", "--save-path", addr)
	report.expect(t, "version", doctor.Fail, "which is too old")
}

func TestDoctorRedisAway(t *testing.T) {
	r := startRedis(t, testserver.RedisOptions{Password: "hunter2-right"})
	report, _ := examine(t, plainApp(), "--provider", "redis", "--save-path", "127.0.0.1:1")
	report.expect(t, "connection", doctor.Fail, "connection refused")
	report, res := examine(t, plainApp(), "--provider", "redis", "--save-path", r.Addr()+",10,hunter2-wrong")
	report.expect(t, "connection", doctor.Fail, "WRONGPASS")
	res.lacks(t, "hunter2")
}

// relay passes on connections to a real server, and changes its answers: an
// old version is not to be had.
func relay(t *testing.T, to string, pattern *regexp.Regexp, replacement string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				return
			}
			wg.Go(func() { pass(client, server, func(b []byte) []byte { return b }) })
			wg.Go(func() {
				pass(server, client, func(b []byte) []byte { return pattern.ReplaceAll(b, []byte(replacement)) })
			})
		}
	})
	return l.Addr().String()
}

// pass copies until one side ends, and then ends both.
func pass(from, to net.Conn, change func([]byte) []byte) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if _, err := to.Write(change(bytes.Clone(buf[:n]))); err != nil {
			return
		}
	}
}

// TestStatsWithoutScan: an account that may not count still has all the rest shown.
func TestStatsWithoutScan(t *testing.T) {
	r := goodRedis(t)
	if _, err := r.Do("ACL", "SETUSER", "shop", "reset", "on", ">hunter2-acl", "~session:*", "+@all", "-scan"); err != nil {
		t.Fatal(err)
	}
	text := must(t, "stats", "--provider", "redis", "--save-path", "redis://shop:hunter2-acl@"+r.Addr()+"/0")
	if !strings.Contains(text, "not counted: ") || !strings.Contains(text, "'scan'") || !strings.Contains(text, "memory used in bytes") {
		t.Errorf("stats of an account without SCAN:\n%s", text)
	}
}
