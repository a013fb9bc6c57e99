package backendtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// testMixed lets 32 goroutines do everything to a few records at once, first
// with new records coming, then with records going. (Not both: a record that
// comes back under its ID has its versions again.) What anyone sees must be a
// version that somebody stored, whole; each version must have been stored
// once; and what was deleted must not be seen again.
func testMixed(c *check) {
	const workers, each, records = 32, 24, 8
	m := &mixed{check: c, store: c.open(), ids: make([]uuid.UUID, records)}
	for i := range m.ids {
		m.ids[i] = newID()
	}
	for _, step := range []func(uuid.UUID, int) error{m.coming, m.going} {
		errs := c.race(workers, func(i int) error {
			for n := range each {
				if err := step(m.ids[(i+n)%records], i+n); err != nil {
					return err
				}
			}
			return nil
		})
		for _, err := range errs {
			if err != nil {
				c.errorf("32 goroutines at once: %v", err)
			}
		}
	}
}

type mixed struct {
	*check
	store   backend.Store
	ids     []uuid.UUID
	stored  sync.Map // the versions (version) whose Update succeeded
	deleted sync.Map // the IDs whose Delete has returned
}

// A version is one of a record.
type version struct {
	id uuid.UUID
	n  uint64
}

// record is what testMixed stores as the version.
func (v version) record() backend.Record {
	return backend.Record{
		ID: v.id, Version: v.n, Expires: in(time.Hour),
		User: fmt.Sprint("user ", v.n%3),
		Data: fmt.Appendf(nil, "version %d of %v", v.n, v.id),
	}
}

// whole returns an error if nobody stored such a record.
func (m *mixed) whole(rec backend.Record) error {
	want := version{rec.ID, rec.Version}.record()
	want.Expires = rec.Expires
	if !slices.Contains(m.ids, rec.ID) || !same(rec, want) {
		return fmt.Errorf("a record that nobody stored: %s", describe(rec))
	}
	return nil
}

// coming does the n-th call of a goroutine while records come.
func (m *mixed) coming(id uuid.UUID, n int) error {
	if n%4 == 0 {
		return except(m.store.Create(m.ctx, version{id, 1}.record()), backend.ErrExists)
	}
	return m.step(id, n)
}

// going does the n-th call of a goroutine while records go.
func (m *mixed) going(id uuid.UUID, n int) error {
	if n%16 == 0 {
		err := m.store.Delete(m.ctx, id)
		if err == nil {
			m.deleted.Store(id, true)
		}
		return err
	}
	return m.step(id, n)
}

func (m *mixed) step(id uuid.UUID, n int) error {
	switch kind := n % 8; {
	case kind == 1:
		return except(m.store.Touch(m.ctx, id, in(2*time.Hour)), backend.ErrNotFound)
	case kind == 2:
		if index := backend.AbilitiesOf(m.store).UserIndex; index != nil {
			return m.byUser(index, fmt.Sprint("user ", n%3))
		}
	case kind == 3:
		if sweeper := backend.AbilitiesOf(m.store).Sweeper; sweeper != nil {
			_, err := sweeper.Sweep(m.ctx, 5)
			return err
		}
	}
	return m.update(id)
}

func (m *mixed) update(id uuid.UUID) error {
	_, deleted := m.deleted.Load(id)
	rec, err := m.store.Load(m.ctx, id)
	if err != nil {
		return except(err, backend.ErrNotFound)
	}
	if deleted {
		return fmt.Errorf("a record that was deleted: %s", describe(rec))
	}
	if err := m.whole(rec); err != nil {
		return err
	}
	next := version{id, rec.Version + 1}.record()
	next.Version = rec.Version
	if err := m.store.Update(m.ctx, next); err != nil {
		return except(err, backend.ErrNotFound, backend.ErrConflict)
	}
	if _, twice := m.stored.LoadOrStore(version{id, rec.Version + 1}, true); twice {
		return fmt.Errorf("two Updates of version %d of one record succeeded", rec.Version)
	}
	return nil
}

func (m *mixed) byUser(index backend.UserIndex, user string) error {
	recs, err := index.ByUser(m.ctx, user)
	for _, rec := range recs {
		if rec.User != user {
			return fmt.Errorf("ByUser(%q) returned %s", user, describe(rec))
		}
		if err := m.whole(rec); err != nil {
			return err
		}
	}
	return err
}

// except returns err unless it is one of the outcomes that are in order.
func except(err error, outcomes ...error) error {
	for _, outcome := range outcomes {
		if errors.Is(err, outcome) {
			return nil
		}
	}
	return err
}
