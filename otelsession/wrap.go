package otelsession

import (
	"cmp"
	"context"
	"path"
	"reflect"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/chisession/session/backend"
)

// scope is the instrumentation scope of all that this package emits.
const scope = "github.com/chisession/session/otelsession"

// Options say where the telemetry goes. The zero value is right for most.
type Options struct {
	// TracerProvider and MeterProvider are where spans and measurements go;
	// default the global ones.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	// System is the attribute db.system.name; default the name of the store's
	// package, which is memory, file, mysql or redis for those of this module.
	// Give "mariadb" where that is what mysql talks to.
	System string

	// SessionIDs adds the session's public ID to the spans, as session.id: fit
	// for finding all that one browser did, and to be treated like an IP
	// address for that reason. Metrics never have it.
	SessionIDs bool

	// CountEvery turns on the gauge session.live_sessions of Observe: the number
	// of live sessions in the store, asked for when metrics are collected, at
	// most that often. It is off by default, as counting costs what the store's
	// Count says: cheap in memory, up to a second per million records in MySQL.
	// The processes of one store all count the same sessions: take the max, not
	// the sum.
	CountEvery time.Duration
}

// Wrap returns a store that does what store does and tells of it: for each
// call a span named after it ("load session", of kind client, or internal for a
// store in this process) and a measurement of the histogram
// session.store.duration, in seconds. Both say the operation
// (db.operation.name), the system (db.system.name) and how it ended
// (session.outcome): ok, not_found, exists or conflict, which are answers;
// too_large, bad_user, closed, timeout or error, which are failures and come
// with error.type; or canceled, when the client has gone.
//
// The result has the abilities of store, no more and no less ([backend.Able]). A call costs
// some microseconds more: three without an SDK, four with metrics, nine with a
// recorded span, where it was measured.
//
// If the meter cannot make the histogram, the error goes to otel's error
// handler and there are spans alone.
func Wrap(inner backend.Store, opts Options) backend.Store {
	s := &store{
		inner:  inner,
		ids:    opts.SessionIDs,
		tracer: tracerProvider(opts).Tracer(scope),
	}
	var err error
	s.duration, err = meterProvider(opts).Meter(scope).Float64Histogram("session.store.duration",
		metric.WithUnit("s"), metric.WithDescription("How long calls of the session store took."),
		metric.WithExplicitBucketBoundaries(.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5))
	if err != nil {
		otel.Handle(err)
	}
	system := semconv.DBSystemNameKey.String(cmp.Or(opts.System, packageOf(inner)))
	can := backend.AbilitiesOf(inner)
	kind := trace.SpanKindClient
	if can.InProcess {
		kind = trace.SpanKindInternal
	}
	for op := range opCount {
		s.ops[op] = newOperation(op, system, kind)
	}
	return backend.With(s, s.parts(can))
}

func tracerProvider(opts Options) trace.TracerProvider {
	if opts.TracerProvider != nil {
		return opts.TracerProvider
	}
	return otel.GetTracerProvider()
}

func meterProvider(opts Options) metric.MeterProvider {
	if opts.MeterProvider != nil {
		return opts.MeterProvider
	}
	return otel.GetMeterProvider()
}

// packageOf returns the name of the package that v's type is from, "other" for
// a type without a name, and for a wrapper ([backend.With]).
func packageOf(v any) string {
	if _, wrapper := v.(backend.Able); wrapper {
		return "other"
	}
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == "" {
		return "other"
	}
	return path.Base(t.PkgPath())
}

type store struct {
	inner    backend.Store
	ids      bool
	tracer   trace.Tracer
	duration metric.Float64Histogram
	ops      [opCount]operation
}

// run is the way of each call.
func (s *store) run(ctx context.Context, op op, id uuid.UUID, do func(context.Context) error) error {
	o := &s.ops[op]
	ctx, span := s.tracer.Start(ctx, o.name, o.start...)
	defer span.End() // whatever do does
	if s.ids && id != (uuid.UUID{}) && span.IsRecording() {
		span.SetAttributes(semconv.SessionID(id.String()))
	}
	begun := time.Now()
	err := do(ctx)
	how := outcomeOf(err)
	if s.duration != nil {
		s.duration.Record(ctx, time.Since(begun).Seconds(), o.measured[how]...)
	}
	if span.IsRecording() {
		span.SetAttributes(how.attribute())
		if how.failure() {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(errorType(how, err))
		}
	}
	return err
}

func (s *store) Load(ctx context.Context, id uuid.UUID) (rec backend.Record, err error) {
	err = s.run(ctx, opLoad, id, func(ctx context.Context) (err error) {
		rec, err = s.inner.Load(ctx, id)
		return err
	})
	return rec, err
}

func (s *store) Create(ctx context.Context, rec backend.Record) error {
	return s.run(ctx, opCreate, rec.ID, func(ctx context.Context) error { return s.inner.Create(ctx, rec) })
}

func (s *store) Update(ctx context.Context, rec backend.Record) error {
	return s.run(ctx, opUpdate, rec.ID, func(ctx context.Context) error { return s.inner.Update(ctx, rec) })
}

func (s *store) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	return s.run(ctx, opTouch, id, func(ctx context.Context) error { return s.inner.Touch(ctx, id, expires) })
}

func (s *store) Delete(ctx context.Context, id uuid.UUID) error {
	return s.run(ctx, opDelete, id, func(ctx context.Context) error { return s.inner.Delete(ctx, id) })
}

// parts returns the optional parts of the inner store, those that are calls of
// a request or of the collector in spans.
func (s *store) parts(can backend.Abilities) backend.Abilities {
	if can.VersionedDeleter != nil {
		can.VersionedDeleter = deleter{s, can.VersionedDeleter}
	}
	if can.Sweeper != nil {
		can.Sweeper = sweeper{s, can.Sweeper}
	}
	if can.UserIndex != nil {
		can.UserIndex = index{s, can.UserIndex}
	}
	if can.Counter != nil {
		can.Counter = counter{s, can.Counter}
	}
	return can
}

type deleter struct {
	*store
	part backend.VersionedDeleter
}

func (d deleter) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	return d.run(ctx, opDeleteVersion, id, func(ctx context.Context) error {
		return d.part.DeleteVersion(ctx, id, version)
	})
}

type sweeper struct {
	*store
	part backend.Sweeper
}

func (s sweeper) Sweep(ctx context.Context, limit int) (n int, err error) {
	err = s.run(ctx, opSweep, uuid.UUID{}, func(ctx context.Context) (err error) {
		n, err = s.part.Sweep(ctx, limit)
		return err
	})
	return n, err
}

type index struct {
	*store
	part backend.UserIndex
}

func (x index) ByUser(ctx context.Context, user string) (recs []backend.Record, err error) {
	err = x.run(ctx, opByUser, uuid.UUID{}, func(ctx context.Context) (err error) {
		recs, err = x.part.ByUser(ctx, user)
		return err
	})
	return recs, err
}

type counter struct {
	*store
	part backend.Counter
}

func (c counter) Count(ctx context.Context) (n int, err error) {
	err = c.run(ctx, opCountAll, uuid.UUID{}, func(ctx context.Context) (err error) {
		n, err = c.part.Count(ctx)
		return err
	})
	return n, err
}
