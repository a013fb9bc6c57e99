package promsession_test

import (
	"errors"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/internal/visit"
	"github.com/chisession/session/promsession"
)

// setup returns a manager on a memory store that can be made to fail.
func setup(t *testing.T) (*session.Manager, *backendtest.Fault) {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	fault := backendtest.NewFault(store)
	return manager(t, fault.Store()), fault
}

func manager(t *testing.T, store backend.Store) *session.Manager {
	t.Helper()
	m, err := session.New(session.Config{Store: store, SweepEvery: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// gather returns all that c has to say, by metric name.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			if len(m.Label) != 0 {
				t.Errorf("%s has the labels %v, want none", f.GetName(), m.Label)
			}
			if f.GetType() == dto.MetricType_GAUGE {
				got[f.GetName()] = m.Gauge.GetValue()
			} else {
				got[f.GetName()] = m.Counter.GetValue()
			}
		}
	}
	return got
}

func TestCounters(t *testing.T) {
	m, fault := setup(t)
	res := visit.Session(m, func(s *session.Session) { s.Set("n", 1) })
	visit.Session(m, func(s *session.Session) { s.Set("n", 2) }, res.Cookies()...)
	fault.On(backendtest.OpLoad, 1, backendtest.Fail(errors.New("down")))
	visit.Session(m, func(*session.Session) {}, res.Cookies()...)
	visit.Session(m, func(s *session.Session) { s.SetUser("ada") }, res.Cookies()...)
	visit.Session(m, func(*session.Session) {}, res.Cookies()...) // by now an old token

	// Every field of Stats is a counter of its name and value.
	stats := reflect.ValueOf(m.Stats())
	want := make(map[string]float64)
	for i := range stats.NumField() {
		want["session_"+stats.Type().Field(i).Tag.Get("json")+"_total"] = float64(stats.Field(i).Uint())
	}
	if got := gather(t, promsession.New(m, promsession.Options{})); !maps.Equal(got, want) {
		t.Errorf("collected\n%v, want\n%v", got, want)
	}
	if want["session_creates_total"] != 1 || want["session_errors_total"] == 0 || want["session_rejected_total"] == 0 {
		t.Errorf("the requests of this test left %v", want)
	}
}

// Names and help texts follow the conventions of Prometheus.
func TestLint(t *testing.T) {
	m, _ := setup(t)
	problems, err := testutil.CollectAndLint(promsession.New(m, promsession.Options{CountEvery: time.Minute}))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestLiveSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, fault := setup(t)
		c := promsession.New(m, promsession.Options{CountEvery: time.Minute})
		live := func(what string, want float64, calls int) {
			t.Helper()
			got, ok := gather(t, c)["session_live_sessions"]
			if ok != (want >= 0) || ok && got != want || fault.Calls(backendtest.OpCount) != calls {
				t.Errorf("%s: %v (there: %v) after %d counts, want %v after %d", what, got, ok, fault.Calls(backendtest.OpCount), want, calls)
			}
		}
		visit.Session(m, func(s *session.Session) { s.Set("n", 1) })
		live("one session", 1, 1)
		visit.Session(m, func(s *session.Session) { s.Set("n", 1) })
		live("within the minute", 1, 1)
		time.Sleep(time.Minute)
		live("after it", 2, 2)
		fault.On(backendtest.OpCount, 1, backendtest.Fail(errors.New("down")))
		time.Sleep(time.Minute)
		live("the store is down", -1, 3)
		live("and is not asked again at once", -1, 3)
		time.Sleep(time.Minute)
		live("it is back", 2, 4)
	})
}

// A store that cannot count is no reason to fail the scrape.
func TestNoCounter(t *testing.T) {
	_, fault := setup(t)
	m := manager(t, fault.StoreWith(0))
	if _, ok := gather(t, promsession.New(m, promsession.Options{CountEvery: time.Minute}))["session_live_sessions"]; ok {
		t.Error("session_live_sessions is there, of a store that cannot count")
	}
}

// Two managers under one registry, over HTTP.
func TestTwoManagers(t *testing.T) {
	registry := prometheus.NewRegistry()
	for _, name := range []string{"shop", "office"} {
		m, _ := setup(t)
		visit.Session(m, func(s *session.Session) { s.Set("n", 1) })
		prometheus.WrapRegistererWith(prometheus.Labels{"manager": name}, registry).MustRegister(promsession.New(m, promsession.Options{}))
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{`session_creates_total{manager="shop"} 1`, `session_creates_total{manager="office"} 1`} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("/metrics lacks %q", line)
		}
	}
}

// What the dashboard and the alerts ask for exists, and every metric is
// documented.
func TestDocs(t *testing.T) {
	m, _ := setup(t)
	metrics := gather(t, promsession.New(m, promsession.Options{CountEvery: time.Minute}))
	names := regexp.MustCompile(`\bsession_[a-z_]+(_total|_sessions)\b`)
	for _, file := range []string{"../docs/observability.md", "../docs/grafana-dashboard.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names.FindAllString(string(text), -1) {
			if _, ok := metrics[name]; !ok {
				t.Errorf("%s asks for %s, which no collector has", file, name)
			}
		}
		for name := range metrics {
			if !strings.Contains(string(text), name) {
				t.Errorf("%s does not mention %s", file, name)
			}
		}
	}
}
