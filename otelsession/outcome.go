package otelsession

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/chisession/session/backend"
)

// An op is a method of a store.
type op int

const (
	opLoad op = iota
	opCreate
	opUpdate
	opTouch
	opDelete
	opDeleteVersion
	opSweep
	opByUser
	opCountAll
	opCount // how many there are
)

// String returns the op as db.operation.name has it.
func (o op) String() string {
	return [opCount]string{"load", "create", "update", "touch", "delete", "delete_version", "sweep", "by_user", "count"}[o]
}

// An outcome is how a call ended: a few, so that they can be a label.
type outcome int

const (
	outcomeOK outcome = iota
	outcomeNotFound
	outcomeExists
	outcomeConflict
	outcomeCanceled
	outcomeTooLarge // from here on they are failures
	outcomeBadUser
	outcomeClosed
	outcomeTimeout
	outcomeError
	outcomeCount // how many there are
)

// String returns the outcome as session.outcome has it.
func (o outcome) String() string {
	return [outcomeCount]string{"ok", "not_found", "exists", "conflict", "canceled", "too_large", "bad_user", "closed", "timeout", "error"}[o]
}

// failure reports whether the call failed: the others are answers, or were not
// waited for.
func (o outcome) failure() bool { return o >= outcomeTooLarge }

func (o outcome) attribute() attribute.KeyValue {
	return attribute.String("session.outcome", o.String())
}

func outcomeOf(err error) outcome {
	var late interface{ Timeout() bool }
	switch {
	case err == nil:
		return outcomeOK
	case errors.Is(err, backend.ErrNotFound):
		return outcomeNotFound
	case errors.Is(err, backend.ErrExists):
		return outcomeExists
	case errors.Is(err, backend.ErrConflict):
		return outcomeConflict
	case errors.Is(err, backend.ErrTooLarge):
		return outcomeTooLarge
	case errors.Is(err, backend.ErrUser):
		return outcomeBadUser
	case errors.Is(err, backend.ErrClosed):
		return outcomeClosed
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &late) && late.Timeout():
		return outcomeTimeout
	}
	return outcomeError
}

// errorType returns error.type of a failure. An error of the driver's is told
// by its type; its text may repeat what the driver was given.
func errorType(how outcome, err error) attribute.KeyValue {
	if how != outcomeError {
		return semconv.ErrorTypeKey.String(how.String())
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return semconv.ErrorTypeKey.String(fmt.Sprintf("%T", err))
		}
		err = inner
	}
}

// An operation is what is known of an op before it is called.
type operation struct {
	name     string
	start    []trace.SpanStartOption
	measured [outcomeCount][]metric.RecordOption
}

func newOperation(op op, system attribute.KeyValue, kind trace.SpanKind) operation {
	attributes := []attribute.KeyValue{system, semconv.DBOperationName(op.String())}
	o := operation{
		name:  op.String() + " session",
		start: []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(attributes...)},
	}
	for how := range outcomeCount {
		all := append(attributes[:2:2], how.attribute())
		switch {
		case how == outcomeError:
			all = append(all, semconv.ErrorTypeOther) // types of errors are not bounded
		case how.failure():
			all = append(all, errorType(how, nil))
		}
		o.measured[how] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(all...))}
	}
	return o
}
