package otelsession_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/chisession/session"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/otelsession"
)

// Every field of Stats is a counter of its name and value.
func TestObserve(t *testing.T) {
	tel := newTelemetry(t)
	m := newManager(t, newStore(t))
	registration, err := otelsession.Observe(m, tel.opts)
	if err != nil {
		t.Fatal(err)
	}
	app := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session.FromContext(r).Set("n", 1)
	}))
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost/", nil))

	want := make(map[string]int64)
	stats := reflect.ValueOf(m.Stats())
	for i := range stats.NumField() {
		want["session."+stats.Type().Field(i).Tag.Get("json")] = int64(stats.Field(i).Uint())
	}
	if want["session.creates"] != 1 {
		t.Errorf("the request of this test left %v", want)
	}
	got := make(map[string]int64)
	for _, metric := range collect(t, tel) {
		sum := metric.Data.(metricdata.Sum[int64])
		if !sum.IsMonotonic || len(sum.DataPoints) != 1 || sum.DataPoints[0].Attributes.Len() != 0 {
			t.Errorf("%s: %+v, want one count that only grows, without attributes", metric.Name, sum)
		}
		got[metric.Name] = sum.DataPoints[0].Value
	}
	if !maps.Equal(got, want) {
		t.Errorf("observed\n%v, want\n%v", got, want)
	}

	if err := registration.Unregister(); err != nil {
		t.Fatal(err)
	}
	if left := collect(t, tel); len(left) != 0 {
		t.Errorf("after Unregister there are %v", left)
	}
}

// TestLiveSessions: the gauge is there if it is asked for, counts at most that
// often, and is absent, with the counters still there, while the store fails.
func TestLiveSessions(t *testing.T) {
	for _, tt := range []struct {
		every  time.Duration
		counts int
	}{{0, 0}, {time.Nanosecond, 2}, {time.Hour, 1}} {
		tel := newTelemetry(t)
		fault := backendtest.NewFault(newStore(t))
		m := newManager(t, fault.Store())
		tel.opts.CountEvery = tt.every
		registration, err := otelsession.Observe(m, tel.opts)
		if err != nil {
			t.Fatal(err)
		}
		app := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			session.FromContext(r).Set("n", 1)
		}))
		app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://localhost/", nil))
		for range 2 {
			if n, known := liveSessions(t, tel); known != (tt.every > 0) || known && n != 1 {
				t.Errorf("every %v: %d live sessions, known: %v; want 1 if it is asked for", tt.every, n, known)
			}
		}
		if n := fault.Calls(backendtest.OpCount); n != tt.counts {
			t.Errorf("every %v: two collections counted %d times, want %d", tt.every, n, tt.counts)
		}
		fault.On(backendtest.OpCount, backendtest.Always, backendtest.Fail(errors.New("down")))
		if n, known := liveSessions(t, tel); known && tt.every == time.Nanosecond {
			t.Errorf("every %v: %d live sessions while the store fails, want none reported", tt.every, n)
		}
		if err := registration.Unregister(); err != nil {
			t.Fatal(err)
		}
	}
}

// liveSessions returns the gauge's value, if it is reported.
func liveSessions(t *testing.T, tel *telemetry) (value int64, known bool) {
	t.Helper()
	all := collect(t, tel)
	for _, metric := range all {
		if gauge, ok := metric.Data.(metricdata.Gauge[int64]); ok && metric.Name == "session.live_sessions" && len(gauge.DataPoints) == 1 {
			return gauge.DataPoints[0].Value, true
		}
	}
	if len(all) < 10 {
		t.Errorf("there are %d metrics, want the counters whatever the store does", len(all))
	}
	return 0, false
}
