package otelsession_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/chisession/session"
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
