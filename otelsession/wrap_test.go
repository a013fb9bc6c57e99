package otelsession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/chisession/session"
	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/backendtest"
	"github.com/chisession/session/backend/memory"
	"github.com/chisession/session/otelsession"
)

// A telemetry keeps what was emitted.
type telemetry struct {
	spans   *tracetest.InMemoryExporter
	metrics *sdkmetric.ManualReader
	tracer  trace.Tracer
	opts    otelsession.Options
}

func newTelemetry(t *testing.T) *telemetry {
	t.Helper()
	spans, metrics := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(metrics))
	t.Cleanup(func() {
		tp.Shutdown(context.Background())
		mp.Shutdown(context.Background())
	})
	return &telemetry{spans, metrics, tp.Tracer("test"), otelsession.Options{TracerProvider: tp, MeterProvider: mp}}
}

func newStore(t *testing.T) *memory.Store {
	t.Helper()
	store, err := memory.New(memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func newManager(t *testing.T, store backend.Store) *session.Manager {
	t.Helper()
	m, err := session.New(session.Config{Store: store, SweepEvery: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// The contract holds through the wrapper.
func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return otelsession.Wrap(newStore(t), newTelemetry(t).opts)
	})
}

// The wrapper has the optional interfaces of the store, and no other, for
// every set of them.
func TestInterfaces(t *testing.T) {
	const all = backendtest.VersionedDeleter | backendtest.Sweeper | backendtest.UserIndex | backendtest.Counter |
		backendtest.InProcess | backendtest.Bounded
	inner := newStore(t)
	for have := range all + 1 {
		store := backendtest.NewFault(inner).StoreWith(have)
		wrapped := otelsession.Wrap(store, otelsession.Options{})
		if got := backendtest.Capabilities(wrapped); got != have {
			t.Errorf("a store with %v, wrapped, has %v", have, got)
		}
	}
	if got, want := backendtest.Capabilities(otelsession.Wrap(inner, otelsession.Options{})), backendtest.Capabilities(inner); got != want {
		t.Errorf("a memory store, wrapped, has %v, want %v", got, want)
	}
	bare := struct {
		backend.Store
		io.Closer
	}{backendtest.NewFault(inner).StoreWith(0), inner}
	wrapped := otelsession.Wrap(bare, otelsession.Options{})
	if got, want := backendtest.Capabilities(wrapped), backendtest.Capabilities(bare); got != want {
		t.Errorf("a store with Close alone, wrapped, has %v, want %v", got, want)
	}
	if err := backend.AbilitiesOf(wrapped).Closer.Close(); err != nil {
		t.Error(err)
	}
	if _, err := inner.Load(t.Context(), uuid.Must(uuid.NewV7())); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("after Close of the wrapper, the store answers %v", err)
	}
}

// What the store promises is passed on.
func TestDurability(t *testing.T) {
	inner := newStore(t)
	for _, want := range []string{"", "a crash loses all"} {
		var store backend.Store = inner
		if want != "" {
			store = promising{inner, want}
		}
		if got := backend.AbilitiesOf(otelsession.Wrap(store, otelsession.Options{})).Durability; got != want {
			t.Errorf("a wrapped store promises %q, want %q", got, want)
		}
	}
}

type promising struct {
	backend.Store
	text string
}

func (p promising) Durability() string { return p.text }

// Spans are children of the request's, whether or not the manager gives the
// store's calls a deadline of their own; and they say nothing that is secret.
func TestRequest(t *testing.T) {
	const user, value = "ada.lovelace", "the value itself"
	inner := newStore(t)
	for name, store := range map[string]backend.Store{
		"bounded":   inner,
		"unbounded": backendtest.NewFault(inner).Store(),
	} {
		t.Run(name, func(t *testing.T) {
			tel := newTelemetry(t)
			m := newManager(t, otelsession.Wrap(store, tel.opts))
			var cookies []*http.Cookie
			var secrets []string
			request := func(h func(*session.Session)) (names []string) {
				t.Helper()
				tel.spans.Reset()
				app := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(session.FromContext(r)) }))
				r := httptest.NewRequest("GET", "http://localhost/", nil)
				for _, c := range cookies {
					r.AddCookie(c)
				}
				w := httptest.NewRecorder()
				ctx, cancel := context.WithCancel(t.Context())
				ctx, parent := tel.tracer.Start(ctx, "GET /")
				app.ServeHTTP(w, r.WithContext(ctx))
				cancel()
				parent.End()
				if got := w.Result().Cookies(); len(got) > 0 {
					cookies = got
					if got[0].Value != "" {
						secrets = append(secrets, got[0].Value)
					}
				}
				spans := tel.spans.GetSpans()
				for _, s := range spans[:len(spans)-1] {
					if s.Parent.SpanID() != parent.SpanContext().SpanID() {
						t.Errorf("%s: its parent is not the request's span", s.Name)
					}
					names = append(names, s.Name)
				}
				for _, s := range spans {
					for _, secret := range append(secrets, user, value) {
						if text := fmt.Sprintf("%+v", s); strings.Contains(text, secret) {
							t.Errorf("%s: the span says %q", s.Name, secret)
						}
					}
				}
				return names
			}
			for _, step := range []struct {
				do   func(*session.Session)
				want []string
			}{
				{func(s *session.Session) { s.Get("k") }, nil},
				{func(s *session.Session) { s.Set("k", value) }, []string{"create session"}},
				{func(s *session.Session) { s.Get("k") }, []string{"load session"}},
				{func(s *session.Session) { s.SetUser(user) }, []string{"load session", "update session"}},
				{func(s *session.Session) { s.Destroy() }, []string{"load session", "delete_version session"}},
			} {
				if got := request(step.do); !slices.Equal(got, step.want) {
					t.Errorf("spans %q, want %q", got, step.want)
				}
			}
			if text := fmt.Sprintf("%+v", collect(t, tel)); strings.Contains(text, user) || strings.Contains(text, value) {
				t.Error("the metrics say what they should not")
			}
		})
	}
}

func collect(t *testing.T, tel *telemetry) []metricdata.Metrics {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := tel.metrics.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	var all []metricdata.Metrics
	for _, scope := range rm.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	return all
}

type refused struct{ text string }

func (e *refused) Error() string { return e.text }

func TestOutcomes(t *testing.T) {
	for _, tc := range []struct {
		err       error
		outcome   string
		errorType string // of the span; empty if it is no failure
		measured  string // ...of the measurement
	}{
		{nil, "ok", "", ""},
		{fmt.Errorf("redis: %w", backend.ErrNotFound), "not_found", "", ""},
		{backend.ErrExists, "exists", "", ""},
		{backend.ErrConflict, "conflict", "", ""},
		{context.Canceled, "canceled", "", ""},
		{backend.ErrTooLarge, "too_large", "too_large", "too_large"},
		{backend.ErrUser, "bad_user", "bad_user", "bad_user"},
		{backend.ErrClosed, "closed", "closed", "closed"},
		{fmt.Errorf("redis: %w", context.DeadlineExceeded), "timeout", "timeout", "timeout"},
		{fmt.Errorf("mysql: %w", &refused{"Duplicate entry 'ada'"}), "error", "*otelsession_test.refused", "_OTHER"},
	} {
		tel := newTelemetry(t)
		fault := backendtest.NewFault(newStore(t))
		fault.Before = func(context.Context, backendtest.Call) error { return tc.err }
		opts := tel.opts
		opts.System = "mariadb"
		store := otelsession.Wrap(fault.Store(), opts)
		rec := backend.Record{ID: uuid.Must(uuid.NewV7())}
		if err := store.Update(t.Context(), rec); tc.err != nil && err != tc.err {
			t.Errorf("%v: the caller gets %v", tc.err, err)
		}
		if tc.err == nil { // that one was not found
			tel = newTelemetry(t)
			store = otelsession.Wrap(newStore(t), otelsession.Options{TracerProvider: tel.opts.TracerProvider, MeterProvider: tel.opts.MeterProvider, System: "mariadb"})
			if err := store.Delete(t.Context(), rec.ID); err != nil {
				t.Error(err)
			}
		}
		op := map[bool]string{true: "delete", false: "update"}[tc.err == nil]

		span := tel.spans.GetSpans()[0]
		got := attribute.NewSet(span.Attributes...)
		want := set("db.system.name", "mariadb", "db.operation.name", op, "session.outcome", tc.outcome, "error.type", tc.errorType)
		if got.Encoded(encoder) != want.Encoded(encoder) {
			t.Errorf("%v: the span has %v, want %v", tc.err, got.Encoded(encoder), want.Encoded(encoder))
		}
		if failed := span.Status.Code == codes.Error; failed != (tc.errorType != "") || span.Status.Description != "" || len(span.Events) != 0 {
			t.Errorf("%v: the span's status is %v, its events %v", tc.err, span.Status, span.Events)
		}

		metrics := collect(t, tel)
		if len(metrics) != 1 || metrics[0].Name != "session.store.duration" || metrics[0].Unit != "s" {
			t.Fatalf("%v: metrics %v", tc.err, metrics)
		}
		point := metrics[0].Data.(metricdata.Histogram[float64]).DataPoints[0]
		want = set("db.system.name", "mariadb", "db.operation.name", op, "session.outcome", tc.outcome, "error.type", tc.measured)
		if got := point.Attributes; point.Count != 1 || got.Encoded(encoder) != want.Encoded(encoder) {
			t.Errorf("%v: measured %d with %v, want 1 with %v", tc.err, point.Count, got.Encoded(encoder), want.Encoded(encoder))
		}
	}
}

var encoder = attribute.DefaultEncoder()

// set returns the attributes of the pairs that have a value.
func set(pairs ...string) attribute.Set {
	var all []attribute.KeyValue
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all = append(all, attribute.String(pairs[i], pairs[i+1]))
		}
	}
	return attribute.NewSet(all...)
}

// Every operation, its kind, the default system, and the ID where it is asked
// for.
func TestOperations(t *testing.T) {
	tel := newTelemetry(t)
	opts := tel.opts
	opts.SessionIDs = true
	inner := newStore(t)
	store := otelsession.Wrap(inner, opts)
	ctx, rec := t.Context(), backend.Record{ID: uuid.Must(uuid.NewV7())}
	store.Load(ctx, rec.ID)
	store.Create(ctx, rec)
	store.Update(ctx, rec)
	store.Touch(ctx, rec.ID, rec.Expires)
	store.Delete(ctx, rec.ID)
	backend.AbilitiesOf(store).VersionedDeleter.DeleteVersion(ctx, rec.ID, 1)
	backend.AbilitiesOf(store).Sweeper.Sweep(ctx, 1)
	backend.AbilitiesOf(store).UserIndex.ByUser(ctx, "ada")
	backend.AbilitiesOf(store).Counter.Count(ctx)
	otelsession.Wrap(backendtest.NewFault(inner).Store(), opts).Load(ctx, rec.ID)

	var names []string
	for i, span := range tel.spans.GetSpans() {
		names = append(names, strings.TrimSuffix(span.Name, " session"))
		attributes := attribute.NewSet(span.Attributes...)
		wantSystem, wantKind := "memory", trace.SpanKindInternal
		if i == 9 {
			wantSystem, wantKind = "other", trace.SpanKindClient // not in this process, says Fault
		}
		if v, _ := attributes.Value("db.system.name"); v.AsString() != wantSystem || span.SpanKind != wantKind {
			t.Errorf("%s: system %q, kind %v; want %q, %v", span.Name, v.AsString(), span.SpanKind, wantSystem, wantKind)
		}
		v, ok := attributes.Value("session.id")
		if wantID := i < 6 || i == 9; ok != wantID || ok && v.AsString() != rec.ID.String() {
			t.Errorf("%s: session.id is %q (there: %v), want it: %v", span.Name, v.AsString(), ok, wantID)
		}
	}
	if got, want := strings.Join(names, " "), "load create update touch delete delete_version sweep by_user count load"; got != want {
		t.Errorf("operations %s, want %s", got, want)
	}
}

func BenchmarkLoad(b *testing.B) {
	inner, err := memory.New(memory.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer inner.Close()
	id := uuid.Must(uuid.NewV7())
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	for name, store := range map[string]backend.Store{
		"bare":      inner,
		"wrapped":   otelsession.Wrap(inner, otelsession.Options{}),
		"metrics":   otelsession.Wrap(inner, otelsession.Options{MeterProvider: mp, TracerProvider: never}),
		"andtraced": otelsession.Wrap(inner, otelsession.Options{MeterProvider: mp, TracerProvider: sdktrace.NewTracerProvider()}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				store.Load(b.Context(), id)
			}
		})
	}
}
