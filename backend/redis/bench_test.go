//go:build servers

package redis

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/chisession/session/backend"
	"github.com/chisession/session/backend/internal/redisengine"
	"github.com/chisession/session/backend/internal/redistest"
)

// rawPool is what the duels are against: a redigo pool with time-outs and
// nothing else.
func rawPool(b *testing.B) *redis.Pool {
	pool := &redis.Pool{MaxIdle: 10, IdleTimeout: 4 * time.Minute, Dial: func() (redis.Conn, error) {
		return redis.Dial("tcp", server.Addr(), redis.DialReadTimeout(3*time.Second), redis.DialWriteTimeout(3*time.Second))
	}}
	b.Cleanup(func() { _ = pool.Close() })
	return pool
}

func rawDo(pool *redis.Pool, command string, args ...any) error {
	c := pool.Get()
	_, err := c.Do(command, args...)
	_ = c.Close()
	return err
}

func BenchmarkDuel(b *testing.B) {
	s, pool, ctx := fresh(b), rawPool(b), context.Background()
	data := string(make([]byte, 300))
	b.Run("LoadAndUpdate", func(b *testing.B) {
		rec := create(b, s, "", data)
		value, key := redisengine.Encode(rec, 1), s.Key(rec.ID)
		redistest.Duel(b,
			func() error {
				return errors.Join(rawDo(pool, "GET", key), rawDo(pool, "SET", "raw", value, "PX", 3600_000))
			},
			func() error {
				rec, err := s.Load(ctx, rec.ID)
				return errors.Join(err, s.Update(ctx, rec))
			})
	})
	for _, user := range []string{"", "alice"} {
		name := "anonymous"
		if user != "" {
			name = "user"
		}
		rec := create(b, s, user, data)
		value, key := redisengine.Encode(rec, 1), s.Key(rec.ID)
		ttl := time.Until(rec.Expires).Milliseconds()
		rawSet := func() error { return rawDo(pool, "SET", "raw", value, "PX", ttl) }
		b.Run("Load/"+name, func(b *testing.B) {
			redistest.Duel(b,
				func() error { return rawDo(pool, "GET", key) },
				func() error { _, err := s.Load(ctx, rec.ID); return err })
		})
		b.Run("Update/"+name, func(b *testing.B) {
			redistest.Duel(b, rawSet, func() error {
				err := s.Update(ctx, rec)
				rec.Version++
				return err
			})
		})
		b.Run("Touch/"+name, func(b *testing.B) {
			expires := rec.Expires
			redistest.Duel(b, rawSet, func() error {
				expires = expires.Add(time.Millisecond)
				return s.Touch(ctx, rec.ID, expires)
			})
		})
		var made []backend.Record
		b.Run("Create/"+name, func(b *testing.B) {
			redistest.Duel(b,
				func() error { return rawDo(pool, "SET", "raw"+newRecord("", "").ID.String(), value, "PX", ttl) },
				func() error {
					rec := newRecord(user, data)
					made = append(made, rec)
					return s.Create(ctx, rec)
				})
		})
		b.Run("DeleteVersion/"+name, func(b *testing.B) {
			redistest.Duel(b, func() error { return rawDo(pool, "DEL", "raw") }, func() error {
				if len(made) == 0 {
					return s.Delete(ctx, rec.ID)
				}
				last := made[len(made)-1]
				made = made[:len(made)-1]
				return s.DeleteVersion(ctx, last.ID, 1)
			})
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	s, pool := fresh(b), rawPool(b)
	rec := create(b, s, "", string(make([]byte, 300)))
	key := s.Key(rec.ID)
	b.Run("raw", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := rawDo(pool, "GET", key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("store", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Load(context.Background(), rec.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}
