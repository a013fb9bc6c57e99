package rueidis

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chisession/session/backend/internal/redisengine"
)

// duel has two functions take turns, in random order, and reports the median of
// the ratios between neighbours: what the machine does meanwhile hits both.
func duel(b *testing.B, raw, ours func() error) {
	b.Helper()
	const turn = 32
	measure := func(fn func() error) float64 {
		start := time.Now()
		for range turn {
			if err := fn(); err != nil {
				b.Fatal(err)
			}
		}
		return float64(time.Since(start))
	}
	var ratios []float64
	for b.Loop() {
		var r, o float64
		if rand.IntN(2) == 0 {
			r, o = measure(raw), measure(ours)
		} else {
			o, r = measure(ours), measure(raw)
		}
		ratios = append(ratios, o/r)
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(ratios[len(ratios)*3/4]-ratios[len(ratios)/4], "spread")
}

// BenchmarkDuel is the store against its bare client, on the same connections: a
// GET, and a SET with an expiry.
func BenchmarkDuel(b *testing.B) {
	must(b, "FlushAll", server.FlushAll())
	s := openAt(b, server.URL())
	rec := newRecord("", string(make([]byte, 300)))
	must(b, "Create", s.Create(ctx, rec))
	rec.Version = 1
	key, value := s.Key(rec.ID), redisengine.Encode(rec, 1)
	c := s.Client()
	b.Run("Load", func(b *testing.B) {
		duel(b, func() error { return c.Do(ctx, c.B().Get().Key(key).Build()).Error() },
			func() error { _, err := s.Load(ctx, rec.ID); return err })
	})
	b.Run("Update", func(b *testing.B) {
		duel(b, func() error {
			return c.Do(ctx, c.B().Set().Key("raw").Value(rueidis.BinaryString(value)).Px(time.Hour).Build()).Error()
		},
			func() error {
				err := s.Update(ctx, rec)
				rec.Version++
				return err
			})
	})
}
