// Package promsession shows Prometheus what a session manager does.
//
//	registry.MustRegister(promsession.New(manager, promsession.Options{}))
//
// With several managers, tell them apart by a label of your own:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"manager": "office"}, registry).
//		MustRegister(promsession.New(office, promsession.Options{}))
//
// The metrics have no labels beside that: nothing that a client sends, no user
// and no session ID ever becomes one.
package promsession

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chisession/session"
)

// countTimeout is how long a scrape waits for a count, well below
// Prometheus's default scrape timeout of 10 s.
const countTimeout = 3 * time.Second

// Options are what a [Collector] does beside counters.
type Options struct {
	// CountEvery turns on the gauge session_live_sessions: the number of live
	// sessions in the store, asked for at a scrape, at most that often. It is
	// off by default, as counting costs what the store's Count says: cheap in
	// memory, up to a second per million records in MySQL. The processes of
	// one store all count the same sessions: take the max, not the sum.
	CountEvery time.Duration
}

// A Collector is a [prometheus.Collector] over [session.Manager.Stats]. A
// scrape costs some atomic reads, and a Count where Options ask for it.
type Collector struct {
	manager *session.Manager
	opts    Options

	mu      sync.Mutex // guards the rest; held while counting, so that it is done once
	live    int
	known   bool
	counted time.Time
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a collector for m. It stops with m: after m.Close the counters
// stay what they were.
func New(m *session.Manager, opts Options) *Collector {
	return &Collector{manager: m, opts: opts}
}

// A counter is one field of [session.Stats].
type counter struct {
	desc  *prometheus.Desc
	value func(*session.Stats) uint64
}

func count(name, help string, value func(*session.Stats) uint64) counter {
	return counter{prometheus.NewDesc("session_"+name+"_total", help, nil, nil), value}
}

var counters = []counter{
	count("loads", "Records asked for.", func(s *session.Stats) uint64 { return s.Loads }),
	count("hits", "Loads that found a live session.", func(s *session.Stats) uint64 { return s.Hits }),
	count("creates", "New sessions stored.", func(s *session.Stats) uint64 { return s.Creates }),
	count("updates", "Sessions stored again.", func(s *session.Stats) uint64 { return s.Updates }),
	count("touches", "Expiries moved without a write.", func(s *session.Stats) uint64 { return s.Touches }),
	count("deletes", "Sessions destroyed or revoked.", func(s *session.Stats) uint64 { return s.Deletes }),
	count("logins", "Logins: calls of SetUser with a name that were stored.", func(s *session.Stats) uint64 { return s.Logins }),
	count("renewals", "Tokens of stored sessions replaced, by a login or by Renew.", func(s *session.Stats) uint64 { return s.Renewals }),
	count("conflicts", "Writes merged with another request's.", func(s *session.Stats) uint64 { return s.Conflicts }),
	count("dropped", "Requests whose changes came after the end of their session.", func(s *session.Stats) uint64 { return s.Dropped }),
	count("superseded", "Requests that held a token which another request had replaced.", func(s *session.Stats) uint64 { return s.Superseded }),
	count("rejected", "Tokens that were no session's: expired, ended or invented.", func(s *session.Stats) uint64 { return s.Rejected }),
	count("tossed", "Requests that brought several tokens.", func(s *session.Stats) uint64 { return s.Tossed }),
	count("unreadable", "Records and values that could not be decoded.", func(s *session.Stats) uint64 { return s.Unreadable }),
	count("unavailable", "Requests served without their session in an outage.", func(s *session.Stats) uint64 { return s.Unavailable }),
	count("errors", "Store calls that failed, and changes refused as too late.", func(s *session.Stats) uint64 { return s.Errors }),
	count("swept", "Expired records removed by this process.", func(s *session.Stats) uint64 { return s.Swept }),
}

var liveDesc = prometheus.NewDesc("session_live_sessions", "Live sessions in the store, as last counted; absent if counting fails.", nil, nil)

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, one := range counters {
		ch <- one.desc
	}
	if c.opts.CountEvery > 0 {
		ch <- liveDesc
	}
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	stats := c.manager.Stats()
	for _, one := range counters {
		ch <- prometheus.MustNewConstMetric(one.desc, prometheus.CounterValue, float64(one.value(&stats)))
	}
	if n, ok := c.count(); ok {
		ch <- prometheus.MustNewConstMetric(liveDesc, prometheus.GaugeValue, float64(n))
	}
}

// count returns the number of live sessions, and whether it is known. A store
// that fails, or cannot count, must not fail the scrape: just then the
// counters matter. It is not asked again before CountEvery is over.
func (c *Collector) count() (int, bool) {
	if c.opts.CountEvery <= 0 {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.counted.IsZero() || now.Sub(c.counted) >= c.opts.CountEvery {
		ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
		defer cancel()
		n, err := c.manager.Count(ctx)
		c.live, c.known, c.counted = n, err == nil, now
	}
	return c.live, c.known
}
