package clusters

import (
	"fmt"
	"testing"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/goredis"
	"github.com/chisession/session/backend/redis"
	"github.com/chisession/session/backend/rueidis"
)

// TestConformance runs the suite on a cluster and through Sentinels, on each
// backend that can, each login and logout waiting for a replica: on one store, and
// on two as in two processes. A plain run leaves out what the tests of the
// backends themselves run.
func TestConformance(t *testing.T) {
	const query = "replicas=1"
	suite := func(scene string, savePath func(query string) string, names ...string) {
		fresh := func() string {
			numbered++
			return savePath(fmt.Sprintf("prefix=suite%d:&%s", numbered, query))
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
	s, c := sentinels.get(t), cluster.get(t)
	must(t, "settle", s.Settle())
	suite("Sentinels", s.SavePath, goredis.Name, rueidis.Name)
	if runs > 1 {
		suite("Sentinels", s.SavePath, redis.Name)
		must(t, "settle", c.Settle())
		suite("Redis Cluster", c.SavePath, onCluster...)
	}
}
