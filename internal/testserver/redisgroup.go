package testserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// For how long a server of a group may be silent until the others replace it.
const (
	// Soon is for tests of a failover. Machines that run tests pause now and then,
	// so it is not the shortest possible.
	Soon = 1500 * time.Millisecond

	// Never is what a group has from its beginning: no machine pauses as long.
	Never = time.Minute
)

const (
	groupTimeout = 60 * time.Second
)

// replicaArgs make a replica follow at once, and never ask for what it missed
// for longer than a test lasts.
var replicaArgs = []string{"--repl-diskless-sync-delay", "0", "--repl-timeout", "5", "--repl-ping-replica-period", "1"}

// RedisGroupOptions say how to run a [RedisSentinels] or a [RedisCluster]. The zero
// value runs it on this machine, without a password or TLS.
type RedisGroupOptions struct {
	Password string       // that all of them want
	Hosts    []Host       // where they run
	TLS      *Certificate // that all of them have
}

// node returns the options of server i, with further arguments.
func (o RedisGroupOptions) node(i int, args ...string) RedisOptions {
	args = append(args, replicaArgs...)
	if o.Password != "" {
		args = append(args, "--masterauth", o.Password)
	}
	return RedisOptions{Args: args, Password: o.Password, Host: hostOf(o.Hosts, i), TLS: o.TLS}
}

// RedisSentinels are a primary, two replicas of it, and three Sentinels that
// watch over them under the name "primary".
type RedisSentinels struct {
	Nodes     []*Redis // in the beginning, the first is the primary
	Sentinels []*Redis
}

// SentinelName is what the Sentinels call the primary.
const SentinelName = "primary"

// StartRedisSentinels starts them, a server and a Sentinel on each of three hosts.
func StartRedisSentinels(opts RedisGroupOptions) (*RedisSentinels, error) {
	path, err := Find(redisCure, "redis-server", "valkey-server")
	if err != nil {
		return nil, err
	}
	g := &RedisSentinels{}
	for i := range 3 {
		var args []string
		if i > 0 {
			args = []string{"--replicaof", g.Nodes[0].Host(), g.Nodes[0].Port()}
		}
		r, err := startRedis(path, opts.node(i, args...))
		if err != nil {
			return nil, errors.Join(err, g.Stop())
		}
		g.Nodes = append(g.Nodes, r)
	}
	for i := range 3 {
		s, err := g.startSentinel(path, opts.node(i))
		if err != nil {
			return nil, errors.Join(err, g.Stop())
		}
		g.Sentinels = append(g.Sentinels, s)
	}
	if err := wait("the Sentinels to know each other and the replicas", g.ready); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

func hostOf(hosts []Host, i int) Host {
	if len(hosts) == 0 {
		return Host{}
	}
	return hosts[i%len(hosts)]
}

// startSentinel starts one Sentinel. It keeps what it finds out in its
// configuration file, so it has a file.
func (g *RedisSentinels) startSentinel(path string, opts RedisOptions) (*Redis, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := TempDir("sentinel")
	if err != nil {
		return nil, err
	}
	s := &Redis{
		addr:     net.JoinHostPort(opts.Host.IP(), strconv.Itoa(port)),
		socket:   filepath.Join(dir, "s"),
		password: opts.Password, tls: opts.TLS,
	}
	lines := []string{
		"bind " + opts.Host.IP(), "dir " + dir, "unixsocket " + s.socket, "daemonize no",
		fmt.Sprintf("sentinel monitor %s %s %s 2", SentinelName, g.Nodes[0].Host(), g.Nodes[0].Port()),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", SentinelName, Never.Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s 3000", SentinelName),
	}
	for pair := range slices.Chunk(opts.args(port), 2) {
		lines = append(lines, strings.TrimPrefix(pair[0], "--")+" "+pair[1])
	}
	if opts.Host.namespace != "" { // nobody else gets there
		lines = append(lines, "protected-mode no")
	}
	if password := opts.Password; password != "" {
		lines = append(lines, "requirepass "+password, "sentinel sentinel-pass "+password, "sentinel auth-pass "+SentinelName+" "+password)
	}
	conf := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	command, args := opts.Host.command(path, []string{conf, "--sentinel"})
	s.Process, err = Start(Spec{
		Name: "sentinel", Path: command, Args: args, Dir: dir,
		Ready: func(ctx context.Context) error { return s.ping(ctx, "unix", s.socket) },
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// ready returns nil when a failover would find all that it needs.
func (g *RedisSentinels) ready() error {
	primary := g.Primary()
	if primary < 0 {
		return errors.New("no majority of the Sentinels agrees on a primary")
	}
	for _, s := range g.Sentinels {
		fields, err := redis.StringMap(s.Do("SENTINEL", "MASTER", SentinelName))
		if err != nil {
			return err
		}
		if fields["num-slaves"] != "2" || fields["num-other-sentinels"] != "2" || fields["flags"] != "master" {
			return fmt.Errorf("it has %s replicas and %s other Sentinels, flags %s", fields["num-slaves"], fields["num-other-sentinels"], fields["flags"])
		}
		replicas, err := redis.Values(s.Do("SENTINEL", "REPLICAS", SentinelName))
		if err != nil {
			return err
		}
		for _, replica := range replicas {
			if fields, err := redis.StringMap(replica, nil); err != nil || strings.Contains(fields["flags"], "down") || strings.Contains(fields["flags"], "disconnected") {
				return fmt.Errorf("a replica has the flags %s: %w", fields["flags"], err)
			}
		}
	}
	for i, r := range g.Nodes {
		info, err := redis.String(r.Do("INFO", "replication"))
		switch {
		case err != nil:
			return err
		case i == primary && strings.Count(info, "state=online") != 2:
			return errors.New("not all replicas follow the primary")
		case i != primary && !strings.Contains(info, "master_port:"+g.Nodes[primary].Port()+"\r"):
			// The Sentinels do this after ten seconds or more.
			if _, err := r.Do("REPLICAOF", g.Nodes[primary].Host(), g.Nodes[primary].Port()); err != nil {
				return err
			}
			return errors.New("a server does not follow the primary yet")
		}
	}
	return nil
}

// FailOver has the Sentinels replace a primary after such a silence, [Soon] or
// [Never].
func (g *RedisSentinels) FailOver(silence time.Duration) error {
	return onAll(g.Sentinels, "SENTINEL", "SET", SentinelName, "down-after-milliseconds", silence.Milliseconds())
}

// Settle waits until all servers run as they should, whoever is the primary.
func (g *RedisSentinels) Settle() error {
	return wait("the Sentinels to agree and the replicas to follow", g.ready)
}

// Primary returns the server that a majority of the Sentinels calls the primary,
// or -1.
func (g *RedisSentinels) Primary() int {
	votes := map[string]int{}
	for _, s := range g.Sentinels {
		if addr, err := redis.Strings(s.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelName)); err == nil && len(addr) == 2 {
			votes[net.JoinHostPort(addr[0], addr[1])]++
		}
	}
	for i, r := range g.Nodes {
		if votes[r.addr] > len(g.Sentinels)/2 {
			return i
		}
	}
	return -1
}

// SavePath returns the redis+sentinel:// or rediss+sentinel:// save path, with query
// behind it.
func (g *RedisSentinels) SavePath(query string) string {
	if password := g.Nodes[0].password; password != "" {
		query = strings.TrimPrefix(query+"&sentinelpassword="+password, "&")
	}
	return savePath("sentinel", g.Sentinels, "/"+SentinelName, query)
}

// Stop stops all.
func (g *RedisSentinels) Stop() error { return stopAll(append(g.Sentinels, g.Nodes...)) }

// A RedisCluster is a Redis Cluster of three primaries with a replica each.
type RedisCluster struct {
	Nodes []*Redis // in the beginning, the first three are the primaries, and the replica of i is i+3
}

// StartRedisCluster starts one: node i, and the replica of its neighbour, on host i.
func StartRedisCluster(opts RedisGroupOptions) (*RedisCluster, error) {
	path, err := Find(redisCure, "redis-server", "valkey-server")
	if err != nil {
		return nil, err
	}
	var errs error
	for range redisStarts {
		g := &RedisCluster{}
		err := g.start(path, opts)
		if err == nil {
			return g, nil
		}
		errs = errors.Join(errs, err, g.Stop())
	}
	return nil, errs
}

// start starts the servers and makes a cluster of them.
func (g *RedisCluster) start(path string, opts RedisGroupOptions) error {
	for i := range 6 {
		bus, err := FreePort()
		if err != nil {
			return err
		}
		args := []string{
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus),
			"--cluster-node-timeout", strconv.FormatInt(Soon.Milliseconds(), 10), "--cluster-replica-validity-factor", "0",
		}
		if opts.TLS != nil {
			args = append(args, "--tls-cluster", "yes")
		}
		r, err := startRedis(path, opts.node(i+i/3, args...))
		if err != nil {
			return err
		}
		r.bus = bus
		g.Nodes = append(g.Nodes, r)
	}
	err := g.assemble()
	if err == nil {
		err = g.FailOver(Never) // nodes that wait for long take long to get to know each other
	}
	if err != nil {
		return fmt.Errorf("testserver: make a cluster: %w", err)
	}
	if got := g.Primaries(); !slices.Equal(got, []int{0, 1, 2}) {
		return fmt.Errorf("testserver: make a cluster: on a machine that paused, the nodes %v have become its primaries", got)
	}
	return nil
}

// assemble makes a cluster of six servers.
func (g *RedisCluster) assemble() error {
	var errs []error
	do := func(r *Redis, command string, args ...any) {
		_, err := r.Do(command, args...)
		errs = append(errs, err)
	}
	const slots = 16384
	for i, r := range g.Nodes {
		do(r, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < 3 {
			do(r, "CLUSTER", "ADDSLOTSRANGE", i*slots/3, (i+1)*slots/3-1)
		}
		if i > 0 {
			do(g.Nodes[0], "CLUSTER", "MEET", r.Host(), r.Port(), r.bus)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i := range 3 {
		id, err := redis.String(g.Nodes[i].Do("CLUSTER", "MYID"))
		if err != nil {
			return err
		}
		err = wait("the nodes to meet", func() error {
			_, err := g.Nodes[i+3].Do("CLUSTER", "REPLICATE", id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return g.Settle()
}

// FailOver has the nodes replace each other after such a silence, [Soon] or [Never].
// One that is restarted has forgotten it, and goes by Soon.
func (g *RedisCluster) FailOver(silence time.Duration) error {
	return onAll(g.Nodes, "CONFIG", "SET", "cluster-node-timeout", silence.Milliseconds())
}

// Settle waits until every node sees a whole cluster and every primary has a
// replica that follows.
func (g *RedisCluster) Settle() error { return wait("the cluster to be whole", g.whole) }

func (g *RedisCluster) whole() error {
	for _, r := range g.Nodes {
		info, err := redis.String(r.Do("CLUSTER", "INFO"))
		if err != nil {
			return err
		}
		if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:6") || !strings.Contains(info, "cluster_size:3") {
			return errors.New(strings.Join(strings.Fields(info), " "))
		}
		nodes, err := redis.String(r.Do("CLUSTER", "NODES"))
		if err != nil {
			return err
		}
		if strings.Contains(nodes, "fail") || strings.Contains(nodes, "handshake") || strings.Count(nodes, "slave ") != 3 {
			return fmt.Errorf("the nodes are not settled:\n%s", nodes)
		}
		info, err = redis.String(r.Do("INFO", "replication"))
		if err != nil {
			return err
		}
		if strings.Contains(info, "role:slave") && !strings.Contains(info, "master_link_status:up") ||
			strings.Contains(info, "role:master") && !strings.Contains(info, "state=online") {
			return errors.New("a replica does not follow yet")
		}
	}
	return nil
}

// Primaries returns which nodes are primaries with slots now, as a majority of
// the nodes that answer has it.
func (g *RedisCluster) Primaries() []int {
	var primaries []int
	for i, r := range g.Nodes {
		if role, err := redis.Values(r.Do("ROLE")); err == nil && len(role) > 0 && fmt.Sprintf("%s", role[0]) == "master" {
			primaries = append(primaries, i)
		}
	}
	return primaries
}

// SavePath returns the redis+cluster:// or rediss+cluster:// save path, with query
// behind it.
func (g *RedisCluster) SavePath(query string) string {
	return savePath("cluster", g.Nodes, "", query)
}

// FlushAll empties every node.
func (g *RedisCluster) FlushAll() error {
	var errs []error
	for _, i := range g.Primaries() {
		errs = append(errs, g.Nodes[i].FlushAll())
	}
	return errors.Join(errs...)
}

// Stop stops all.
func (g *RedisCluster) Stop() error { return stopAll(g.Nodes) }

func savePath(kind string, at []*Redis, path, query string) string {
	var addrs []string
	for _, r := range at {
		addrs = append(addrs, r.addr)
	}
	scheme, info := "redis+", ""
	if at[0].password != "" {
		info = ":" + at[0].password + "@"
	}
	if at[0].tls != nil {
		scheme, query = "rediss+", strings.TrimPrefix(query+"&cafile="+url.QueryEscape(at[0].tls.Cert), "&")
	}
	if query != "" {
		query = "?" + query
	}
	return scheme + kind + "://" + info + strings.Join(addrs, ",") + path + query
}

// onAll sends a command to each of some servers.
func onAll(all []*Redis, command string, args ...any) error {
	var errs []error
	for _, r := range all {
		_, err := r.Do(command, args...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func stopAll(all []*Redis) error {
	errs := make(chan error, len(all))
	for _, r := range all {
		go func() { errs <- r.Stop() }()
	}
	var joined error
	for range all {
		joined = errors.Join(joined, <-errs)
	}
	return joined
}

// Host returns the address without the port.
func (r *Redis) Host() string {
	host, _, _ := net.SplitHostPort(r.addr)
	return host
}

// Port returns the port.
func (r *Redis) Port() string {
	_, port, _ := net.SplitHostPort(r.addr)
	return port
}

// wait polls until ok returns nil.
func wait(what string, ok func() error) error {
	var err error
	for deadline := time.Now().Add(groupTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = ok(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("testserver: waited %v for %s: %w", groupTimeout, what, err)
}
