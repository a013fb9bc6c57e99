package backendtest

import (
	"context"
	"errors"
	"time"

	"github.com/chisession/session/backend"
)

// A call is a method call with its arguments, for checks that are the same
// for all methods.
type call struct {
	name string
	do   func(ctx context.Context) error
}

// calls are calls of all the methods that s has, on rec.
func calls(s backend.Store, rec backend.Record) []call {
	all := []call{
		{"Load", func(ctx context.Context) error { _, err := s.Load(ctx, rec.ID); return err }},
		{"Create", func(ctx context.Context) error { return s.Create(ctx, newRecord("ann", "data")) }},
		{"Update", func(ctx context.Context) error { return s.Update(ctx, rec) }},
		{"Touch", func(ctx context.Context) error { return s.Touch(ctx, rec.ID, in(2*time.Hour)) }},
		{"Delete", func(ctx context.Context) error { return s.Delete(ctx, newID()) }},
	}
	if d := backend.AbilitiesOf(s).VersionedDeleter; d != nil {
		all = append(all, call{"DeleteVersion", func(ctx context.Context) error { return d.DeleteVersion(ctx, rec.ID, 99) }})
	}
	if w := backend.AbilitiesOf(s).Sweeper; w != nil {
		all = append(all, call{"Sweep", func(ctx context.Context) error { _, err := w.Sweep(ctx, 10); return err }})
	}
	if x := backend.AbilitiesOf(s).UserIndex; x != nil {
		all = append(all, call{"ByUser", func(ctx context.Context) error { _, err := x.ByUser(ctx, "ann"); return err }})
	}
	if l := backend.AbilitiesOf(s).Lister; l != nil {
		all = append(all, call{"List", func(ctx context.Context) error { _, err := l.List(ctx, "", 10); return err }})
	}
	if n := backend.AbilitiesOf(s).Counter; n != nil {
		all = append(all, call{"Count", func(ctx context.Context) error { _, err := n.Count(ctx); return err }})
	}
	if x := backend.AbilitiesOf(s).Comparer; x != nil {
		known := []backend.Version{{ID: rec.ID, Version: rec.Version}}
		all = append(all, call{"Changed", func(ctx context.Context) error { _, err := x.Changed(ctx, known); return err }})
	}
	return all
}

// testCancelled checks that calls end with their context, and that the store
// is none the worse for it.
func testCancelled(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("ann", "data"))
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	bounded := Capabilities(s)&Bounded != 0
	for _, call := range calls(s, rec) {
		began := time.Now()
		err := call.do(ctx)
		if took := time.Since(began); took > 10*time.Second {
			c.errorf("%s with a cancelled context took %v", call.name, took)
		}
		if !bounded && !errors.Is(err, context.Canceled) {
			c.errorf("%s with a cancelled context: got error %v, want %v", call.name, err, context.Canceled)
		}
	}
	_, err := s.Load(c.ctx, rec.ID)
	c.ok("Load after calls with a cancelled context", err)
	c.wantRecord(s, c.create(s, newRecord("ann", "after")))
}

// testClosed checks that a closed store says so.
func testClosed(c *check) {
	s := c.open()
	rec := c.create(s, newRecord("ann", "data"))
	c.ok("Close", backend.AbilitiesOf(s).Closer.Close())
	for _, call := range calls(s, rec) {
		c.wantErr(call.name+" after Close", call.do(c.ctx), backend.ErrClosed)
	}
	c.ok("Close for the second time", backend.AbilitiesOf(s).Closer.Close())
}
