package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	redigo "github.com/gomodule/redigo/redis"

	"github.com/chisession/session/cmd/sessionctl/internal/place"
)

// redisFailover compares the replicas that there are with those that the save path
// wants a logout to wait for.
func redisFailover(p *place.Place) Result {
	wanted := p.Target.Replicas()
	least, shown := -1, ""
	var minReplicas string
	err := p.OnEachPrimary(func(addr string, ask func(string, ...any) (any, error)) error {
		facts := section(redigo.String(ask("INFO", "replication")))
		n, err := strconv.Atoi(facts["connected_slaves"])
		if err != nil {
			return fmt.Errorf("%s does not say how many replicas it has: allow the account INFO", addr)
		}
		if least < 0 || n < least {
			least, shown = n, addr
		}
		if got, err := redigo.StringMap(ask("CONFIG", "GET", "min-replicas-to-write")); err == nil {
			minReplicas = got["min-replicas-to-write"]
		}
		return nil
	})
	if p.Cluster() {
		shown = " (" + shown + ")"
	} else {
		shown = ""
	}
	switch {
	case err != nil:
		return warn("allow the account INFO", "what a failover undoes is unknown: %v", err)
	case wanted > least:
		return fail("connect the replicas, or lower ?replicas= in the save path", "logins and logouts wait for %d replicas, and %d are connected%s: each is refused", wanted, least, shown)
	case wanted == least && wanted > 0:
		return warn("run one replica more than ?replicas=", "logins and logouts wait for %d replicas, and that many are connected%s: when one fails, each is refused", wanted, shown)
	case wanted > 0:
		return ok("logins and logouts wait for %d of %d replicas: a failover undoes none%s", wanted, least, shown)
	case least == 0:
		return ok("one server without a replica%s: nothing takes its place", shown)
	case minReplicas != "" && minReplicas != "0":
		return warn("add ?replicas=1 to the save path", "%d replicas, min-replicas-to-write %s: a failover undoes the logins and logouts of the seconds before it", least, minReplicas)
	}
	return warn("add ?replicas=1 to the save path", "%d replicas, asynchronous: a failover undoes the last logins and logouts", least)
}

// redisCluster looks whether a cluster is whole, and what it does when it is not.
func redisCluster(p *place.Place) Result {
	var bad []string
	full := false
	err := p.OnEachPrimary(func(addr string, ask func(string, ...any) (any, error)) error {
		info := section(redigo.String(ask("CLUSTER", "INFO")))
		if info["cluster_state"] != "ok" || info["cluster_slots_ok"] != "16384" {
			bad = append(bad, fmt.Sprintf("%s: state %s, %s of 16384 slots served", addr, info["cluster_state"], info["cluster_slots_ok"]))
		}
		if got, err := redigo.StringMap(ask("CONFIG", "GET", "cluster-require-full-coverage")); err == nil {
			full = full || got["cluster-require-full-coverage"] == "yes"
		}
		return nil
	})
	switch {
	case err != nil:
		return warn("allow the account CLUSTER", "the state of the cluster is unknown: %v", err)
	case len(bad) > 0:
		return fail("redis-cli --cluster check, and --cluster fix", "the cluster is not whole: %s", strings.Join(bad, "; "))
	case full:
		return warn("CONFIG SET cluster-require-full-coverage no, on every node", "cluster-require-full-coverage is yes: while one shard has no primary, no session can be loaded, the others' neither")
	}
	return ok("all 16384 slots are served")
}

// redisSentinels asks the Sentinels whether they could fail over.
func redisSentinels(ctx context.Context, p *place.Place) Result {
	err := p.Sentinels(ctx)
	if err == nil {
		return ok("every Sentinel says that enough of them could fail over")
	}
	errs := strings.Split(err.Error(), "\n") // one of each that has something to say
	said := strings.Join(errs, "; ")
	if strings.Count(said, "NOPERM") == len(errs) {
		return warn("ACL SETUSER <user> +sentinel|ckquorum, on each Sentinel", "whether a failover is possible is unknown: %s", said)
	}
	return fail("start the Sentinels that are missing; three are the least", "a failover may not be possible: %s", said)
}
