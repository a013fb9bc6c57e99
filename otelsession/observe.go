package otelsession

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/chisession/session"
)

// A stat is one field of [session.Stats].
type stat struct {
	name, help string
	value      func(*session.Stats) uint64
}

var stats = []stat{
	{"loads", "Records asked for.", func(s *session.Stats) uint64 { return s.Loads }},
	{"hits", "Loads that found a live session.", func(s *session.Stats) uint64 { return s.Hits }},
	{"creates", "New sessions stored.", func(s *session.Stats) uint64 { return s.Creates }},
	{"updates", "Sessions stored again.", func(s *session.Stats) uint64 { return s.Updates }},
	{"touches", "Expiries moved without a write.", func(s *session.Stats) uint64 { return s.Touches }},
	{"deletes", "Sessions destroyed or revoked.", func(s *session.Stats) uint64 { return s.Deletes }},
	{"logins", "Logins: calls of SetUser with a name that were stored.", func(s *session.Stats) uint64 { return s.Logins }},
	{"renewals", "Tokens of stored sessions replaced, by a login or by Renew.", func(s *session.Stats) uint64 { return s.Renewals }},
	{"conflicts", "Writes merged with another request's.", func(s *session.Stats) uint64 { return s.Conflicts }},
	{"dropped", "Requests whose changes came after the end of their session.", func(s *session.Stats) uint64 { return s.Dropped }},
	{"superseded", "Requests that held a token which another request had replaced.", func(s *session.Stats) uint64 { return s.Superseded }},
	{"rejected", "Tokens that were no session's: expired, ended or invented.", func(s *session.Stats) uint64 { return s.Rejected }},
	{"tossed", "Requests that brought several tokens.", func(s *session.Stats) uint64 { return s.Tossed }},
	{"unreadable", "Records and values that could not be decoded.", func(s *session.Stats) uint64 { return s.Unreadable }},
	{"unavailable", "Requests served without their session in an outage.", func(s *session.Stats) uint64 { return s.Unavailable }},
	{"errors", "Store calls that failed, and changes refused as too late.", func(s *session.Stats) uint64 { return s.Errors }},
	{"swept", "Expired records removed by this process.", func(s *session.Stats) uint64 { return s.Swept }},
}

// Observe reports m's [session.Stats] as observable counters, session.loads to
// session.swept. They have no attributes of their own; of two managers in a
// process, give each a MeterProvider whose resource tells it apart. Exported to
// Prometheus they are called as package promsession calls them, and so is the
// gauge of Options.CountEvery. Of opts, only MeterProvider and CountEvery count.
// Unregister the result when m is closed.
func Observe(m *session.Manager, opts Options) (metric.Registration, error) {
	meter := meterProvider(opts).Meter(scope)
	counters := make([]metric.Int64ObservableCounter, len(stats))
	all := make([]metric.Observable, len(stats))
	var failed error
	for i, s := range stats {
		var err error
		counters[i], err = meter.Int64ObservableCounter("session."+s.name, metric.WithDescription(s.help))
		failed = errors.Join(failed, err)
		all[i] = counters[i]
	}
	live, err := liveSessions(meter, m, opts.CountEvery)
	if failed = errors.Join(failed, err); failed != nil {
		return nil, failed
	}
	if live != nil {
		all = append(all, live.gauge)
	}
	return meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		now := m.Stats()
		for i, s := range stats {
			o.ObserveInt64(counters[i], int64(s.value(&now)))
		}
		if live != nil {
			live.observe(ctx, o)
		}
		return nil
	}, all...)
}

// countTimeout is how long a collection waits for a count.
const countTimeout = 3 * time.Second

// A liveGauge reports how many sessions live in the store.
type liveGauge struct {
	manager *session.Manager
	gauge   metric.Int64ObservableGauge
	every   time.Duration

	mu      sync.Mutex // guards the rest; held while counting, so that it is done once
	count   int
	known   bool
	counted time.Time
}

// liveSessions returns the gauge, nil if it is off.
func liveSessions(meter metric.Meter, m *session.Manager, every time.Duration) (*liveGauge, error) {
	if every <= 0 {
		return nil, nil
	}
	gauge, err := meter.Int64ObservableGauge("session.live_sessions",
		metric.WithDescription("Live sessions in the store, as last counted; absent if counting fails."))
	return &liveGauge{manager: m, gauge: gauge, every: every}, err
}

// observe reports the count, if it is known. A store that fails, or cannot
// count, must not fail the collection: just then the counters matter.
func (l *liveGauge) observe(ctx context.Context, o metric.Observer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.counted.IsZero() || now.Sub(l.counted) >= l.every {
		ctx, cancel := context.WithTimeout(ctx, countTimeout)
		defer cancel()
		n, err := l.manager.Count(ctx)
		l.count, l.known, l.counted = n, err == nil, now
	}
	if l.known {
		o.ObserveInt64(l.gauge, int64(l.count))
	}
}
