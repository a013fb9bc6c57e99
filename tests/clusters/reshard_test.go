package clusters

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/internal/testserver"
)

// moved is how many slots move under load, of the 16,384.
const moved = 400

// TestResharding moves slots from one primary to another while sessions come and
// go: no call fails, and nothing is lost. With Replicas, so that a write and its
// WAIT are sent after a key that is on its way; make clusters has it without, too.
func TestResharding(t *testing.T) {
	g := cluster.take(t)
	queries := []string{"replicas=1&replicawait=1s", ""}
	if runs == 1 {
		queries = queries[:1]
	}
	for _, name := range onCluster {
		for _, query := range queries {
			t.Run(name+"_"+query, func(t *testing.T) {
				for try := 1; ; try++ {
					got, l := underReshard(t, g, name, query)
					failed := got.refused + got.unconfirmed
					if failed > 0 && got.clean() && l.longest > pause && try < 4 {
						t.Logf("once more: the machine paused for %v, and %d calls failed: %v", l.longest, failed, l.errs)
						continue
					}
					if failed > 0 || !got.clean() {
						t.Errorf("%d calls failed while slots moved: %v; %v", failed, got, l.errs)
					}
					return
				}
			})
		}
	}
}

// pause is how long the machine may have no time for us until a call that fails may
// be its fault: each try has 700 ms, and there are more processes than ours.
const pause = 200 * time.Millisecond

// underReshard moves slots under load, and returns what that cost.
func underReshard(t *testing.T, g *testserver.RedisCluster, name, query string) (toll, *load) {
	t.Helper()
	must(t, "settle", g.Settle())
	query = fmt.Sprintf("prefix=move%d:&%s", number(), query)
	l := startLoad(t, open(t, name, g.SavePath(query)))
	must(t, "load", l.await(1500, enough))
	start := time.Now()
	keys := reshard(t, g)
	took := time.Since(start)
	time.Sleep(settled)
	l.done()
	got, err := l.count(open(t, name, g.SavePath(query)), start)
	must(t, "count", err)
	t.Logf("%d slots with %d keys moved in %v: %v", moved, keys, took.Round(time.Millisecond), got)
	if keys < 10 {
		t.Errorf("%d keys moved: that is no test", keys)
	}
	return got, l
}

// reshard moves slots from one primary to another, and returns how many keys moved
// with them.
func reshard(t *testing.T, g *testserver.RedisCluster) (keys int) {
	t.Helper()
	primaries := g.Primaries()
	from, to := g.Nodes[primaries[0]], g.Nodes[primaries[1]]
	id := func(r *testserver.Redis) string {
		s, err := redis.String(r.Do("CLUSTER", "MYID"))
		must(t, "CLUSTER MYID", err)
		return s
	}
	source, target := id(from), id(to)
	for _, slot := range slotsOf(t, from, source)[:moved] {
		n, err := moveSlot(from, to, source, target, slot)
		must(t, fmt.Sprintf("move slot %d", slot), err)
		keys += n
	}
	return keys
}

// slotsOf returns the slots that a node has.
func slotsOf(t *testing.T, r *testserver.Redis, id string) (slots []int) {
	t.Helper()
	ranges, err := redis.Values(r.Do("CLUSTER", "SLOTS"))
	must(t, "CLUSTER SLOTS", err)
	for _, one := range ranges {
		fields, err := redis.Values(one, nil)
		must(t, "CLUSTER SLOTS", err)
		node, err := redis.Values(fields[2], nil)
		must(t, "CLUSTER SLOTS", err)
		if owner, _ := redis.String(node[2], nil); owner != id {
			continue
		}
		for slot := fields[0].(int64); slot <= fields[1].(int64); slot++ {
			slots = append(slots, int(slot))
		}
	}
	return slots
}

// moveSlot moves one slot, as redis-cli does: key by key, with both nodes told.
func moveSlot(from, to *testserver.Redis, source, target string, slot int) (keys int, err error) {
	do := func(r *testserver.Redis, args ...any) {
		if err == nil {
			_, err = r.Do("CLUSTER", args...)
		}
	}
	do(to, "SETSLOT", slot, "IMPORTING", source)
	do(from, "SETSLOT", slot, "MIGRATING", target)
	for err == nil {
		var batch []string
		if batch, err = redis.Strings(from.Do("CLUSTER", "GETKEYSINSLOT", slot, 20)); err != nil || len(batch) == 0 {
			break
		}
		args := []any{to.Host(), to.Port(), "", 0, 2000, "KEYS"}
		for _, key := range batch {
			args = append(args, key)
		}
		if _, err = from.Do("MIGRATE", args...); err != nil {
			return keys, errors.Join(errors.New("MIGRATE"), err)
		}
		keys += len(batch)
	}
	do(to, "SETSLOT", slot, "NODE", target)
	do(from, "SETSLOT", slot, "NODE", target)
	return keys, err
}
