package admin

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Measure returns a store that does what store does, and the meter of how long
// that takes. Hand the store to session.Config.Store; one that is known by
// name is opened with backend.Open first. A call costs about 150 ns more.
//
// Only loads, creates, updates, touches and deletes are measured, not sweeps,
// counts and lists. The returned store can what store can, and has a Sweep that
// removes nothing if store has none. Its Close closes store.
func Measure(store backend.Store) (backend.Store, *Meter) {
	c := &measured{inner: store, meter: newMeter()}
	c.versioned, _ = store.(backend.VersionedDeleter)
	c.bounded, _ = store.(backend.Bounded)
	c.confirmer, _ = store.(backend.Confirmer)
	c.sweeper, _ = store.(backend.Sweeper)
	return c.expose(store), c.meter
}

// measured is the part of a measuring store that every one has. Where the inner
// store lacks one of the optional methods here, it does what a caller would do
// without.
type measured struct {
	inner     backend.Store
	versioned backend.VersionedDeleter // nil if inner is none
	bounded   backend.Bounded          // likewise
	confirmer backend.Confirmer        // likewise
	sweeper   backend.Sweeper          // likewise
	meter     *Meter
}

// expose returns c with the rest of what store can: what a caller asks for by
// a type assertion, and does otherwise without.
func (c *measured) expose(store backend.Store) backend.Store {
	type (
		index   = backend.UserIndex
		counter = backend.Counter
		process = backend.InProcess
	)
	u, users := store.(index)
	n, counts := store.(counter)
	p, inProcess := store.(process)
	switch {
	case users && counts && inProcess:
		return struct {
			*measured
			index
			counter
			process
		}{c, u, n, p}
	case users && counts:
		return struct {
			*measured
			index
			counter
		}{c, u, n}
	case users && inProcess:
		return struct {
			*measured
			index
			process
		}{c, u, p}
	case counts && inProcess:
		return struct {
			*measured
			counter
			process
		}{c, n, p}
	case users:
		return struct {
			*measured
			index
		}{c, u}
	case counts:
		return struct {
			*measured
			counter
		}{c, n}
	case inProcess:
		return struct {
			*measured
			process
		}{c, p}
	}
	return c
}

func (c *measured) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	began := time.Now()
	rec, err := c.inner.Load(ctx, id)
	c.meter.note(began, err)
	return rec, err
}

func (c *measured) Create(ctx context.Context, rec backend.Record) error {
	began := time.Now()
	err := c.inner.Create(ctx, rec)
	c.meter.note(began, err)
	return err
}

func (c *measured) Update(ctx context.Context, rec backend.Record) error {
	began := time.Now()
	err := c.inner.Update(ctx, rec)
	c.meter.note(began, err)
	return err
}

func (c *measured) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	began := time.Now()
	err := c.inner.Touch(ctx, id, expires)
	c.meter.note(began, err)
	return err
}

func (c *measured) Delete(ctx context.Context, id uuid.UUID) error {
	began := time.Now()
	err := c.inner.Delete(ctx, id)
	c.meter.note(began, err)
	return err
}

// DeleteVersion is the store's own, or an Update that empties the record, at
// its version, and a Delete of what is left.
func (c *measured) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	if c.versioned == nil {
		rec := backend.Record{ID: id, Version: version, Expires: time.UnixMilli(0), Shorten: true}
		if err := c.Update(ctx, rec); err != nil {
			return err
		}
		return c.Delete(ctx, id)
	}
	began := time.Now()
	err := c.versioned.DeleteVersion(ctx, id, version)
	c.meter.note(began, err)
	return err
}

// Sweep is the store's own; one without has nothing to remove.
func (c *measured) Sweep(ctx context.Context, limit int) (int, error) {
	if c.sweeper == nil {
		return 0, nil
	}
	return c.sweeper.Sweep(ctx, limit)
}

// Bounded is the store's own answer.
func (c *measured) Bounded() bool { return c.bounded != nil && c.bounded.Bounded() }

// Confirms is the store's own answer.
func (c *measured) Confirms() bool { return c.confirmer != nil && c.confirmer.Confirms() }

// Close closes the store, if it can be closed.
func (c *measured) Close() error {
	closer, ok := c.inner.(io.Closer)
	if !ok {
		return nil
	}
	if err := closer.Close(); err != nil {
		return fmt.Errorf("admin: close the measured store: %w", err)
	}
	return nil
}

var (
	_ backend.Store            = (*measured)(nil)
	_ backend.VersionedDeleter = (*measured)(nil)
	_ backend.Sweeper          = (*measured)(nil)
	_ backend.Bounded          = (*measured)(nil)
	_ backend.Confirmer        = (*measured)(nil)
	_ io.Closer                = (*measured)(nil)
)
