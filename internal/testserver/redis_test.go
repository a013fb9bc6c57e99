//go:build servers

package testserver

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

func startTestRedis(t *testing.T, opts RedisOptions) *Redis {
	t.Helper()
	t.Setenv(RedisEnv, "")
	r, err := StartRedis(opts)
	if err != nil {
		t.Fatalf("StartRedis: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return r
}

func TestRedisLife(t *testing.T) {
	r := startTestRedis(t, RedisOptions{Durable: true, Password: "pw"})
	if _, err := r.Do("SET", "k", "v"); err != nil {
		t.Fatalf("SET: %v", err)
	}
	addr, pid := r.Addr(), r.Pid()
	if err := r.Kill9(); err != nil {
		t.Fatalf("Kill9: %v", err)
	}
	if _, err := r.Do("GET", "k"); err == nil {
		t.Error("a killed server answered")
	}
	if err := r.Kill9(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("second Kill9: got %v, want ErrNotRunning", err)
	}
	if err := r.Restart(); err != nil {
		t.Fatalf("Restart: %v", err)
	}
	if got, err := redis.String(r.Do("GET", "k")); got != "v" || err != nil {
		t.Errorf("GET after kill -9: got %q, %v, want v", got, err)
	}
	if r.Addr() != addr || r.Pid() == pid || r.Pid() == 0 {
		t.Errorf("after Restart: address %s (was %s), pid %d (was %d)", r.Addr(), addr, r.Pid(), pid)
	}
	if err := r.Restart(); err != nil { // a polite one
		t.Fatalf("Restart of a running server: %v", err)
	}
	dir := r.Dir()
	for range 2 {
		if err := r.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stop left %s: %v", dir, err)
	}
	if err := r.Restart(); err == nil {
		t.Error("Restart after Stop: got nil, want an error")
	}
}

func TestRedisFreeze(t *testing.T) {
	r := startTestRedis(t, RedisOptions{})
	c, err := redis.Dial("unix", r.Socket(), redis.DialReadTimeout(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := r.Freeze(); err != nil {
		t.Fatalf("Freeze: %v", err)
	}
	if _, err := c.Do("PING"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING to a frozen server: got %v, want a time-out", err)
	}
	if err := r.Thaw(); err != nil {
		t.Fatalf("Thaw: %v", err)
	}
	if _, err := r.Do("PING"); err != nil {
		t.Errorf("PING after Thaw: %v", err)
	}
	if err := r.Freeze(); err != nil { // Stop must cope
		t.Fatalf("Freeze: %v", err)
	}
}

func TestRedisCountAndRecord(t *testing.T) {
	r := startTestRedis(t, RedisOptions{})
	c, err := r.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	work := func() error {
		_ = c.Send("SET", "k", "v")
		_ = c.Send("GET", "k")
		_, err := c.Do("")
		return err
	}
	n, err := r.Count(func() error {
		_, err := r.Do("PING") // whose connection the server will find closed
		return errors.Join(err, work())
	})
	if err != nil || n.Trips != 2 || fmt.Sprint(n.Commands) != "map[get:1 ping:1 set:1]" {
		t.Errorf("Count: got %+v, %v, want 2 trips, get:1 ping:1 set:1", n, err)
	}
	n, err = r.Count(work)
	if err != nil || n.Trips != 1 || fmt.Sprint(n.Commands) != "map[get:1 set:1]" {
		t.Errorf("Count: got %+v, %v, want 1 trip, get:1 set:1", n, err)
	}
	lines, err := r.Record(work)
	if err != nil || len(lines) != 2 || !strings.Contains(lines[1], `"GET" "k"`) {
		t.Errorf("Record: got %q, %v", lines, err)
	}
}

func TestRedisWrongArgs(t *testing.T) {
	t.Setenv(RedisEnv, "")
	_, err := StartRedis(RedisOptions{Args: []string{"--no-such-setting", "1"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-setting") {
		t.Errorf("StartRedis with a bad argument: got %v, want an error with the server's log", err)
	}
}

func TestExternalRedis(t *testing.T) {
	own := startTestRedis(t, RedisOptions{Password: "p@ss/word"})
	t.Setenv(RedisEnv, own.URL())
	r, err := StartRedis(RedisOptions{})
	if err != nil {
		t.Fatalf("StartRedis at REDIS_URL: %v", err)
	}
	if r.Addr() != own.Addr() || r.Password() != own.Password() {
		t.Errorf("got %s %q, want %s %q", r.Addr(), r.Password(), own.Addr(), own.Password())
	}
	for name, method := range map[string]func() error{"Kill9": r.Kill9, "Restart": r.Restart, "Freeze": r.Freeze, "Thaw": r.Thaw, "Halt": r.Halt} {
		if err := method(); err == nil || !strings.Contains(err.Error(), RedisEnv) {
			t.Errorf("%s of an external server: got %v, want an error that names %s", name, err, RedisEnv)
		}
	}
	if err := r.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if own.Pid() == 0 {
		t.Error("Stop ended a server that is not ours")
	}
}

func TestFindMissing(t *testing.T) {
	_, err := Find("apt-get install nothing", "no-such-server-a", "no-such-server-b")
	if err == nil || !strings.Contains(err.Error(), "apt-get install nothing") {
		t.Errorf("Find: got %v, want an error that names the cure", err)
	}
}
