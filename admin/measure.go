package admin

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// Measure returns a store that does what store does, and the meter of how long
// that takes. Hand the store to session.Config.Store, or call Measure in
// session.Config.WrapStore. A call costs about 150 ns more.
//
// Only loads, creates, updates, touches and deletes are measured, not sweeps,
// counts and lists. The returned store has the abilities of store
// ([backend.Able]).
func Measure(store backend.Store) (backend.Store, *Meter) {
	can := backend.AbilitiesOf(store)
	c := &measured{Store: store, meter: &Meter{lister: can.Lister, start: time.Now()}}
	if can.VersionedDeleter != nil {
		can.VersionedDeleter = measuredDeleter{can.VersionedDeleter, c.meter}
	}
	return backend.With(c, can), c.meter
}

type measured struct {
	backend.Store
	meter *Meter
}

func (c *measured) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	began := time.Now()
	rec, err := c.Store.Load(ctx, id)
	c.meter.note(began, err)
	return rec, err
}

func (c *measured) Create(ctx context.Context, rec backend.Record) error {
	began := time.Now()
	err := c.Store.Create(ctx, rec)
	c.meter.note(began, err)
	return err
}

func (c *measured) Update(ctx context.Context, rec backend.Record) error {
	began := time.Now()
	err := c.Store.Update(ctx, rec)
	c.meter.note(began, err)
	return err
}

func (c *measured) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	began := time.Now()
	err := c.Store.Touch(ctx, id, expires)
	c.meter.note(began, err)
	return err
}

func (c *measured) Delete(ctx context.Context, id uuid.UUID) error {
	began := time.Now()
	err := c.Store.Delete(ctx, id)
	c.meter.note(began, err)
	return err
}

type measuredDeleter struct {
	backend.VersionedDeleter
	meter *Meter
}

func (d measuredDeleter) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	began := time.Now()
	err := d.VersionedDeleter.DeleteVersion(ctx, id, version)
	d.meter.note(began, err)
	return err
}
