package goredis

import (
	"context"
	"testing"
	"time"

	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/redistest"
)

// BenchmarkDuel is the store against its bare client, on the same connections: a
// GET, and a SET with an expiry.
func BenchmarkDuel(b *testing.B) {
	ctx := context.Background()
	s, err := Open(redistest.Server.URL())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rec := redistest.Record("", string(make([]byte, 300)))
	if err := s.Create(ctx, rec); err != nil {
		b.Fatal(err)
	}
	rec.Version = 1
	key, value := s.Key(rec.ID), redisengine.Encode(rec, 1)
	c := s.Client()
	b.Run("Load", func(b *testing.B) {
		redistest.Duel(b, func() error { return c.Get(ctx, key).Err() },
			func() error { _, err := s.Load(ctx, rec.ID); return err })
	})
	b.Run("Update", func(b *testing.B) {
		redistest.Duel(b, func() error { return c.Set(ctx, "raw", value, time.Hour).Err() },
			func() error {
				err := s.Update(ctx, rec)
				rec.Version++
				return err
			})
	})
}
