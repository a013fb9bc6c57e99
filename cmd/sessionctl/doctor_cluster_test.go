package main

import (
	"strings"
	"testing"

	"github.com/chisession/session/cmd/sessionctl/internal/doctor"
	"github.com/chisession/session/internal/testserver"
)

// TestDoctorCluster: a Redis Cluster is looked at whole, through either provider
// that can.
func TestDoctorCluster(t *testing.T) {
	g, err := testserver.StartRedisCluster(testserver.RedisGroupOptions{Password: "hunter2-cluster"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	for _, provider := range []string{"goredis", "rueidis"} {
		report, res := examine(t, plainApp(), "--provider", provider, "--save-path", g.SavePath(""))
		res.lacks(t, "hunter2-cluster")
		report.expect(t, "role", doctor.OK, "node of a cluster")
		report.expect(t, "permissions", doctor.OK, "")
		report.expect(t, "failover", doctor.Warn, "1 replicas, asynchronous")
		report.expect(t, "cluster", doctor.Warn, "cluster-require-full-coverage is yes")
		if !strings.Contains(report.Place, provider+" at "+g.Nodes[0].Addr()) {
			t.Errorf("the place is %q", report.Place)
		}
	}
	for _, r := range g.Nodes {
		if _, err := r.Do("ACL", "SETUSER", "sam", "on", ">pw", "allkeys", "+@all", "-asking", "-wait"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Do("CONFIG", "SET", "cluster-require-full-coverage", "no"); err != nil {
			t.Fatal(err)
		}
	}
	report, _ := examine(t, plainApp(), "--provider", "goredis", "--save-path", strings.Replace(g.SavePath("replicas=1"), ":hunter2-cluster@", "sam:pw@", 1))
	report.expect(t, "permissions", doctor.Fail, "wait, asking")
	report, _ = examine(t, plainApp(), "--provider", "goredis", "--save-path", g.SavePath("replicas=1"))
	report.expect(t, "cluster", doctor.OK, "16384")
	report.expect(t, "failover", doctor.Warn, "when one fails, each is refused")
	report, _ = examine(t, plainApp(), "--provider", "goredis", "--save-path", g.SavePath("replicas=2"))
	report.expect(t, "failover", doctor.Fail, "each is refused")
	if _, err := g.Nodes[0].Do("CLUSTER", "DELSLOTS", 0); err != nil {
		t.Fatal(err)
	}
	report, _ = examine(t, plainApp(), "--provider", "goredis", "--save-path", g.SavePath(""))
	report.expect(t, "cluster", doctor.Fail, "of 16384 slots served")
}

// TestDoctorSentinels: the Sentinels are asked whether they could fail over.
func TestDoctorSentinels(t *testing.T) {
	g, err := testserver.StartRedisSentinels(testserver.RedisGroupOptions{Password: "hunter2-sentinel"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	args := []string{"--provider", "redis", "--save-path", g.SavePath("replicas=1")}
	report, res := examine(t, plainApp(), args...)
	res.lacks(t, "hunter2-sentinel")
	report.expect(t, "sentinels", doctor.OK, "")
	report.expect(t, "failover", doctor.OK, "wait for 1 of 2 replicas")
	for _, provider := range []string{"goredis", "rueidis"} {
		report, _ := examine(t, plainApp(), "--provider", provider, "--save-path", g.SavePath(""))
		report.expect(t, "sentinels", doctor.OK, "")
	}
	for _, r := range g.Sentinels {
		if _, err := r.Do("ACL", "SETUSER", "watch", "on", ">pw", "-@all", "+sentinel|get-master-addr-by-name"); err != nil {
			t.Fatal(err)
		}
	}
	report, _ = examine(t, plainApp(), "--provider", "redis", "--save-path", strings.Replace(g.SavePath(""), "sentinelpassword=hunter2-sentinel", "sentineluser=watch&sentinelpassword=pw", 1))
	report.expect(t, "sentinels", doctor.Warn, "is unknown")
	if err := g.Sentinels[2].Kill9(); err != nil {
		t.Fatal(err)
	}
	report, res = examine(t, plainApp(), args...)
	res.lacks(t, "hunter2-sentinel")
	report.expect(t, "sentinels", doctor.Fail, g.Sentinels[2].Addr())
}

// TestGalera: what works for one server works for a node of Galera, and for a list
// of hosts of which the first is down.
func TestGalera(t *testing.T) {
	g, err := testserver.StartGalera(2, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	m := g.Nodes[0]
	for _, addrs := range []string{m.Addr(), "127.0.0.1:1," + m.Addr()} {
		name := database(t, m)
		args := mysqlArgs(strings.Replace(m.DSN(name), m.Addr(), addrs, 1))
		must(t, append([]string{"migrate", "--apply"}, args...)...)
		must(t, append([]string{"stats"}, args...)...)
		must(t, append([]string{"ls"}, args...)...)
		report, res := examine(t, plainApp(), args...)
		res.lacks(t, m.Password())
		report.expect(t, "schema", doctor.OK, "")
		report.expect(t, "failover", doctor.Warn, "Galera with 2 nodes")
		if !strings.Contains(report.Place, "mysql at "+addrs+",") {
			t.Errorf("the place is %q", report.Place)
		}
	}
}
