package clusters

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/mysql"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/rueidis"
)

// TestConformance runs the suite on a cluster and through Sentinels, on each
// backend that can, each login and logout waiting for a replica: on one store, and
// on two as in two processes. A plain run leaves out what the tests of the
// backends themselves run.
func TestConformance(t *testing.T) {
	const query = "replicas=1&replicawait=1s"
	suite := func(scene string, savePath func(query string) string, names ...string) {
		fresh := func() string {
			return savePath(fmt.Sprintf("prefix=suite%d:&%s", number(), query))
		}
		for _, name := range names {
			t.Run(scene+"/"+name, func(t *testing.T) {
				backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, name, fresh()) })
			})
			if runs == 1 {
				continue
			}
			t.Run(scene+"/"+name+"/shared", func(t *testing.T) {
				backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
					at := fresh()
					return open(t, name, at), open(t, name, at)
				})
			})
		}
	}
	s := sentinels.take(t)
	must(t, "settle", s.Settle())
	suite("Sentinels", s.SavePath, goredis.Name, rueidis.Name)
	if runs > 1 {
		suite("Sentinels", s.SavePath, redis.Name)
		c := cluster.take(t)
		must(t, "settle", c.Settle())
		suite("Redis Cluster", c.SavePath, onCluster...)
	}
}

// TestGaleraConformance runs the suite on two stores, each on a node of its own.
func TestGaleraConformance(t *testing.T) {
	g := galera.take(t)
	must(t, "settle", g.Settle())
	backendtest.RunShared(t, func(t *testing.T) (a, b backend.Store) {
		db, err := g.CreateDatabase()
		must(t, "CreateDatabase", err)
		t.Cleanup(func() { must(t, "DropDatabase", g.Nodes[0].DropDatabase(db)) })
		return open(t, mysql.Name, g.DSN(db, nil)), open(t, mysql.Name, g.DSN(db, []int{1, 2, 0}))
	})
}

// TestGaleraPool: a caller's pool that may read the past is refused, with the cure,
// and one that has it is not.
func TestGaleraPool(t *testing.T) {
	g := galera.take(t)
	db, err := g.CreateDatabase()
	must(t, "CreateDatabase", err)
	for params, ok := range map[string]bool{"": false, "?wsrep_sync_wait=1": false, "?wsrep_sync_wait=7": true} {
		pool, err := sqlx.Open("mysql", g.Nodes[1].DSN(db)+params)
		must(t, "sqlx.Open", err)
		s, err := mysql.New(pool, mysql.Options{})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "wsrep_sync_wait=7") {
			t.Errorf("New on a pool with %q: %v; want success: %v", params, err, ok)
		}
		if err == nil {
			must(t, "Close", s.Close())
		}
		must(t, "close the pool", pool.Close())
	}
}
