package otelsession

import (
	"context"
	"errors"

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
	{"renewals", "Tokens replaced, at logins for example.", func(s *session.Stats) uint64 { return s.Renewals }},
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
// Prometheus they are called as package promsession calls them. Of opts, only
// MeterProvider counts. Unregister the result when m is closed.
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
	if failed != nil {
		return nil, failed
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := m.Stats()
		for i, s := range stats {
			o.ObserveInt64(counters[i], int64(s.value(&now)))
		}
		return nil
	}, all...)
}
