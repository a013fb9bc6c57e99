package clusters

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/internal/testserver"
)

const (
	before  = 2 * time.Second // of load, until the machine fails
	outage  = 5 * time.Second // until it is back
	settled = time.Second     // of load after that
	slack   = 2 * time.Second // for a machine that has other work
)

// A failure breaks one machine, and returns what mends it.
type failure struct {
	name string
	fail func(t *testing.T) (mend func() error)
}

// A scene is a deployment, and the failures to see there.
type scene struct {
	name     string
	backends []string
	open     func(t *testing.T, name, query string) backend.Store
	settle   func() error
	failures []failure

	// back is how long after the failure no call may fail any more.
	back time.Duration
}

var numbered int

// once runs one failover and returns what it cost.
func (s scene) once(t *testing.T, f failure, name, query string) toll {
	t.Helper()
	must(t, "settle", s.settle())
	numbered++
	query = fmt.Sprintf("prefix=run%d:&%s", numbered, query)
	l := startLoad(s.open(t, name, query))
	time.Sleep(before)
	failed := time.Now()
	mend := f.fail(t)
	time.Sleep(time.Until(failed.Add(outage)))
	must(t, "mend", mend())
	time.Sleep(settled)
	l.done()
	must(t, "settle", s.settle())
	got, err := l.count(s.open(t, name, query), failed)
	must(t, "count", err)
	if got.logins < 100 || got.logouts < 50 {
		t.Errorf("%d logins and %d logouts in all are no load: %v", got.logins, got.logouts, l.errs)
	}
	if got.slowest > maxCall+time.Second {
		t.Errorf("a call took %v, want %v at most", got.slowest, maxCall)
	}
	return got
}

// confirmed makes every failure of the scene, with Replicas 1: whatever was
// answered with success is still so.
func (s scene) confirmed(t *testing.T) {
	for _, f := range s.failures {
		t.Run(f.name, func(t *testing.T) {
			for run := range runs {
				name := s.backends[(run+len(f.name))%len(s.backends)]
				t.Run(fmt.Sprintf("%d-%s", run+1, name), func(t *testing.T) {
					got := s.once(t, f, name, "replicas=1")
					t.Log(got)
					if !got.clean() {
						t.Errorf("confirmed, and not so any more: %v", got)
					}
					if got.back > s.back {
						t.Errorf("calls failed until %v after the failure, want %v at most", got.back, s.back)
					}
					record(s.name, f.name, name, "1", got)
				})
			}
		})
	}
}

// bare makes one failure without Replicas, until something was undone: without that
// the test of the same with Replicas would prove nothing.
func (s scene) bare(t *testing.T, f failure) {
	undone := 0
	for run := 0; run < runs || run < 3 && undone == 0; run++ {
		name := s.backends[run%len(s.backends)]
		got := s.once(t, f, name, "")
		t.Logf("%s, Replicas 0: %v", name, got)
		record(s.name, f.name, name, "0", got)
		undone += got.undone
	}
	if undone == 0 {
		t.Error("no logout was undone without Replicas: this load proves nothing")
	}
}

func sentinelScene(t *testing.T) scene {
	g := sentinels.get(t)
	primary := func(t *testing.T) int {
		i := g.Primary()
		if i < 0 {
			t.Fatal("the Sentinels name no primary")
		}
		return i
	}
	s := scene{
		name: "Sentinels", backends: onSentinels, back: testserver.DownAfter + 3*time.Second + slack, settle: g.Settle,
		open: func(t *testing.T, name, query string) backend.Store { return open(t, name, g.SavePath(query)) },
		failures: []failure{
			{"primary killed", func(t *testing.T) func() error {
				r := g.Nodes[primary(t)]
				must(t, "Kill9", r.Kill9())
				return r.Restart
			}},
			{"primary frozen", func(t *testing.T) func() error {
				r := g.Nodes[primary(t)]
				must(t, "Freeze", r.Freeze())
				return r.Thaw
			}},
		},
	}
	if lab != nil {
		s.failures = append(s.failures, failure{"primary cut off", func(t *testing.T) func() error {
			i := primary(t)
			must(t, "Cut", lab.Cut(i))
			return func() error { return lab.Heal(i) }
		}})
	}
	return s
}

// TestSentinelFailovers kills, freezes and cuts off the primary that Sentinels
// watch, under load.
func TestSentinelFailovers(t *testing.T) {
	s := sentinelScene(t)
	s.confirmed(t)
	t.Run("primary cut off, Replicas 0", func(t *testing.T) {
		if lab == nil {
			t.Skip("not tested, and does not count as run: this machine has no network namespaces for us")
		}
		s.bare(t, s.failures[slices.IndexFunc(s.failures, func(f failure) bool { return f.name == "primary cut off" })])
	})
}

// TestClusterFailovers kills and freezes a primary of a Redis Cluster, under load.
func TestClusterFailovers(t *testing.T) {
	g := cluster.get(t)
	primary := func() int {
		all := g.Primaries()
		return all[rand.IntN(len(all))]
	}
	s := scene{
		name: "Redis Cluster", backends: onCluster, back: testserver.ClusterNodeTimeout + 3*time.Second + slack, settle: g.Settle,
		open: func(t *testing.T, name, query string) backend.Store { return open(t, name, g.SavePath(query)) },
		failures: []failure{
			{"primary killed", func(t *testing.T) func() error {
				r := g.Nodes[primary()]
				must(t, "Kill9", r.Kill9())
				return r.Restart
			}},
			{"primary frozen", func(t *testing.T) func() error {
				r := g.Nodes[primary()]
				must(t, "Freeze", r.Freeze())
				return r.Thaw
			}},
		},
	}
	s.confirmed(t)
}
