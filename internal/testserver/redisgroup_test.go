//go:build servers

package testserver

import (
	"errors"
	"testing"

	"github.com/gomodule/redigo/redis"
)

func TestRedisSentinels(t *testing.T) {
	g, err := StartRedisSentinels(RedisGroupOptions{Password: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if got := g.Primary(); got != 0 {
		t.Errorf("the primary is server %d, want 0", got)
	}
	if n, err := redis.Int(g.Nodes[0].Do("WAIT", 2, 1000)); n != 2 || err != nil {
		t.Errorf("WAIT: %d, %v; want 2 replicas", n, err)
	}
}

func TestRedisCluster(t *testing.T) {
	g, err := StartRedisCluster(RedisGroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if got := g.Primaries(); len(got) != 3 {
		t.Errorf("the primaries are %v, want 3", got)
	}
}

// TestLab: a host whose cable to the switch is pulled loses the others and keeps
// its clients.
func TestLab(t *testing.T) {
	lab, err := StartLab(2)
	if errors.Is(err, ErrNoLab) {
		t.Skipf("not tested: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := lab.Stop(); err != nil {
			t.Error(err)
		}
	}()
	path, err := Find(redisCure, "redis-server")
	if err != nil {
		t.Fatal(err)
	}
	primary, err := startRedis(path, RedisOptions{Host: lab.Hosts[0], Args: replicaArgs})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = primary.Stop() }()
	replica, err := startRedis(path, RedisOptions{Host: lab.Hosts[1], Args: append([]string{"--replicaof", primary.Host(), primary.Port()}, replicaArgs...)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = replica.Stop() }()
	follows := func() error {
		if _, err := primary.Do("SET", "k", "v"); err != nil {
			return err
		}
		c, err := primary.Dial()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Do("SET", "k", "v"); err != nil {
			return err
		}
		if n, err := redis.Int(c.Do("WAIT", 1, 200)); n != 1 || err != nil {
			return errors.Join(errors.New("no replica"), err)
		}
		return nil
	}
	if err := wait("the replica", follows); err != nil {
		t.Fatal(err)
	}
	if err := lab.Cut(0); err != nil {
		t.Fatal(err)
	}
	if err := follows(); err == nil || err.Error() != "no replica" {
		t.Errorf("after the cut: %v, want a primary that answers and no replica", err)
	}
	if err := lab.Heal(0); err != nil {
		t.Fatal(err)
	}
	if err := wait("the replica again", follows); err != nil {
		t.Fatal(err)
	}
}

func TestGalera(t *testing.T) {
	g, err := StartGalera(3, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := g.Nodes[0].CreateDatabase(); err != nil {
		t.Error(err)
	}
	if err := g.Nodes[1].Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := g.RestartNode(1); err != nil {
		t.Fatal(err)
	}
	if err := g.Settle(); err != nil {
		t.Fatal(err)
	}
}
