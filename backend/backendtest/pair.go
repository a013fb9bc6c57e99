package backendtest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/chisession/session/backend"
)

// A pair is two stores on one storage that look like one: each call goes to
// one of them, in a sequence without a rhythm, so that over a case all kinds
// of calls go both ways.
type pair struct {
	stores [2]backend.Store
	calls  atomic.Uint64
}

func newPair(a, b backend.Store) backend.Store {
	p := &pair{stores: [2]backend.Store{a, b}}
	return expose(p, Capabilities(a)&Capabilities(b))
}

// next returns the store whose turn it is: by the top bit of a multiple of
// 2⁶⁴/φ, which falls evenly and never settles into a pattern.
func (p *pair) next() backend.Store {
	return p.stores[p.calls.Add(1)*0x9e3779b97f4a7c15>>63]
}

func (p *pair) Load(ctx context.Context, id uuid.UUID) (backend.Record, error) {
	return p.next().Load(ctx, id)
}

func (p *pair) Create(ctx context.Context, rec backend.Record) error {
	return p.next().Create(ctx, rec)
}

func (p *pair) Update(ctx context.Context, rec backend.Record) error {
	return p.next().Update(ctx, rec)
}

func (p *pair) Touch(ctx context.Context, id uuid.UUID, expires time.Time) error {
	return p.next().Touch(ctx, id, expires)
}

func (p *pair) Delete(ctx context.Context, id uuid.UUID) error {
	return p.next().Delete(ctx, id)
}

func (p *pair) DeleteVersion(ctx context.Context, id uuid.UUID, version uint64) error {
	return backend.AbilitiesOf(p.next()).VersionedDeleter.DeleteVersion(ctx, id, version)
}

func (p *pair) Sweep(ctx context.Context, limit int) (int, error) {
	return backend.AbilitiesOf(p.next()).Sweeper.Sweep(ctx, limit)
}

func (p *pair) ByUser(ctx context.Context, user string) ([]backend.Record, error) {
	return backend.AbilitiesOf(p.next()).UserIndex.ByUser(ctx, user)
}

func (p *pair) List(ctx context.Context, prefix string, limit int) ([]backend.Record, error) {
	return backend.AbilitiesOf(p.next()).Lister.List(ctx, prefix, limit)
}

func (p *pair) Count(ctx context.Context) (int, error) {
	return backend.AbilitiesOf(p.next()).Counter.Count(ctx)
}

func (p *pair) Changed(ctx context.Context, known []backend.Version) ([]uuid.UUID, error) {
	return backend.AbilitiesOf(p.next()).Comparer.Changed(ctx, known)
}
