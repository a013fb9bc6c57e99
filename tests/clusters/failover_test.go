package clusters

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chisession/session/backend/mysql"
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
	place    func(t *testing.T, query string) string // a save path of a run's own
	settle   func() error
	failures []failure

	// back is how long after the failure no call may fail any more.
	back time.Duration
}

// once runs one failover and returns what it cost.
func (s scene) once(t *testing.T, f failure, name, query string) toll {
	t.Helper()
	must(t, "settle", s.settle())
	at := s.place(t, query)
	l := startLoad(t, open(t, name, at))
	time.Sleep(before)
	must(t, "load before the failure", l.await(4*enough, enough))
	failed := time.Now()
	mend := f.fail(t)
	time.Sleep(time.Until(failed.Add(outage)))
	l.note(func() { l.mended = true })
	must(t, "mend", mend())
	time.Sleep(settled)
	must(t, "load after the failure", l.await(0, enough))
	l.done()
	must(t, "settle", s.settle())
	got, err := l.count(open(t, name, at), failed)
	must(t, "count", err)
	t.Logf("failures: %v", l.errs)
	if most := maxCall + time.Second + l.stalled; got.slowest > most {
		t.Errorf("a call took %v, want %v at most", got.slowest, most)
	}
	if most := s.back + l.stalled; got.back > most {
		t.Errorf("calls failed until %v after the failure, want %v at most", got.back, most)
	}
	return got
}

// prefixed returns a save path with a prefix of the run's own.
func prefixed(savePath func(query string) string) func(*testing.T, string) string {
	return func(_ *testing.T, query string) string {
		return savePath(strings.TrimSuffix(fmt.Sprintf("prefix=run%d:&%s", number(), query), "&"))
	}
}

// confirmed makes every failure of the scene, each write confirmed as the query
// says: whatever was answered with success is still so.
func (s scene) confirmed(t *testing.T, query, replicas string) {
	for _, f := range s.failures {
		t.Run(f.name, func(t *testing.T) {
			for run := range runs {
				name := s.backends[(run+len(f.name))%len(s.backends)]
				t.Run(fmt.Sprintf("%d-%s", run+1, name), func(t *testing.T) {
					got := s.once(t, f, name, query)
					t.Log(got)
					if !got.clean() {
						t.Errorf("confirmed, and not so any more: %v", got)
					}
					record(s.name, f.name, name, replicas, got)
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
	g := sentinels.take(t)
	t.Cleanup(func() { must(t, "FailOver", g.FailOver(testserver.Never)) })
	primary := func(t *testing.T) int {
		i := g.Primary()
		if i < 0 {
			t.Fatal("the Sentinels name no primary")
		}
		return i
	}
	s := scene{
		name: "Sentinels", backends: onSentinels, back: testserver.Soon + 3*time.Second + slack,
		settle: func() error { return errors.Join(g.Settle(), g.FailOver(testserver.Soon)) },
		place:  prefixed(g.SavePath),
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
	s.confirmed(t, "replicas=1", "1")
	t.Run("primary cut off, Replicas 0", func(t *testing.T) {
		if lab == nil {
			t.Skip("not tested, and does not count as run: this machine has no network namespaces for us")
		}
		s.bare(t, s.failures[slices.IndexFunc(s.failures, func(f failure) bool { return f.name == "primary cut off" })])
	})
}

// TestClusterFailovers kills and freezes a primary of a Redis Cluster, under load.
func TestClusterFailovers(t *testing.T) {
	g := cluster.take(t)
	t.Cleanup(func() { must(t, "FailOver", g.FailOver(testserver.Never)) })
	primary := func() int {
		all := g.Primaries()
		return all[rand.IntN(len(all))]
	}
	s := scene{
		name: "Redis Cluster", backends: onCluster, back: testserver.Soon + 3*time.Second + slack,
		settle: func() error { return errors.Join(g.Settle(), g.FailOver(testserver.Soon)) },
		place:  prefixed(g.SavePath),
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
	s.confirmed(t, "replicas=1", "1")
}

// TestGaleraFailovers kills, freezes and cuts off the node of a Galera cluster that
// has all connections, under load. Its writes are on every node before they are
// acknowledged, so there is nothing to confirm.
func TestGaleraFailovers(t *testing.T) {
	g := galera.take(t)
	s := scene{
		name: "Galera", backends: []string{mysql.Name}, back: testserver.SuspectAfter + 3*time.Second + slack, settle: g.Settle,
		place: func(t *testing.T, _ string) string {
			db, err := g.CreateDatabase()
			must(t, "CreateDatabase", err)
			return g.DSN(db, nil)
		},
		failures: []failure{
			{"node killed", func(t *testing.T) func() error {
				must(t, "Kill9", g.Nodes[0].Kill9())
				return func() error { return g.RestartNode(0) }
			}},
			{"node frozen", func(t *testing.T) func() error {
				must(t, "Freeze", g.Nodes[0].Freeze())
				return g.Nodes[0].Thaw
			}},
		},
	}
	if galeraLab != nil {
		s.failures = append(s.failures, failure{"node cut off", func(t *testing.T) func() error {
			must(t, "Cut", galeraLab.Cut(0))
			return func() error { return galeraLab.Heal(0) }
		}})
	}
	s.confirmed(t, "", "–")
}
